"""An aider chat history on disk: reading it, and choosing one of its sessions."""

from __future__ import annotations

import codecs
from collections.abc import Sequence
from pathlib import Path

from ai_sci.agent.aider_history.turns import HistorySession, parse_history
from ai_sci.experiment.base import ConfigError


def read_history(file: Path) -> list[HistorySession]:
    """The sessions of the file, at least one. Raises ConfigError for an unreadable file or one that is no history."""
    try:
        sessions = parse_history(_decoded(file.expanduser().read_bytes()))
    except OSError as error:
        raise ConfigError(f"{file}: {error.strerror}") from None
    if not any(session.started or session.first_message for session in sessions):
        raise ConfigError(f"{file} is not an aider chat history, which begins with `# aider chat started at …`.")
    return sessions


def _decoded(content: bytes) -> str:
    """The text; of a file in UTF-16, as Windows' shells write it, too."""
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return content.decode("utf-16", errors="replace")
    if (zeros := content[:400].count(0)) and zeros >= len(content[:400]) // 3:
        return content.decode("utf-16-le" if content[1:2] == b"\0" else "utf-16-be", errors="replace")
    return content.decode("utf-8-sig", errors="replace")


def choose_session(file: Path, sessions: Sequence[HistorySession], number: int | None) -> HistorySession:
    """Session `number`, counting from 1; None means the only one. Raises ConfigError."""
    if number is None and len(sessions) == 1:
        return sessions[0]
    if number is None:
        raise ConfigError(f"{file} holds {len(sessions)} sessions: choose one with --history-session NUMBER.")
    if not 1 <= number <= len(sessions):
        there = "one session" if len(sessions) == 1 else f"{len(sessions)} sessions"
        raise ConfigError(f"{file} holds {there}: there is no session {number}.")
    return sessions[number - 1]


def session_list(sessions: Sequence[HistorySession]) -> str:
    """One line per session: number, time, turns, edits, and the start of its first message."""
    lines = []
    for session in sessions:
        turns = f"{len(session.turns)} turn{'s' if len(session.turns) != 1 else ' '}"
        edits = f"{session.edits} edit{'s' if session.edits != 1 else ' '}"
        lines.append(f"{session.number:>3}  {session.started or '?':<19}  {turns:>9}  {edits:>9}  {_subject(session)}")
    return "\n".join(lines)


def _subject(session: HistorySession) -> str:
    line = next((line.strip() for line in session.first_message.split("\n") if line.strip()), "")
    return line if len(line) <= 80 else line[:79] + "…"
