"""Which sessions a batch begins again after their process has ended, and which it leaves for a resume."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from agent.batch_children import Child
from agent.batch_outage import Outage, is_outage
from agent.batch_plan import LOGS
from agent.session import journal_length
from agent.state import State, Status

_CRASHES = 3  # in a row, without a new line in its journal


@dataclass
class Comebacks:
    """Of one drive of a batch: a resume begins with nobody held back."""

    held_back: set[str] = field(default_factory=set)
    outage: Outage = field(default_factory=Outage)
    _crashes: dict[str, int] = field(default_factory=dict)

    def after(self, batch: Path, child: Child, code: int, state: State | None, reason: str) -> str | None:
        """Decides on a session that has not ended for good; what to tell of it. `state` is None without a journal."""
        name = child.session
        if state is not None and is_outage(batch / name, state):
            wait = self.outage.begins()
            if wait is not None:
                return f"{reason}; no session is begun for {wait:.0f} s"
            self.held_back.add(name)
            return None
        if code == 2 or (state is not None and state.status in (Status.budget_exhausted, Status.model_unavailable)):
            self.held_back.add(name)
            return None
        moved_on = journal_length(batch / name) > child.length
        self._crashes[name] = 1 if moved_on else self._crashes.get(name, 0) + 1
        if self._crashes[name] < _CRASHES:
            return f"its process ended with code {code}; it goes on in a new one"
        self.held_back.add(name)
        return f"its process ended {_CRASHES} times without getting on: see {LOGS}/{name}.log"
