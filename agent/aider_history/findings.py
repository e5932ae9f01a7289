"""The rules of a diagnosis: each makes a statement about a session, or none. What is not certain is not said."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ai_sci.agent.aider_history.ai_scientist import (
    Phase,
    phases,
    run_reports,
    task_of,
)
from ai_sci.agent.aider_history.pieces import Kind
from ai_sci.agent.aider_history.tool_lines import ApiError, names_an_error
from ai_sci.agent.aider_history.turns import HistorySession, HistoryTurn, TurnKind
from ai_sci.agent.aider_history.wording import counted, listed, numbers, shortened, times, word
from ai_sci.agent.edits import all_completed

_ALTERNATION = re.compile(
    r"successive (user|assistant)|roles? must alternate|alternate user/assistant|interleave", re.I
)


def refused_requests(session: HistorySession) -> str:
    """Requests that the API refused; those with the same error are told together, with all of their tries."""
    failed = [turn for turn in session.turns if turn.has_failed and turn.error]
    sentences: list[str] = []
    for kind, error in _kinds(failed).items():
        turns = [turn for turn in failed if turn.error and turn.error.kind == kind]
        tries = sum(sum(one.kind == kind for one in turn.errors) for turn in turns)
        why = f"the same {_error(error)} came {times(tries)}" if tries > 1 else _error(error)
        said = f" ({_quoted(error)})" if error.message else ""
        sentence = f"{numbers([turn.number for turn in turns])} got no reply: {why}{said}."
        if _ALTERNATION.search(error.message):
            sentence = f"{_two_in_a_row(session, turns[0])} {sentence}"
        sentences.append(sentence)
    return " ".join(sentences)


def _kinds(failed: Sequence[HistoryTurn]) -> dict[tuple[str, int | None, str], ApiError]:
    """The kinds of errors in order, each with the first of it."""
    kinds: dict[tuple[str, int | None, str], ApiError] = {}
    for turn in failed:
        if turn.error:
            kinds.setdefault(turn.error.kind, turn.error)
    return kinds


def _two_in_a_row(session: HistorySession, first: HistoryTurn) -> str:
    """Why roles did not alternate, judging by the turn before."""
    if first.number == 1:
        return "Two messages of one side in a row reached the API in the first request."
    told = f"Two messages of one side in a row reached the API after turn {first.number - 1}."
    if session.turns[first.number - 2].has_failed:
        return f"{told} That turn has no reply, so its message was followed by the next one."
    return (
        f"{told} That turn has its reply, so they most likely came from what aider puts in front of the chat: its "
        "summary of finished turns is a user message, and so is the one on files that follows it."
    )


def silent_turns(session: HistorySession) -> str:
    """Turns without a reply or an error, where something says why."""
    why = {turn.number: _why_silent(session, turn) for turn in session.turns if turn.has_failed and not turn.error}
    sentences: list[str] = []
    for reason in dict.fromkeys(filter(None, why.values())):
        turns = [number for number, other in why.items() if other == reason]
        have = "has" if len(turns) == 1 else "have"
        reason = reason if len(turns) == 1 else reason.replace("it was", "each was")
        sentences.append(f"{numbers(turns)} {have} no reply: {reason}.")
    return " ".join(sentences)


def _why_silent(session: HistorySession, turn: HistoryTurn) -> str:
    lines = " ".join(turn.tools)
    if "Empty response received" in lines:
        return "the model's answer was empty"
    if any(line.lstrip().startswith("^C") for line in turn.tools):
        return "it was interrupted with Ctrl-C"
    return "the history ends on it" if turn is session.turns[-1] and not turn.tools else ""


def interrupted_replies(session: HistorySession) -> str:
    """Replies that somebody broke off."""
    turns = [turn.number for turn in session.turns if turn.is_interrupted]
    what = "The reply of" if len(turns) == 1 else "The replies of"
    return f"{what} {numbers(turns, 'turn')} {_was(turns)} broken off with Ctrl-C." if turns else ""


def token_limits(session: HistorySession) -> str:
    """Turns at which the model's token limit was reached."""
    turns = [turn.number for turn in session.turns if any("has hit a token limit" in line for line in turn.tools)]
    return f"At {numbers(turns, 'turn')} the model's token limit was reached." if turns else ""


def refused_edits(session: HistorySession) -> str:
    """Turns whose edits aider refused, and when edits were applied again."""
    turns = [turn for turn in session.turns if turn.refused]
    if not turns:
        return ""
    beside = sum(turn.applied_beside for turn in turns)
    others = f" ({counted(beside, 'other block')} of the same replies {_was([0] * beside)} applied)" if beside else ""
    after = next((turn for turn in session.turns[turns[-1].number :] if turn.has_edited), None)
    led = f"edits were applied again at turn {after.number}" if after else "no edit was applied after that"
    return f"aider refused edits of {numbers([turn.number for turn in turns], 'turn')}{others}, and {led}."


def lint_errors(session: HistorySession) -> str:
    """The linter's last errors, and whether a later edit of the same file brought none."""
    found = [turn for turn in session.turns if turn.lint]
    if not found:
        return ""
    last = found[-1]
    texts = list(dict.fromkeys(last.lint))
    more = f" and {word(len(texts) - 4)} more" if len(texts) > 4 else ""
    told = f"After the edits of turn {last.number} the linter found {listed([shortened(one, 80) for one in texts[:4]])}"
    files = {error.file for error in last.lint_errors}
    later = session.turns[last.number :]
    repaired = next((turn for turn in later if files <= set(turn.applied)), None)
    if repaired:
        return f"{told}{more}; after those of turn {repaired.number} it reports none."
    return f"{told}{more}{'' if any(turn.has_edited for turn in later) else '; no later edit repaired that'}."


def empty_lint_reports(session: HistorySession) -> str:
    """Reports of the linter that name no error, and were sent to the model all the same."""
    turns = [turn.number for turn in session.turns if turn.kind is TurnKind.lint and not names_an_error(turn.user)]
    if not turns:
        return ""
    reports = "The linter's report" if len(turns) == 1 else "The linter's reports"
    return (
        f"{reports} that {numbers(turns, 'turn')} answer{'s' if len(turns) == 1 else ''} "
        f"name{'s' if len(turns) == 1 else ''} no error."
    )


def ending(session: HistorySession) -> str:
    """How the session ends, unless that is a normal or an already reported end."""
    last = session.turns[-1]
    if last.is_cut:
        inside = " inside a SEARCH/REPLACE block or a code fence" if _is_open(last) else ""
        return f"It breaks off in the reply of turn {last.number}{inside}."
    if last.has_failed or last.is_interrupted or all_completed(last.reply):
        return ""
    if session.ends_on is Kind.text:
        return (
            ""
            if last.usage
            else f"It ends on the reply of turn {last.number}, without the line on tokens that aider writes after each."
        )
    task = task_of(session)
    if task is None or phases(session)[last.number] is not Phase.experiments or not last.applied:
        return ""  # the normal end of a chat, or one that is told otherwise
    line = shortened(next((line for line in reversed(last.tools) if line.strip()), ""), 120)
    told = f"It ends on aider's line “{line}” after turn {last.number}"
    if run_reports(session):
        return f"{told}: its outcome is not recorded."
    return (
        f"{told}, and no result of a run is in it: if the experiment was run, it was outside of this chat, and what "
        "ended the session there is not recorded."
    )


def _was(of: Sequence[int]) -> str:
    return "was" if len(of) == 1 else "were"


def _is_open(turn: HistoryTurn) -> bool:
    scan = turn.scan
    return bool(scan.fences and scan.fences[-1].close is None)


def _error(error: ApiError) -> str:
    return f"error {error.status}" if error.status else error.name or "error"


def _quoted(error: ApiError) -> str:
    """The server's message, and what kind of error it is, where the status does not say that."""
    name = f"{error.name}: " if error.status and error.name not in ("", "BadRequestError") else ""
    return f"{name}“{shortened(error.message, 220)}”"
