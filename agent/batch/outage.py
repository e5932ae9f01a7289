"""When the model's server is away, the batch waits for it to come back, in place of losing one idea after the other."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from ai_sci.agent.journal import CallFailed, Replied, State, Status, read_journal
from ai_sci.agent.session import JOURNAL
from ai_sci.experiment.base import seconds_in

_PASSING = ("connection", "timeout", "rate_limited", "server_error", "cut", "stream_error", "conflict")
_FIRST_WAIT = 60.0  # seconds
_LONGEST_WAIT = 1800.0
_TRIES = 20  # with the longest wait between them: most of a night


def is_outage(folder: Path, state: State) -> bool:
    """Whether the session ended because its server could not be reached or was too busy, which passes."""
    if state.status is not Status.model_unavailable:
        return False
    calls = [entry.event for entry in read_journal(folder / JOURNAL) if isinstance(entry.event, (CallFailed, Replied))]
    return bool(calls) and isinstance(calls[-1], CallFailed) and calls[-1].failure in _PASSING


@dataclass
class Outage:
    """`until`: no session is begun before that moment on the monotonic clock."""

    until: float = 0.0
    tries: int = 0

    def begins(self) -> float | None:
        """A session has found the server away: seconds to wait now, None when it has been away for too long."""
        if time.monotonic() < self.until:
            return self.until - time.monotonic()
        if self.tries >= _TRIES:
            return None
        first = seconds_in("AI_SCI_OUTAGE_WAIT")
        wait = min(_LONGEST_WAIT, (_FIRST_WAIT if first is None else first) * 2**self.tries)
        self.tries += 1
        self.until = time.monotonic() + wait
        return wait

    def is_over(self) -> None:
        self.until, self.tries = 0.0, 0

    @property
    def lasts(self) -> bool:
        return time.monotonic() < self.until
