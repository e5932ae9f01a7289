"""The loop: the last event in the journal determines the next step, which records the next event.

baseline → plan+edit → apply → lint → smoke → full → check → commit → tell the model → … → plots → notes.
Killing the process between any two events loses nothing: the next step is computed from the journal alone.
"""

from __future__ import annotations

from ai_sci.agent import interrupts
from ai_sci.agent.budgets import BudgetReached
from ai_sci.agent.journal import (
    AttemptFinished,
    AttemptStarted,
    BaselineMeasured,
    CompletionAccepted,
    CompletionDoubted,
    ConversationRebuilt,
    EditApplied,
    OutcomeCommitted,
    Phase,
    PhaseGivenUp,
    PlotsFinished,
    Replied,
    ReplyRejected,
    RunClosed,
    SessionStarted,
    Status,
    Told,
)
from ai_sci.agent.loop import outcome_texts, prompting
from ai_sci.agent.loop.attempt_steps import after_attempt, attempt, reattach, record_lost
from ai_sci.agent.loop.baseline_step import measure_baseline
from ai_sci.agent.loop.closing_steps import after_run, ask_for_notes, finish_experiments
from ai_sci.agent.loop.model_steps import after_edit, after_failure, apply_reply, request_reply
from ai_sci.agent.loop.session_context import SessionContext


def drive(context: SessionContext) -> Status:
    """Steps until the session ends; returns its final status."""
    while context.state.status is Status.running:
        interrupts.check()
        step(context)
    return context.state.status


def step(context: SessionContext) -> None:
    """Takes one step; a budget that forbids it ends the session, which can be resumed."""
    try:
        _step(context)
    except BudgetReached as reached:
        context.session.end(Status.budget_exhausted, reached.reason)


def _step(context: SessionContext) -> None:
    """Takes the step that follows the last event."""
    state = context.state
    match state.last:
        case SessionStarted():
            measure_baseline(context)
        case BaselineMeasured(verdict="ok"):
            context.session.record(prompting.task(context.session, context.execution.template))
        case BaselineMeasured(reasons=reasons):
            context.session.end(Status.invalid_baseline, f"the baseline is not usable: {'; '.join(reasons)}")
        case Told() if state.phase is Phase.runs and state.run > state.max_runs:
            finish_experiments(context)
        case Told(prompt="task"):
            context.session.record(prompting.code(context.session))
        case Told() | ConversationRebuilt():
            request_reply(context)
        case Replied() as reply:
            apply_reply(context, reply)
        case EditApplied() as edit:
            after_edit(context, edit)
        case ReplyRejected() as rejected:
            after_failure(context, rejected.verdict)
        case CompletionDoubted():
            context.session.record(prompting.why_completed())
        case CompletionAccepted():
            finish_experiments(context)
        case AttemptStarted() as started if started.job:
            reattach(context, started)
        case AttemptStarted() as started:
            record_lost(context, started)
        case AttemptFinished() as finished:
            after_attempt(context, finished)
        case OutcomeCommitted() if state.last_attempt.verdict == "lost":
            attempt(context, state.last_attempt.attempt_kind)
        case OutcomeCommitted():
            after_failure(context, state.last_attempt.verdict)
        case RunClosed() as closed:
            after_run(context, closed)
        case PlotsFinished(verdict=verdict) if verdict != "ok" and state.phase is Phase.plots:
            after_failure(context, verdict)
        case PlotsFinished():
            ask_for_notes(context)
        case PhaseGivenUp() if state.phase is Phase.plots:
            ask_for_notes(context)
        case PhaseGivenUp(verdict=verdict):
            context.session.end(Status.completed, f"{outcome_texts.accepted(state)}, without notes: {verdict}")
        case _:
            raise AssertionError(f"no step follows {state.last}")
