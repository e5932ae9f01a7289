"""The loop: what the last event in the journal asks for is done, and what came of it is the next event.

baseline → plan+edit → apply → lint → smoke → full → check → commit → tell the model → … → plots → notes.
Killing the process between any two events loses nothing: the next step is computed from the journal alone.
"""

from __future__ import annotations

from ai_sci.agent import interrupts
from ai_sci.agent.journal.events import (
    AttemptFinished,
    AttemptStarted,
    BaselineMeasured,
    CompletionAccepted,
    CompletionDoubted,
    ConversationRebuilt,
    EditApplied,
    OutcomeCommitted,
    PhaseGivenUp,
    PlotsFinished,
    Replied,
    ReplyRejected,
    RunClosed,
    SessionStarted,
    Told,
)
from ai_sci.agent.journal.state import Phase, Status
from ai_sci.agent.loop import prompting
from ai_sci.agent.loop.outcomes import (
    after_attempt,
    after_run,
    ask_for_notes,
    attempt,
    finish_experiments,
    lose,
    measure_baseline,
    take_up,
)
from ai_sci.agent.loop.replies import after_edit, after_failure, ask, take
from ai_sci.agent.loop.session_context import Work
from ai_sci.agent.loop.spending import BudgetReached


def drive(work: Work) -> Status:
    """Works on the session until it ends; returns the status it ended with."""
    while work.state.status is Status.running:
        interrupts.check()
        step(work)
    return work.state.status


def step(work: Work) -> None:
    """One step, unless a budget does not allow it: then the session ends for now."""
    try:
        _step(work)
    except BudgetReached as reached:
        work.session.end(Status.budget_exhausted, reached.reason)


def _step(work: Work) -> None:
    """What the last event asks for."""
    state = work.state
    match state.last:
        case SessionStarted():
            measure_baseline(work)
        case BaselineMeasured(verdict="ok"):
            work.session.record(prompting.task(work.session, work.setup.template))
        case BaselineMeasured(reasons=reasons):
            work.session.end(Status.invalid_baseline, f"the baseline is not usable: {'; '.join(reasons)}")
        case Told() if state.phase is Phase.runs and state.run > state.max_runs:
            finish_experiments(work)
        case Told(prompt="task"):
            work.session.record(prompting.code(work.session))
        case Told() | ConversationRebuilt():
            ask(work)
        case Replied() as reply:
            take(work, reply)
        case EditApplied() as edit:
            after_edit(work, edit)
        case ReplyRejected() as rejected:
            after_failure(work, rejected.verdict)
        case CompletionDoubted():
            work.session.record(prompting.why_completed())
        case CompletionAccepted():
            finish_experiments(work)
        case AttemptStarted() as started if started.job:
            take_up(work, started)
        case AttemptStarted() as started:
            lose(work, started)
        case AttemptFinished() as finished:
            after_attempt(work, finished)
        case OutcomeCommitted() if state.last_attempt.verdict == "lost":
            attempt(work, state.last_attempt.attempt_kind)
        case OutcomeCommitted():
            after_failure(work, state.last_attempt.verdict)
        case RunClosed() as closed:
            after_run(work, closed)
        case PlotsFinished(verdict=verdict) if verdict != "ok" and state.phase is Phase.plots:
            after_failure(work, verdict)
        case PlotsFinished():
            ask_for_notes(work)
        case PhaseGivenUp() if state.phase is Phase.plots:
            ask_for_notes(work)
        case PhaseGivenUp(verdict=verdict):
            work.session.end(Status.completed, f"{prompting.accepted(state)}, without notes: {verdict}")
        case _:
            raise AssertionError(f"no step follows {state.last}")
