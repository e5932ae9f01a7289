"""Reuses the output of an attempt in another session instead of executing the same thing again."""

from __future__ import annotations

import os
import shutil
import stat
from dataclasses import asdict
from pathlib import Path

from ai_sci.experiment.attempt.baseline import BaselineOutcome, checked_baseline, copy_run
from ai_sci.experiment.attempt.grading import graded_results
from ai_sci.experiment.attempt.runner import AttemptPlan, make_room, snapshot
from ai_sci.experiment.base import hash_of
from ai_sci.experiment.results import RESULT_NAME, ResultError, read_results
from ai_sci.experiment.template import Template


def attempt_key(plan: AttemptPlan, conditions: str, code_hash: str) -> str:
    """A hash of everything that decides an attempt's outcome, except its time limit.

    `conditions` covers the files that nobody edits, the settings, the installed packages and the machine. Added to that
    are the code, the run, its kind, its limits, and the results of other runs, which it can read. A seed is in the
    settings or in the code.
    """
    limits = {name: value for name, value in asdict(plan.limits).items() if name != "time"}
    others = sorted(path for path in plan.session.glob(f"run_*/{RESULT_NAME}") if path.parent != plan.out_dir)
    results = [[path.parent.name, hash_of(path.read_bytes())] for path in others if path.is_file()]
    return hash_of(conditions, code_hash, plan.run, plan.kind, limits, results)


def take_over(plan: AttemptPlan, session: Path, attempt: int, metrics: dict[str, float], accepted: bool) -> bool:
    """Copies log and output of that attempt of `session`; returns False and does nothing if they have changed.

    `metrics` are the ones in the journal; `accepted`: the output is in the run's own folder.
    """
    folder = session / "attempts" / f"run_{plan.run}.{attempt}"
    log, output = folder / "output.log", session / plan.out_dir.name if accepted else folder / "out"
    if not _is_file(log) or (metrics and metrics != _metrics(plan.template, output, plan.is_smoke)):
        return False
    make_room(plan)
    snapshot(plan)
    shutil.copyfile(log, plan.folder / "output.log", follow_symlinks=False)
    plan.out_dir.rmdir()
    if output.is_dir() and not output.is_symlink():
        copy_run(output, plan.out_dir if accepted else plan.folder / "out")
    return True


def take_over_baseline(
    session: Path, template: Template, run_0: Path, metrics: dict[str, float]
) -> BaselineOutcome | None:
    """Copies the `run_0` of another session; None if its results are not `metrics`."""
    if not metrics or metrics != _metrics(template, run_0):
        return None
    copy_run(run_0, session / "run_0")
    return checked_baseline(template, session / "run_0", "reused")


def _metrics(template: Template, out_dir: Path, is_smoke: bool = False) -> dict[str, float]:
    try:
        return (read_results(out_dir) if is_smoke else graded_results(template, out_dir)).metrics
    except ResultError:
        return {}


def _is_file(path: Path) -> bool:
    try:
        return stat.S_ISREG(os.lstat(path).st_mode)
    except OSError:
        return False
