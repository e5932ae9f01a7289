"""Runs `plot.py` on the finished runs and collects the pictures it draws."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from ai_sci.experiment.attempt.clean_env import data_beside, experiment_env, other_sessions, secret_folders
from ai_sci.experiment.attempt.process import ProcessResult, ProcessSpec, run_process
from ai_sci.experiment.base import Allocation, Limits, Verdict
from ai_sci.experiment.environment import Environment
from ai_sci.experiment.results import failure_excerpt
from ai_sci.experiment.sandbox import Sandbox, inner_folder
from ai_sci.experiment.template import Template

PLOT_TIME = 600.0  # seconds; drawing is not an experiment
PICTURES = (".png", ".pdf", ".svg", ".jpg")
MOST_PICTURES = 100
NO_GPU = Allocation(gpus=())  # other experiments use the GPUs meanwhile
MOST_BYTES = 20 * 1024**2  # per picture; they are committed to git


@dataclass(frozen=True)
class PlotPlan:
    """`number` counts the tries."""

    session: Path
    number: int
    template: Template
    environment: Environment
    sandbox: Sandbox
    data: Path | None
    limits: Limits


@dataclass(frozen=True)
class PlotOutcome:
    """`files` are names below the session's `plots/`; `digest` is empty when `verdict` is ok."""

    verdict: Verdict
    reason: str
    digest: str
    files: tuple[str, ...]
    log: Path
    seconds: float


def run_plots(plan: PlotPlan, on_output: Callable[[str], None] = lambda text: None) -> PlotOutcome:
    """Runs `python plot.py` in `attempts/plots.<number>/work`, which links to the session's files and runs.

    The verdict is `no_result` if it exits normally without a picture. Raises EnvironmentFailed as `run_process` does.
    """
    plan = replace(plan, session=plan.session.resolve())
    folder = plan.session / "attempts" / f"plots.{plan.number}"
    shutil.rmtree(folder, ignore_errors=True)  # left by an interrupted try
    work = folder / "work"
    work.mkdir(parents=True)
    _lay_out(plan, work)
    done = run_process(_process(plan, work, folder / "output.log"), on_output)
    names = _collect(work, plan.session / "plots") if done.verdict is Verdict.ok else ()
    verdict, reason = done.verdict, done.reason
    if verdict is Verdict.ok and not names:
        verdict, reason = Verdict.no_result, f"plot.py ended without writing a picture ({', '.join(PICTURES)})"
    elif verdict is Verdict.ok:
        reason = f"{len(names)} picture{'s' if len(names) > 1 else ''} in {done.seconds:.1f} s"
    return PlotOutcome(
        verdict, reason, _digest(plan, verdict, reason, done), names, folder / "output.log", done.seconds
    )


def _digest(plan: PlotPlan, verdict: Verdict, reason: str, done: ProcessResult) -> str:
    if verdict is Verdict.ok:
        return ""
    work = plan.session / "attempts" / f"plots.{plan.number}" / "work"
    folders = [inner_folder(work, data_beside(plan.template)), work, plan.session]
    return failure_excerpt(verdict, reason, done.tail, [str(path) for path in plan.template.files()], folders)


def _process(plan: PlotPlan, work: Path, log: Path) -> ProcessSpec:
    readable = [plan.session, *plan.environment.roots, *([plan.data] if plan.data else [])]
    return ProcessSpec(
        argv=[str(plan.environment.python), "plot.py"],
        cwd=work,
        writable=[work],
        readable=[path for path in readable if path.exists()],
        env={
            **experiment_env(plan.environment.python, plan.data, smoke=False, allocation=NO_GPU),
            **plan.environment.variables,
        },
        limits=plan.limits,
        log=log,
        sandbox=plan.sandbox,
        hidden=[other_sessions(plan.session), *secret_folders()],
        time_setting="ten minutes for plots",
        beside=data_beside(plan.template),
    )


def _lay_out(plan: PlotPlan, work: Path) -> None:
    """Copies the editable files, often including `plot.py`; links to everything else, which stays read-only."""
    copied = {Path(name) for name in plan.template.editable}
    for name in sorted({*plan.template.files(), Path("settings.json"), *copied}):
        source, target = plan.session / name, work / name
        if not source.is_file():
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        if name in copied:
            shutil.copyfile(source, target)
        else:
            target.symlink_to(source)
    for run in plan.session.glob("run_*"):
        if run.is_dir():
            (work / run.name).symlink_to(run)


def _collect(work: Path, target: Path) -> tuple[str, ...]:
    """Moves the pictures to `target`, replacing its contents; returns their names, sorted."""
    found = sorted(_pictures(work))[:MOST_PICTURES]
    if not found:
        return ()
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir()
    names = []
    for picture in found:
        name = "_".join(picture.relative_to(work).parts)
        picture.rename(target / name)
        names.append(name)
    return tuple(sorted(set(names)))


def _pictures(work: Path) -> Iterator[Path]:
    """Regular files only: a link could lead to anything."""
    for place, _, names in os.walk(work):
        for name in names:
            path = Path(place, name)
            found = path.lstat()
            if path.suffix.lower() not in PICTURES or not name.isprintable():
                continue
            if stat.S_ISREG(found.st_mode) and found.st_nlink == 1 and 0 < found.st_size <= MOST_BYTES:
                yield path
