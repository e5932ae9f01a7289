"""What an aider history contains, where it failed and why: one paragraph, with a rule for each statement."""

from __future__ import annotations

from collections.abc import Callable

from ai_sci.agent.aider_history import findings, run_findings
from ai_sci.agent.aider_history.tool_lines import hints_at_trouble
from ai_sci.agent.aider_history.turns import HistorySession
from ai_sci.agent.aider_history.wording import counted, some, summands, word

FACTS: tuple[Callable[[HistorySession], str], ...] = (run_findings.runs, run_findings.plots, run_findings.last_phase)
FAILURES: tuple[Callable[[HistorySession], str], ...] = (
    findings.refused_requests,
    findings.silent_turns,
    findings.interrupted_replies,
    findings.token_limits,
    findings.refused_edits,
    findings.lint_errors,
    findings.empty_lint_reports,
    run_findings.unchanged_code,
    run_findings.reports_without_reason,
    findings.ending,
    run_findings.dead_baseline,
)


def diagnose(session: HistorySession, of: int = 1) -> str:
    """A paragraph on the session; `of` is how many sessions the file holds."""
    if not session.turns:
        commands = f", besides {counted(session.commands, 'command')} to it" if session.commands else ""
        return f"{_name(session, of)} holds no turn: aider was started, and nothing was asked{commands}."
    facts = [sentence for rule in FACTS if (sentence := rule(session))]
    failed = [sentence for rule in FAILURES if (sentence := rule(session))]
    if not (failed or run_findings.has_failed_runs(session) or _is_unclear(session)):
        failed = ["Nothing in it looks like a failure."]
    return " ".join([_holdings(session, of), *facts, *failed])


def _name(session: HistorySession, of: int) -> str:
    name = "The history" if of == 1 else f"Session {session.number} of {of}"
    return f"{name}, begun {session.started}," if session.started.strip("?") else name


def _holdings(session: HistorySession, of: int) -> str:
    turns, replies = len(session.turns), len(session.replies)
    besides = f" besides {counted(session.commands, 'command')} to aider" if session.commands else ""
    parts = [f"{_name(session, of)} holds {counted(turns, 'turn')}{besides}, {_answered(turns, replies)}"]
    blocks = [turn.blocks for turn in session.turns if turn.blocks]
    if blocks:
        each = f" ({summands(blocks)})" if len(blocks) > 1 else ""
        parts.append(f"with {counted(sum(blocks), 'SEARCH/REPLACE block')}{each}")
    applied = list(dict.fromkeys(name for turn in session.turns for name in turn.applied))
    if applied:
        parts.append(f"and aider says that it edited {some(applied, 'files')}")
    elif blocks and not any(turn.has_edited for turn in session.turns):
        parts.append("and aider does not say that it applied any")
    return ", ".join(parts) + "."


def _is_unclear(session: HistorySession) -> bool:
    """Whether a turn has no reply, something else went wrong, or aider does not say what it did with the blocks."""
    turns = session.turns
    return any(turn.has_failed or hints_at_trouble(turn.tools) for turn in turns) or (
        any(turn.blocks for turn in turns) and not any(turn.has_edited for turn in turns)
    )


def _answered(turns: int, replies: int) -> str:
    if replies == turns:
        return "answered" if turns == 1 else f"{'both' if turns == 2 else 'all'} answered"
    if not replies:
        return "unanswered" if turns == 1 else "none of them answered"
    return f"{word(replies)} of them answered"
