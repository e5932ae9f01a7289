"""A start of unmodified code, for a template that brings its own results: it may never have run on this machine."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace

from ai_sci.experiment.attempt.runner import AttemptOutcome, AttemptPlan
from ai_sci.experiment.attempt.shared_execution import SharedExecution
from ai_sci.experiment.base import Verdict, format_duration
from ai_sci.keys import mask_keys

LONGEST = 20.0  # seconds; whatever has not failed by then has started


@dataclass(frozen=True)
class StartOutcome:
    """`verdict` is ok unless the code lacks something on this machine, which `reason` names. Times are in seconds."""

    verdict: Verdict = Verdict.ok
    reason: str = ""
    seconds: float = 0.0
    waited: float = 0.0


def check_start(shared: SharedExecution) -> StartOutcome:
    """Starts the code, unless a session on the same code has done so under the same conditions.

    Whatever else goes wrong is told, and is no reason to stop: the code has started, and the model will see it.
    """
    started = shared.kept.with_name(f"{shared.kept.name}.started")
    with shared.alone("starting this code") as waited:
        known, _, said = started.read_text().partition("\n") if started.is_file() else ("", "", "")
        if known == shared.conditions:
            shared.tell(said)
            return StartOutcome(waited=waited)
        if failed := shared.failed_elsewhere():
            return StartOutcome(failed.verdict, f"another session started it: {failed.reason}", waited=waited)
        outcome, missing = shared.run()
        _drop_output(shared.plan, outcome)
        if missing is not None:
            reason = f"the unmodified code does not run here: {outcome.reason.rstrip('.')}. {missing}"
            shared.keep_failure(outcome, reason)
            return StartOutcome(outcome.verdict, reason, outcome.seconds, waited)
        if outcome.verdict is Verdict.timed_out:
            shared.tell(f"it started, and was ended after {format_duration(outcome.seconds)}\n")
        elif outcome.verdict is not Verdict.ok:
            said = f"the unmodified code failed here, so runs may fail in the same way: {outcome.reason}\n"
            shared.tell(said)
        started.write_text(mask_keys(f"{shared.conditions}\n{said}"))
        return StartOutcome(seconds=outcome.seconds, waited=waited)


def start_plan(plan: AttemptPlan) -> AttemptPlan:
    """`plan`, cut to a start: a smoke attempt, else the first seconds of a full one, before the first attempt of run 1.

    Not run 0, whose folder holds the results.
    """
    plan = replace(plan, run=1, attempt=0)
    if plan.template.smoke is not None:
        return replace(plan, kind="smoke")
    return replace(plan, kind="full", limits=replace(plan.limits, time=min(LONGEST, plan.limits.time)))


def _drop_output(plan: AttemptPlan, outcome: AttemptOutcome) -> None:
    """Removes what a start wrote; its log stays."""
    for folder in (plan.out_dir, outcome.out_dir):
        shutil.rmtree(folder, ignore_errors=True)
