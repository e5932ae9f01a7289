"""Which sessions a batch begins again after their process has ended, and which it leaves for a resume."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path

from ai_sci.agent.batch.children import Child
from ai_sci.agent.batch.outage import Outage, is_outage
from ai_sci.agent.batch.plan import LOGS
from ai_sci.agent.journal import State, Status

_CRASHES = 3  # in a row, without anything done between them
_FIRST_WAIT = 1.0  # seconds before a session goes on in a new process; twice as long the next time


def done_so_far(state: State | None) -> int:
    """Grows with each reply and each attempt that came to its end, and with nothing that a mere resume writes."""
    if state is None:
        return 0
    attempts = [one for record in state.runs.values() for one in record.attempts if one.verdict != "lost"]
    return state.replies + len(attempts)


@dataclass
class RestartPolicy:
    """Of one drive of a batch: a resume begins with nobody held back.

    `answered`: whether the model's server has ever answered a session of this batch.
    """

    answered: bool = False
    outage: Outage = field(default_factory=Outage)
    _held_back: set[str] = field(default_factory=set)
    _not_before: dict[str, float] = field(default_factory=dict)
    _crashes: dict[str, int] = field(default_factory=dict)

    def hold_back(self, name: str) -> None:
        self._held_back.add(name)

    def is_held_back(self, name: str) -> bool:
        return name in self._held_back

    def may_begin(self, name: str) -> bool:
        """Whether the session may go on at this moment."""
        now = time.monotonic()
        return name not in self._held_back and not self.outage.lasts and now >= self._not_before.get(name, 0.0)

    def after(self, batch: Path, child: Child, code: int, state: State | None, reason: str) -> str | None:
        """Decides on a session that has not ended for good; what to tell of it. `state` is None without a journal."""
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
        return f"its process ended with code {code}; it goes on in a new one"
