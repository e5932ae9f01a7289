"""A start of unmodified code, for a template that brings its own results: it may never have run on this machine."""

from __future__ import annotations

import shutil
from dataclasses import replace

from ai_sci.experiment.attempt.runner import AttemptOutcome, AttemptPlan

LONGEST = 20.0  # seconds; whatever has not failed by then has started


def start_plan(plan: AttemptPlan) -> AttemptPlan:
    """`plan`, cut to a start: a smoke attempt, else the first seconds of a full one, before the first attempt of run 1.

    Not run 0, whose folder holds the results.
    """
    plan = replace(plan, run=1, attempt=0)
    if plan.template.smoke is not None:
        return replace(plan, kind="smoke")
    return replace(plan, kind="full", limits=replace(plan.limits, time=min(LONGEST, plan.limits.time)))


def drop_output(plan: AttemptPlan, outcome: AttemptOutcome) -> None:
    """Removes what a start wrote; its log stays."""
    for folder in (plan.out_dir, outcome.out_dir):
        shutil.rmtree(folder, ignore_errors=True)
