"""Steps with the model: request a reply, apply its edits, report what was wrong with them."""

from __future__ import annotations

import time
from typing import Any

from ai_sci.agent.edits import (
    EditRefused,
    Seen,
    all_completed,
    plan_edits,
    plan_files,
    scan_reply,
    seen_instead,
    write_files,
)
from ai_sci.agent.journal import (
    CompletionAccepted,
    CompletionDoubted,
    EditApplied,
    Message,
    Phase,
    PhaseGivenUp,
    Replied,
    ReplyRejected,
    Status,
    prompt_hash,
    wire_messages,
)
from ai_sci.agent.loop import compaction, outcome_texts, prompting
from ai_sci.agent.loop.attempt_steps import attempt
from ai_sci.agent.loop.budgeting import BudgetedCall
from ai_sci.agent.loop.closing_steps import draw_plots
from ai_sci.agent.loop.run_steps import close_run
from ai_sci.agent.loop.session_context import SessionContext
from ai_sci.agent.loop.silent_cut import window_of_cut
from ai_sci.agent.models import ModelUnavailable, ended_normally
from ai_sci.agent.session import NOTES, PLOT, Session, first_problem

_TOO_LONG = "the task and the code alone are too long for it: resume with a --model that has a larger window"
_CUT = (
    "the server read only about {window} tokens of the prompt, a second time: give it a larger window (Ollama: "
    "OLLAMA_CONTEXT_LENGTH) and resume with --context-window TOKENS; as it is, "
)


def request_reply(context: SessionContext) -> None:
    """Requests one reply, within the budgets. A failed call leaves the conversation unchanged. Raises BudgetReached."""
    session, state = context.session, context.state
    messages = wire_messages(session.journal.events)
    if reason := compaction.needs_compaction(session, messages):
        session.record(compaction.compact(session, reason, None))
        return
    session.show("waiting for the model")
    asked = time.monotonic()
    call = BudgetedCall(context, messages)
    try:
        reply = context.editor.propose(
            session.editable_texts(),
            session.editable,
            messages,
            turn=state.replies,
            on_delta=session.screen.delta,
            on_failure=call.failed,
            before_try=call.before_try,
        )
    except ModelUnavailable as error:
        if error.failure.kind == "out_of_time":
            call.out_of_time()
        _without_reply(context, messages, error)
        return
    cut_to = window_of_cut(messages, reply.usage, session.journal.events)
    hopeless = cut_to is not None and compaction.is_rebuilt(session)
    session.record(
        Replied(
            text=reply.text,
            reasoning=reply.reasoning,
            finish_reason=reply.finish_reason,
            model=context.editor.name,
            prompt_tokens=reply.usage.prompt_tokens,
            completion_tokens=reply.usage.completion_tokens,
            cached_tokens=reply.usage.cached_tokens,
            cost=reply.cost,
            seconds=round(time.monotonic() - asked, 3),
            prompt_hash=prompt_hash(messages),
            files=None if reply.files is None else dict(reply.files),
            cut_to=cut_to,
        )
    )
    call.answered(reply)
    if hopeless:
        session.end(Status.model_unavailable, f"{_CUT.format(window=cut_to)}{_TOO_LONG}")


def _without_reply(context: SessionContext, messages: list[Message], error: ModelUnavailable) -> None:
    """Shortens a conversation that the server rejects as too long, once; any other failure ends the session."""
    session, failure = context.session, error.failure
    if failure.kind not in ("context_window", "too_large"):
        session.end(Status.model_unavailable, str(error))
    elif compaction.can_shrink(session):
        tokens = compaction.estimated_tokens(session.journal.events, messages)
        learned = compaction.learned_window(failure.message, tokens)
        session.record(compaction.compact(session, failure.message, learned))
    else:
        session.end(Status.model_unavailable, f"{str(error).rstrip('.')}; {_TOO_LONG}")


def apply_reply(context: SessionContext, reply: Replied) -> None:
    """Applies the reply's edits, all or none, or records why it cannot."""
    session, state = context.session, context.state
    files = session.editable_texts()
    try:
        if reply.files is not None:
            plan = plan_files(reply.files, files, session.editable)
        else:
            plan = plan_edits(reply.text, files, session.editable, cut_off=reply.finish_reason == "length")
    except EditRefused as refused:
        session.record(ReplyRejected("edit_refused", list(refused.reasons)))
        return
    if plan.new_files and _is_cut_in_reasoning(session, reply):
        session.record(ReplyRejected("edit_refused", [prompting.why_no_edit("reasoning cut off")]))
        return
    if (plan.blocks or all_completed(reply.text)) and _is_broken_off(reply):
        verdict = "edit_refused" if plan.blocks else "no_edit"
        why = prompting.why_no_edit("broken off", reason=reply.finish_reason)
        session.record(ReplyRejected(verdict, [why]))
        return
    if not plan.new_files:
        _apply_reply_without_edit(context, reply, plan.blocks)
        return
    code_hash = session.code_hash(plan.new_files)
    if state.phase is Phase.runs and code_hash != state.code_hash and code_hash in state.executed:
        _reject_without_edit(session, "code known", executed=state.executed[code_hash])
        return
    try:
        write_files(session.folder, plan.new_files)
    except EditRefused as refused:  # such as a link where a file should be, which only shows on writing
        session.record(ReplyRejected("edit_refused", list(refused.reasons)))
        return
    names = sorted(plan.new_files)
    blocks = f"{plan.blocks} block{'s' if plan.blocks != 1 else ''}"
    subject = f"run {state.run}" if state.phase is Phase.runs else str(state.phase)
    commit = session.commit(names, f"edit for {subject}: {', '.join(names)} ({blocks})")
    # Check all of the code: a file that an earlier edit broke may not be part of this one.
    code = session.code_files if state.phase is Phase.runs else []
    from ai_sci.agent.edits.lint import lint_report  # takes 0.1 s to import, which the first request need not wait for

    lint = lint_report(session.folder, [name for name in sorted({*names, *code}) if name.endswith(".py")])
    session.record(EditApplied(names, plan.blocks, commit, code_hash, lint))


def _is_cut_in_reasoning(session: Session, reply: Replied) -> bool:
    """Whether the reply may be nothing but reasoning: it was cut off, and has none where earlier ones have some.

    Where the opening tag is part of the prompt, only the closing one, which did not come, tells reasoning from reply.
    """
    if reply.finish_reason != "length" or reply.reasoning or reply.files is not None:
        return False
    return any(isinstance(event, Replied) and event.reasoning for event in session.journal.events)


def _is_broken_off(reply: Replied) -> bool:
    """Whether the server ended the reply, at a place that tells nothing. A reply at its output limit is judged by where
    it ends, and an editor that returns whole files knows what it does."""
    return reply.files is None and reply.finish_reason != "length" and not ended_normally(reply.finish_reason)


def _apply_reply_without_edit(context: SessionContext, reply: Replied, blocks: int) -> None:
    session, state = context.session, context.state
    if state.phase is Phase.plots and reply.text.strip() and ended_normally(reply.finish_reason):
        draw_plots(context)  # the model is content with plot.py as it is
    elif state.phase is not Phase.runs or not all_completed(reply.text):
        case = _why_no_edit(reply, blocks)
        seen = seen_instead(reply.text, session.editable) if case == "no edit" else Seen()
        _reject_without_edit(session, case, seen=seen)
    elif state.runs:
        session.record(CompletionAccepted())
    elif not state.completion_doubted:
        session.record(CompletionDoubted())
    elif _says_more_than_completed(reply.text):
        session.record(CompletionAccepted())
    else:
        _reject_without_edit(session, "no reason")


def _reject_without_edit(session: Session, case: str, **fields: Any) -> None:
    session.record(ReplyRejected("no_edit", [prompting.why_no_edit(case, **fields)], case))


def _why_no_edit(reply: Replied, blocks: int) -> str:
    """The case in prompts/why_no_edit.md."""
    if blocks:
        return "files unchanged"
    if not reply.text.strip() and reply.finish_reason == "length":
        return "empty, cut off"
    if scan_reply(reply.reasoning).blocks:
        return "edit in reasoning"
    return "no edit" if reply.text.strip() else "empty"


def _says_more_than_completed(text: str) -> bool:
    """Whether the reply gives a reason besides the marker."""
    return any(line.strip() and "ALL_COMPLETED" not in line.replace("\\", "") for line in text.splitlines())


def after_edit(context: SessionContext, edit: EditApplied) -> None:
    """What an accepted edit leads to: an attempt, the plots, or the end; or a rejection, if it has lint errors."""
    if edit.lint:
        context.session.record(ReplyRejected("lint_failed", [first_problem(edit.lint)]))
    elif context.state.phase is Phase.plots:
        draw_plots(context)
    elif context.state.phase is Phase.notes:
        context.session.end(Status.completed, outcome_texts.accepted(context.state))
    elif edit.code_hash in context.state.executed:
        _reject_without_edit(context.session, "code unchanged", files=edit.files)
    else:
        attempt(context, "smoke" if context.execution.template.smoke else "full")


def after_failure(context: SessionContext, verdict: str) -> None:
    """Reports the failure to the model, or after too many in a row gives up on this run, the plots or the notes."""
    session, state = context.session, context.state
    if state.failures < session.started.max_failures:
        session.record(prompting.failure(session, verdict))
    elif state.phase is Phase.runs:
        close_run(context, verdict)
    else:
        given_up = PLOT if state.phase is Phase.plots else NOTES
        session.restore([given_up])
        commit = session.commit([given_up], f"{state.phase}: given up after {state.failures_in_words} ({verdict})")
        session.record(PhaseGivenUp(verdict, commit))
