"""Steps around an attempt: execute it, reattach to it after a crash, act on its verdict."""

from __future__ import annotations

from dataclasses import replace

from ai_sci.agent.budgets import Amount, BudgetReached
from ai_sci.agent.journal import AttemptFinished, AttemptStarted, OutcomeCommitted, State, Status
from ai_sci.agent.loop import budgeting, outcome_texts
from ai_sci.agent.loop.recorded_outcomes import earlier_attempt
from ai_sci.agent.loop.run_steps import accept
from ai_sci.agent.loop.session_context import SessionContext
from ai_sci.experiment.attempt import AttemptLaunch, AttemptOutcome, AttemptPlan, attempt_key
from ai_sci.experiment.base import ProcessIdentity, Verdict, end_leftover

_ROUNDING = 0.001  # seconds; the journal rounds limits to this
MAX_LOST = 3  # lost attempts in a row before the session stops


def attempt(context: SessionContext, kind: str) -> None:
    """Executes one attempt, or reuses a recorded one. Raises BudgetReached when a budget forbids or cuts it."""
    session, state = context.session, context.state
    budgeting.check_time(context)
    if state.losses >= MAX_LOST:
        session.end(Status.interrupted, f"{MAX_LOST} attempts in a row were lost: {state.last_attempt.reason}")
        return
    run, number = state.run, state.attempt
    plan = context.execution.attempt_plan(session.folder, run, number, kind)
    key = attempt_key(plan, context.execution.conditions_key, state.code_hash)
    if earlier := earlier_attempt(context, plan, key):
        session.record(earlier)
        return
    longest = min(plan.time_limit, budgeting.time_left(context))
    session.show(f"run {run} of {state.max_runs}, attempt {number} ({kind})", limit=longest)

    try:
        outcome = budgeting.execute(context, plan, lambda launch: session.record(_started(state, launch)))
    except budgeting.AttemptCutShort as cut:
        reason = f"a budget ended this attempt, and a resume repeats it: {cut.reason}"
        finished = _finished(plan, replace(cut.outcome, verdict=Verdict.lost, reason=reason), state.code_hash, key)
        session.record(finished)
        commit_failure(context, finished)
        raise
    session.record(_finished(plan, outcome, state.code_hash, key))


def _started(state: State, launch: AttemptLaunch) -> AttemptStarted:
    plan, process = launch.plan, launch.process or ProcessIdentity(0, 0, "")
    return AttemptStarted(
        run=plan.run,
        attempt=plan.attempt,
        attempt_kind=plan.kind,
        code_hash=state.code_hash,
        commit=state.head,
        pid=process.pid,
        process_started=process.started,
        boot_id=process.boot_id,
        job=launch.job,
        place=launch.place,
        gpus=launch.gpus,
        waited=launch.waited,
        limit=round(plan.time_limit, 3),
    )


def _finished(plan: AttemptPlan, outcome: AttemptOutcome, code_hash: str, key: str) -> AttemptFinished:
    return AttemptFinished(
        run=plan.run,
        attempt=plan.attempt,
        attempt_kind=plan.kind,
        verdict=outcome.verdict.value,
        reason=outcome.reason,
        digest=outcome.digest,
        seconds=round(outcome.seconds, 3),
        metrics=outcome.metrics,
        code_hash=code_hash,
        key=key if outcome.repeatable else "",
        place=outcome.place,
        waited=outcome.waited,
        begun=outcome.begun,
        metrics_source=outcome.metrics_source,
    )


def reattach(context: SessionContext, started: AttemptStarted) -> None:
    """Waits for a job that was submitted before ai-sci died; its outcome counts like any other."""
    session = context.session
    plan = context.execution.attempt_plan(session.folder, started.run, started.attempt, started.attempt_kind)
    session.show(f"run {started.run}, attempt {started.attempt}: waiting for job {started.job}")
    spent = context.state.spent.gpu_seconds
    reserved = Amount(gpu_seconds=started.gpus * started.limit)
    try:
        context.broker.reserve(reserved)
    except BudgetReached:  # the job is running anyway, so we may as well wait for its outcome
        reserved = Amount()
    try:
        outcome = context.engine.reattach(plan, started.job, session.output)
        if outcome is None:
            record_lost(context, started)
            return
        if outcome.verdict is Verdict.timed_out and 0 < started.limit < plan.time_limit - _ROUNDING:
            outcome = replace(outcome, verdict=Verdict.lost, reason="a budget ended this attempt; it is repeated")
        key = attempt_key(plan, context.execution.conditions_key, started.code_hash)
        session.record(_finished(plan, outcome, started.code_hash, key))
    finally:
        held = Amount(gpu_seconds=context.state.spent.gpu_seconds - spent)
        context.broker.settle(reserved, held)


def record_lost(context: SessionContext, started: AttemptStarted) -> None:
    """Records an attempt whose outcome nobody saw because ai-sci died; kills any processes it left behind."""
    end_leftover(ProcessIdentity(started.pid, started.process_started, started.boot_id))
    reason = "ai-sci stopped while this attempt ran; it is repeated in a fresh folder"
    context.session.record(
        AttemptFinished(
            run=started.run,
            attempt=started.attempt,
            attempt_kind=started.attempt_kind,
            verdict="lost",
            reason=reason,
            digest="",
            seconds=0.0,
            metrics={},
            code_hash=started.code_hash,
        )
    )


def after_attempt(context: SessionContext, finished: AttemptFinished) -> None:
    """A failure is committed, a good smoke attempt leads to the full one, a good full attempt closes the run."""
    if finished.verdict != "ok":
        commit_failure(context, finished)
    elif finished.attempt_kind == "smoke":
        attempt(context, "full")
    else:
        accept(context, finished)


def commit_failure(context: SessionContext, finished: AttemptFinished) -> None:
    """Commits the log of a failed attempt, with its verdict in the subject."""
    name = f"run {finished.run} attempt {finished.attempt} ({finished.attempt_kind})"
    log = f"attempts/run_{finished.run}.{finished.attempt}/output.log"
    commit = context.session.commit(
        [log], f"{name}: {finished.verdict}", outcome_texts.trailers(context.state, finished), body=finished.reason
    )
    context.session.record(OutcomeCommitted(finished.run, finished.attempt, commit))
