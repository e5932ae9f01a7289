"""Run 0: the unmodified experiment, measured once per template, settings and machine, or provided by the template."""

from __future__ import annotations

import glob
import math
import os
import platform
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from ai_sci.experiment.attempt.grading import graded_results
from ai_sci.experiment.attempt.runner import AttemptOutcome, AttemptPlan
from ai_sci.experiment.attempt.shared_execution import SharedExecution
from ai_sci.experiment.attempt.start_check import check_start, start_plan
from ai_sci.experiment.base import Limits, Verdict, cache_folder, hash_of
from ai_sci.experiment.environment import Environment
from ai_sci.experiment.results import SELF_REPORTED, ResultError, read_results
from ai_sci.experiment.sandbox import Sandbox
from ai_sci.experiment.template import Template, failed_checks

_LAYOUT = 1  # bump this to invalidate baselines measured by older versions
_NO_MATTER = {"template.toml", "prompt.json", "plot.py", "notes.txt"}  # files that cannot change the result


@dataclass(frozen=True)
class BaselineOutcome:
    """If `verdict` is not ok, no session may start on this baseline, and `reasons` say why, one line each.

    `source` is "template", "measured", "cached" (another session measured it, even if it failed) or "reused". `seconds`
    is the measuring time, 0 unless measured; `waited` is how many seconds we waited for another session to measure it.
    """

    metrics: dict[str, float]
    verdict: Verdict
    reasons: tuple[str, ...]
    source: str
    seconds: float = 0.0
    waited: float = 0.0
    metrics_source: str = SELF_REPORTED


def measure_baseline(
    session: Path,
    template: Template,
    environment: Environment,
    data: Path | None,
    sandbox: Sandbox,
    execute: Callable[[AttemptPlan], AttemptOutcome],
    tell: Callable[[str], None] = lambda text: None,
    limits: Limits | None = None,
    machine: str = "",
    failed_since: float = math.inf,
    try_start: bool = False,
    origin: Path | None = None,
) -> BaselineOutcome:
    """Makes sure that the session has a `run_0`, and applies the template's checks to it.

    With `try_start`, the code of a template that brings its results is started once all the same: they may come from
    another machine. `origin` is the folder that the template was loaded from, if not its own.

    Results are cached before they are checked, so fixing a template's checks does not mean measuring again. `execute`
    runs an attempt, called only if needed; `machine` identifies the machine where that happens, if not this one. A
    failure that another session measured since this call, or since `failed_since` (seconds since the epoch), is
    reused; an older one is not, since a person may have fixed the cause. Raises EnvironmentFailed as `execute` does.
    """
    run_0 = session / "run_0"
    limits = limits or template.limits
    brought = _brought_baseline(template, run_0) if template.brings_baseline else None
    if brought and (not try_start or brought.verdict is not Verdict.ok):
        return brought
    plan = AttemptPlan(
        session=session,
        run=0,
        attempt=1,
        kind="full",
        template=replace(template, checks=(), grade={}),  # applied below, to a cached baseline too
        environment=environment,
        data=data,
        sandbox=sandbox,
        limits=limits,
    )
    purpose = ["start"] if brought else []
    shared = SharedExecution(
        plan=start_plan(plan) if brought else plan,
        kept=cache_folder("baselines") / baseline_key(template, environment, machine),
        conditions=hash_of(asdict(limits), sandbox.tier, sandbox.backend, str(data), *purpose),
        failed_since=min(failed_since, time.time()),
        origin=origin or template.folder,
        execute=execute,
        tell=tell,
    )
    if not brought:
        return _measured(template, run_0, shared)
    start = check_start(shared)
    reasons = brought.reasons if start.verdict is Verdict.ok else (start.reason,)
    return replace(brought, verdict=start.verdict, reasons=reasons, seconds=start.seconds, waited=start.waited)


def _brought_baseline(template: Template, run_0: Path) -> BaselineOutcome:
    if not run_0.is_dir():
        copy_run(template.folder / "run_0", run_0)
    return checked_baseline(template, run_0, "template")


def _measured(template: Template, run_0: Path, shared: SharedExecution) -> BaselineOutcome:
    with shared.alone("measuring this baseline") as waited:
        if _usable(shared.kept):
            copy_run(shared.kept, run_0)
            return replace(checked_baseline(template, run_0, "cached"), waited=waited)
        if failed := shared.failed_elsewhere():
            reason = f"another session measured it: {failed.reason}"
            return BaselineOutcome({}, failed.verdict, (reason,), "cached", waited=waited)
        outcome, missing = shared.run()
        if outcome.verdict is not Verdict.ok:
            log = f" (log: {outcome.log})"
            reason = f"{outcome.reason.rstrip('.')}{log}. {missing}" if missing else f"{outcome.reason}{log}"
            shared.keep_failure(outcome, reason)
            return BaselineOutcome({}, outcome.verdict, (reason,), "measured", outcome.seconds, waited)
        copy_run(run_0, shared.kept)
    return replace(checked_baseline(template, run_0, "measured"), seconds=outcome.seconds, waited=waited)


def baseline_key(template: Template, environment: Environment, machine: str = "") -> str:
    """A hash of the experiment's files, the settings, the installed packages, and the machine's CPUs and GPUs."""
    return _key(template, environment, [path for path in template.files() if str(path) not in _NO_MATTER], machine)


def conditions_key(template: Template, environment: Environment, machine: str = "") -> str:
    """As `baseline_key`, but without the files that a model edits."""
    edited = {*template.editable, *_NO_MATTER}
    return _key(template, environment, [path for path in template.files() if str(path) not in edited], machine)


def _key(template: Template, environment: Environment, files: list[Path], machine: str) -> str:
    contents = [[str(path), hash_of((template.folder / path).read_bytes())] for path in files]
    return hash_of(_LAYOUT, contents, template.settings, environment.key, [machine] if machine else list(_machine()))


def _machine() -> Iterator[str]:
    yield platform.machine()
    yield str(len(os.sched_getaffinity(0)))
    for path in sorted(glob.glob("/proc/driver/nvidia/gpus/*/information")):
        for line in Path(path).read_text().splitlines():
            if line.startswith("Model:"):
                yield line
    yield os.environ.get("CUDA_VISIBLE_DEVICES", "all")


def _usable(folder: Path) -> bool:
    try:
        read_results(folder)
    except ResultError:
        return False
    return True


def checked_baseline(template: Template, run_0: Path, source: str) -> BaselineOutcome:
    """The results in `run_0` under the template's checks, graded unless the template provides them."""
    try:
        results = read_results(run_0) if source == "template" else graded_results(template, run_0)
    except ResultError as error:
        return BaselineOutcome({}, error.verdict, (f"{run_0.name}: {error.reason}",), source)
    failed = failed_checks(template.checks, results.metrics)
    verdict = Verdict.degenerate if failed else Verdict.ok
    return BaselineOutcome(results.metrics, verdict, tuple(failed), source, metrics_source=results.source)


def copy_run(source: Path, target: Path) -> None:
    """Copies a run's folder atomically: an interrupted copy never looks complete."""
    partial = target.with_name(target.name + ".partial")
    for leftover in (partial, target):
        shutil.rmtree(leftover, ignore_errors=True)
    shutil.copytree(source, partial, symlinks=True, ignore=_special_files)
    partial.rename(target)


def _special_files(folder: str, names: list[str]) -> list[str]:
    """Pipes, sockets and the like, on which a copy would block forever."""
    paths = [(name, Path(folder, name)) for name in names]
    return [name for name, path in paths if not (path.is_symlink() or path.is_file() or path.is_dir())]
