"""While the model's server is down, the batch waits for it instead of failing one idea after another."""

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
_TRIES = 20  # mostly at the longest wait: about eight hours


def is_outage(folder: Path, state: State) -> bool:
    """Whether the session ended because its server was unreachable or overloaded, which is temporary."""
    if state.status is not Status.model_unavailable:
        return False
    calls = [entry.event for entry in read_journal(folder / JOURNAL) if isinstance(entry.event, (CallFailed, Replied))]
    return bool(calls) and isinstance(calls[-1], CallFailed) and calls[-1].failure in _PASSING


@dataclass
class Outage:
    """Exponential backoff. No session starts before `until`, in seconds of the monotonic clock."""

    until: float = 0.0
    tries: int = 0

    def begins(self) -> float | None:
        """Notes that a session found the server down. Returns the seconds to wait, None to give up."""
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
        """Resets the backoff: the server has answered."""
        self.until, self.tries = 0.0, 0

    @property
    def lasts(self) -> bool:
        """Whether the batch is still waiting."""
        return time.monotonic() < self.until
