"""Reads a session from outside, possibly while it runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ai_sci.agent.journal import Entry, SessionEnded, State, Status, fold, read_journal
from ai_sci.agent.session.session import JOURNAL, is_driven
from ai_sci.experiment.base import ConfigError


def read_entries(folder: Path) -> list[Entry]:
    """The journal of a session, which may be running. Raises ConfigError when there is no session."""
    if not (folder / JOURNAL).is_file():
        raise ConfigError(f"{folder} is not a session: it holds no {JOURNAL}.")
    return read_journal(folder / JOURNAL)


def read_state(folder: Path, entries: Sequence[Entry] | None = None) -> State:
    """The session's state after `entries`, by default the whole journal.

    Raises ConfigError when there is no session.
    """
    state = fold(read_entries(folder) if entries is None else entries)
    if state.started is None:
        raise ConfigError(f"{folder / JOURNAL} does not begin with a session.")
    if state.status is Status.running and not is_driven(folder):
        state.status = Status.interrupted  # its process died before it could record an end
        state.ended = SessionEnded(
            state.status.value, "it stopped without a word: ai-sci was killed or could not write"
        )
    return state
