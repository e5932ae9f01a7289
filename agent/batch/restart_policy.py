"""Decides which sessions a batch restarts after their process ended, and which it leaves for a resume."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path

from ai_sci.agent.batch.children import Child
from ai_sci.agent.batch.outage import Outage, is_outage
from ai_sci.agent.batch.plan import LOGS
from ai_sci.agent.journal import State, Status

_CRASHES = 3  # in a row, without progress in between
_FIRST_WAIT = 1.0  # seconds before the first restart; doubled each time


def done_so_far(state: State | None) -> int:
    """A measure of progress: replies plus finished attempts. A resume alone never increases it."""
    if state is None:
        return 0
    attempts = [one for record in state.runs.values() for one in record.attempts if one.verdict != "lost"]
    return state.replies + len(attempts)


@dataclass
class RestartPolicy:
    """The restart decisions of one invocation; a resumed batch starts with a clean slate.

    `answered`: whether the model's server has ever answered a session of this batch.
    """

    answered: bool = False
    outage: Outage = field(default_factory=Outage)
    _held_back: set[str] = field(default_factory=set)
    _not_before: dict[str, float] = field(default_factory=dict)
    _crashes: dict[str, int] = field(default_factory=dict)

    def hold_back(self, name: str) -> None:
        """Leaves the session for a resume of the batch."""
        self._held_back.add(name)

    def is_held_back(self, name: str) -> bool:
        """Whether the session is left for a resume of the batch."""
        return name in self._held_back

    def may_begin(self, name: str) -> bool:
        """Whether the session may be launched now."""
        now = time.monotonic()
        return name not in self._held_back and not self.outage.lasts and now >= self._not_before.get(name, 0.0)

    def after(self, batch: Path, child: Child, code: int, state: State | None, reason: str) -> str | None:
        """Decides on a resumable session and returns a note for the screen. `state` is None without a journal."""
        name = child.session
        if self.answered and state is not None and is_outage(batch / name, state):
            wait = self.outage.begins()
            if wait is None:
                self.hold_back(name)
                return None
            return f"{reason}; no session is begun for {wait:.0f} s"
        if code == 2 or (state is not None and state.status in (Status.budget_exhausted, Status.model_unavailable)):
            self.hold_back(name)
            return None
        self._crashes[name] = 1 if done_so_far(state) > child.done_before else self._crashes.get(name, 0) + 1
        if self._crashes[name] >= _CRASHES:
            self.hold_back(name)
            return f"its process ended {_CRASHES} times without getting on: see {LOGS}/{name}.log"
        wait = _FIRST_WAIT * 2 ** (self._crashes[name] - 1)
        self._not_before[name] = time.monotonic() + wait
        return f"its process ended with code {code}; restarting it"
