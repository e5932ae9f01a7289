"""Runs one attempt of a run, from a fresh folder to a verdict with its reason."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ai_sci.experiment.attempt.clean_env import data_beside, experiment_env, other_sessions, secret_folders
from ai_sci.experiment.attempt.grading import graded_results
from ai_sci.experiment.attempt.process import ProcessResult, ProcessSpec, run_process
from ai_sci.experiment.base import Allocation, Limits, ProcessIdentity, Verdict
from ai_sci.experiment.environment import Environment
from ai_sci.experiment.results import SELF_REPORTED, Protected, ResultError, Results, failure_excerpt, read_results
from ai_sci.experiment.sandbox import Sandbox, inner_folder
from ai_sci.experiment.template import Template, failed_checks

_BY_THE_CODE = (Verdict.ok, Verdict.crashed, Verdict.no_result, Verdict.bad_result, Verdict.degenerate)


@dataclass(frozen=True)
class AttemptPlan:
    """`kind` is "smoke" or "full". `session` holds the code and gets `run_<run>` and `attempts/run_<run>.<attempt>`.

    `limits` are those of a full attempt; a smoke attempt has the time limit of the template's `[smoke]`. `readable` and
    `hidden` are folders that the experiment can, or cannot, see in addition to the usual ones.
    """

    session: Path
    run: int
    attempt: int
    kind: str
    template: Template
    environment: Environment
    data: Path | None
    sandbox: Sandbox
    limits: Limits
    time_setting: str = "limits.time or --timeout"  # the setting that changes the limit
    allocation: Allocation = Allocation()
    readable: tuple[Path, ...] = ()
    hidden: tuple[Path, ...] = ()

    @property
    def folder(self) -> Path:
        """Holds the attempt's code and log, and its output if not accepted."""
        return self.session / "attempts" / f"run_{self.run}.{self.attempt}"

    @property
    def out_dir(self) -> Path:
        """The folder that the experiment writes its output to."""
        return self.session / f"run_{self.run}"

    @property
    def log(self) -> Path:
        """What the experiment prints."""
        return self.folder / "output.log"

    @property
    def code_folders(self) -> list[Path]:
        """Where the code lies, as its tracebacks name it."""
        return [inner_folder(self.session, data_beside(self.template)), self.session]

    @property
    def is_smoke(self) -> bool:
        """Whether this is a smoke attempt rather than a full one."""
        return self.kind == "smoke"

    @property
    def time_limit(self) -> float:
        """Seconds; for a smoke attempt the shorter of its own and the full one."""
        smoke = self.template.smoke if self.is_smoke else None
        return min(self.limits.time, smoke.time) if smoke else self.limits.time


@dataclass(frozen=True)
class AttemptOutcome:
    """`digest` is the text for the model, empty if `verdict` is ok. `out_dir` is where the output is now.

    A cluster reports `place` and `waited` (seconds) here, since they are not known at submission. `begun` is False if
    the attempt never left the queue. `seconds` is the run time, `peak_memory` bytes.
    """

    verdict: Verdict
    reason: str
    seconds: float
    metrics: dict[str, float]
    digest: str
    out_dir: Path
    log: Path
    exit_code: int
    peak_memory: int
    stderrs: dict[str, float] = field(default_factory=dict)
    raw: dict[str, Any] = field(default_factory=dict)
    metrics_source: str = SELF_REPORTED
    place: str = ""
    waited: float = 0.0
    begun: bool = True

    @property
    def repeatable(self) -> bool:
        """Whether the code alone decided the outcome: no limit, no signal, no tampering."""
        return self.verdict in _BY_THE_CODE and self.exit_code < 128


@dataclass(frozen=True)
class AttemptLaunch:
    """An attempt that is about to start: the local process, or the job elsewhere, that executes `plan`.

    `plan` is the effective one, which may have less time than requested. `gpus`: how many it has to itself. `waited`:
    seconds until its slot was free.
    """

    plan: AttemptPlan
    process: ProcessIdentity | None = None
    job: str = ""
    place: str = ""
    gpus: int = 0
    waited: float = 0.0


OnLaunch = Callable[[AttemptLaunch], None]
OnOutput = Callable[[str], None]


def run_attempt(
    plan: AttemptPlan,
    on_launch: OnLaunch = lambda launch: None,
    on_output: OnOutput = lambda text: None,
    slot: AbstractContextManager[Allocation] | None = None,
) -> AttemptOutcome:
    """Runs `python experiment.py --out_dir=run_i` and returns the outcome.

    `slot` is entered while the process lives and yields its allocation (default: the plan's). `on_launch` is called
    before the first instruction: raising there ends the attempt. Afterwards `run_<run>` exists only if this was an
    accepted full attempt; any other output is in `attempts/run_<run>.<attempt>/out`. Raises DiskFull, and
    EnvironmentFailed if the interpreter is gone.
    """
    plan = replace(plan, session=plan.session.resolve())
    make_room(plan)
    files = plan.template.files()
    snapshot(plan)
    protected = Protected(plan.session, files, plan.out_dir.name)
    asked = time.monotonic()
    with slot or nullcontext(plan.allocation) as place:
        waited, executed = round(time.monotonic() - asked, 3), _at(place, plan)
        launch = AttemptLaunch(executed, place=place.name, gpus=len(place.gpus or ()), waited=waited)
        done = run_process(process_of(executed), on_output, lambda process: on_launch(replace(launch, process=process)))

    changed = protected.changes()
    if changed:
        protected.restore()
    make_readable(plan.out_dir)
    verdict, reason, results = _judge(plan, done, changed)
    out_dir = plan.out_dir
    if verdict is not Verdict.ok or plan.is_smoke:
        out_dir = _move_output(plan, keep=verdict is not Verdict.out_of_disk)
    names = [str(path) for path in files]
    return AttemptOutcome(
        verdict=verdict,
        reason=reason,
        seconds=done.seconds,
        metrics=results.metrics if results else {},
        digest="" if verdict is Verdict.ok else failure_excerpt(verdict, reason, done.tail, names, plan.code_folders),
        out_dir=out_dir,
        log=plan.log,
        exit_code=done.exit_code,
        peak_memory=done.peak_memory,
        stderrs=results.stderrs if results else {},
        raw=results.raw if results else {},
        metrics_source=results.source if results else SELF_REPORTED,
    )


def _at(allocation: Allocation, plan: AttemptPlan) -> AttemptPlan:
    if allocation.time_left >= plan.limits.time:
        return replace(plan, allocation=allocation)
    limits = replace(plan.limits, time=allocation.time_left)
    return replace(plan, allocation=allocation, limits=limits, time_setting="--max-time")


def process_of(plan: AttemptPlan) -> ProcessSpec:
    """The process of an attempt, its sandbox and its limits."""
    limits, setting = plan.limits, plan.time_setting
    if plan.time_limit < limits.time:
        limits, setting = replace(limits, time=plan.time_limit), "[smoke] time"
    readable = [plan.session, *plan.environment.roots, *([plan.data] if plan.data else []), *plan.readable]
    return ProcessSpec(
        argv=[str(plan.environment.python), "experiment.py", f"--out_dir={plan.out_dir.name}"],
        cwd=plan.session,
        writable=[plan.out_dir],
        readable=[path for path in readable if path.exists()],
        env={
            **experiment_env(plan.environment.python, plan.data, plan.is_smoke, plan.allocation),
            **plan.environment.variables,
        },
        limits=limits,
        log=plan.log,
        sandbox=plan.sandbox,
        hidden=[other_sessions(plan.session), *plan.hidden, *secret_folders()],  # the other sessions, and keys
        time_setting=setting,
        allocation=plan.allocation,
        beside=data_beside(plan.template),
    )


def _judge(plan: AttemptPlan, done: ProcessResult, changed: list[str]) -> tuple[Verdict, str, Results | None]:
    if changed:
        shown = ", ".join(changed[:5]) + (f" and {len(changed) - 5} more" if len(changed) > 5 else "")
        return Verdict.tampered, f"the experiment changed {shown}, which only ai-sci may do; it was put back", None
    if done.verdict is not Verdict.ok:
        return done.verdict, done.reason, None
    try:
        results = read_results(plan.out_dir) if plan.is_smoke else graded_results(plan.template, plan.out_dir)
    except ResultError as error:
        return error.verdict, error.reason, None
    failed = [] if plan.is_smoke else failed_checks(plan.template.checks, results.metrics)
    if failed:
        return Verdict.degenerate, f"the template's checks do not hold: {'; '.join(failed)}", results
    return Verdict.ok, done.reason, results


# --- folders ----------------------------------------------------------------------------------------------------------


def make_room(plan: AttemptPlan) -> None:
    """Makes fresh folders; anything left by an interrupted attempt is moved away, never overwritten."""
    if plan.folder.exists():
        plan.folder.rename(free_name(plan.folder.with_name(plan.folder.name + ".lost")))
    plan.folder.mkdir(parents=True)
    if os.path.lexists(plan.out_dir):
        make_readable(plan.out_dir)
        before = plan.folder.with_name(f"run_{plan.run}.{plan.attempt - 1}")
        plan.out_dir.rename(free_name((before if before.is_dir() else plan.folder) / "out"))
    plan.out_dir.mkdir()


def make_readable(folder: Path) -> None:
    """Restores permissions that an experiment removed from its output, which could not even be moved otherwise."""
    if folder.is_symlink() or not folder.is_dir():
        return
    for parent, folders, names in os.walk(folder):
        os.chmod(parent, 0o755)
        for name in (*folders, *names):
            path = os.path.join(parent, name)
            if not os.path.islink(path) and (os.path.isdir(path) or os.path.isfile(path)):
                os.chmod(path, os.stat(path).st_mode | 0o600 | (0o700 if os.path.isdir(path) else 0))


def free_name(path: Path) -> Path:
    """`path`, or the first `path2`, `path3`, … that does not exist yet."""
    free, number = path, 1
    while os.path.lexists(free):
        number += 1
        free = path.with_name(f"{path.name}{number}")
    return free


def snapshot(plan: AttemptPlan) -> None:
    """Copies the code as executed into the attempt's folder, since the session's files keep changing."""
    for name in plan.template.editable:
        source, target = plan.session / name, plan.folder / "code" / name
        if source.is_file() and not source.is_symlink():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target)


def _move_output(plan: AttemptPlan, keep: bool) -> Path:
    """Moves the output into the attempt's folder. Output that filled the disk is deleted: others need the space."""
    target = free_name(plan.folder / "out")
    if os.path.lexists(plan.out_dir):
        plan.out_dir.rename(target)
    if not keep and not target.is_symlink():
        shutil.rmtree(target, ignore_errors=True)
    return target
