"""The first step: measure the baseline, or reuse an earlier measurement, and commit it."""

from __future__ import annotations

import shutil
from pathlib import Path

from ai_sci.agent.journal import REPLAYED, BaselineMeasured, BaselineStarted
from ai_sci.agent.loop import budgeting, outcome_texts
from ai_sci.agent.loop.attempt_steps import MAX_LOST
from ai_sci.agent.loop.recorded_outcomes import earlier_baseline
from ai_sci.agent.loop.session_context import SessionContext
from ai_sci.agent.session import split_artefacts
from ai_sci.experiment.attempt import AttemptLaunch, AttemptOutcome, AttemptPlan
from ai_sci.experiment.base import EnvironmentFailed, Verdict


def measure_baseline(context: SessionContext) -> None:
    """Raises EnvironmentFailed when every try is lost, BudgetReached when a budget runs out."""
    brings = context.execution.template.brings_baseline
    context.session.show("trying the unmodified code" if brings else "measuring the baseline (run 0)")
    key = context.execution.baseline_key
    gpus, waited = 0, 0.0  # of the last launch

    def launched(launch: AttemptLaunch) -> None:
        nonlocal gpus, waited
        gpus, waited = launch.gpus, launch.waited
        if launch.gpus:
            context.session.record(BaselineStarted(launch.gpus, launch.plan.time_limit))

    def execute(plan: AttemptPlan) -> AttemptOutcome:
        nonlocal waited
        reason = ""
        for _ in range(MAX_LOST):
            try:
                outcome = budgeting.execute(context, plan, launched)
            except budgeting.AttemptCutShort:
                # Otherwise a resume with a higher budget would find this job's outcome and mistake it for its own.
                shutil.rmtree(plan.folder / "work", ignore_errors=True)
                raise
            waited, reason = outcome.waited or waited, outcome.reason
            if outcome.verdict is not Verdict.lost:
                return outcome
            budgeting.check_time(context)  # running out of time may be why it was lost
            context.session.output(f"{reason}; it is repeated\n")
        raise EnvironmentFailed(f"the baseline was lost {MAX_LOST} times in a row, the last time because {reason}")

    started = context.session.started
    replayed = started.origin != "" or context.state.model.startswith(REPLAYED)  # what it plays was seen to run
    outcome = earlier_baseline(context, key) or context.execution.measure_baseline(
        *(context.session.folder, execute, context.session.output),
        try_start=not replayed,
        origin=Path(started.template),
    )
    commit = None
    if outcome.metrics:
        tracked, _ = split_artefacts(context.session.folder, context.session.folder / "run_0")
        log = f"attempts/{'run_1.0' if brings else 'run_0.1'}/output.log"
        commit = context.session.commit(
            [*tracked, log],
            f"run 0: baseline {outcome.verdict.value} ({outcome.source})",
            {
                "Run": 0,
                "Verdict": outcome.verdict.value,
                **outcome_texts.metric_trailer(context.execution.template, outcome.metrics),
            },
            body="\n".join(outcome.reasons),
        )
    context.session.record(
        BaselineMeasured(
            metrics=outcome.metrics,
            verdict=outcome.verdict.value,
            reasons=list(outcome.reasons),
            source=outcome.source,
            commit=commit,
            key=key,
            seconds=round(outcome.seconds, 3),
            gpus=gpus,
            waited=round(waited + outcome.waited, 3),
            metrics_source=outcome.metrics_source,
        )
    )
