"""Steps after a run: the next run, or the plots and notes that end a session."""

from __future__ import annotations

from ai_sci.agent.journal import PlotsFinished, RunClosed, Status
from ai_sci.agent.loop import budgeting, outcome_texts, prompting
from ai_sci.agent.loop.run_steps import close_run
from ai_sci.agent.loop.session_context import SessionContext
from ai_sci.agent.session import NOTES, PLOT


def after_run(context: SessionContext, closed: RunClosed) -> None:
    """Reports the run to the model, unless the experiments are over or the model makes no progress."""
    state = context.state
    if state.completion_accepted:
        finish_experiments(context)
    elif state.runs_without_attempt >= 2:
        context.session.end(Status.gave_up, "two runs in a row were closed without one edit that could be executed")
    else:
        context.session.record(prompting.result(context.session, closed))


def finish_experiments(context: SessionContext) -> None:
    """Moves on to plots and notes. An open run is closed first, which restores the last accepted code."""
    session, state = context.session, context.state
    if state.run_is_open:
        attempts = state.runs[state.run].attempts if state.run in state.runs else []
        close_run(context, attempts[-1].verdict if attempts else "lint_failed" if state.lint else "no_edit")
    elif not state.accepted:
        session.end(Status.no_run_accepted, "no run was accepted")
    elif not (session.folder / PLOT).is_file():
        ask_for_notes(context)
    elif PLOT in session.all_editable:
        session.record(prompting.plots(session))
    else:
        draw_plots(context)


def ask_for_notes(context: SessionContext) -> None:
    """Asks the model for notes.txt, or ends the session where that file is not editable."""
    if NOTES in context.session.all_editable:
        context.session.record(prompting.notes(context.session))
    else:
        context.session.end(Status.completed, outcome_texts.accepted(context.state))


def draw_plots(context: SessionContext) -> None:
    """Runs plot.py and commits what it drew. Raises BudgetReached."""
    session, state = context.session, context.state
    outcome = budgeting.draw(context, context.execution.plot_plan(session.folder, state.plot_attempts + 1))
    commit = session.commit(
        [*(f"plots/{name}" for name in outcome.files), str(outcome.log.relative_to(session.folder))],
        f"plots: {', '.join(outcome.files) or outcome.verdict.value}",
        {"Verdict": outcome.verdict.value},
        body=outcome.reason,
    )
    session.record(PlotsFinished(outcome.verdict.value, outcome.reason, outcome.digest, list(outcome.files), commit))
