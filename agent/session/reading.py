"""Where a session stands, read from outside: it may be running at this moment."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ai_sci.agent.journal import Entry, SessionEnded, State, Status, fold, read_journal
from ai_sci.agent.session.session import JOURNAL, is_driven
from ai_sci.experiment.base import ConfigError


def read_entries(folder: Path) -> list[Entry]:
    """The journal of a session that may be running at this moment. Raises ConfigError when there is no session."""
    if not (folder / JOURNAL).is_file():
        raise ConfigError(f"{folder} is not a session: it holds no {JOURNAL}.")
    return read_journal(folder / JOURNAL)


def read_state(folder: Path, entries: Sequence[Entry] | None = None) -> State:
    """The state that these entries, by default all of the journal's, leave the session in.

    Raises ConfigError when there is no session.
    """
    state = fold(read_entries(folder) if entries is None else entries)
    if state.started is None:
        raise ConfigError(f"{folder / JOURNAL} does not begin with a session.")
    if state.status is Status.running and not is_driven(folder):
        state.status = Status.interrupted  # nobody works on it, and nobody could write that down
        state.ended = SessionEnded(
            state.status.value, "it stopped without a word: ai-sci was killed or could not write"
        )
    return state
