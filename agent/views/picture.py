"""The data that `ai-sci watch` draws: text is safe for a terminal, times are seconds since the epoch."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from ai_sci.agent.journal import Spent, Status


class Standing(str, Enum):
    """How an idea stands, in display order."""

    running = "running"
    failed = "failed"
    waiting = "waiting"
    done = "done"


@dataclass(frozen=True)
class IdeaLine:
    """A row of the table of ideas."""

    idea: str
    standing: Standing
    status: str  # the phase of a running session, the status of one that ended
    doing: str = ""  # what it is doing, or why it ended
    since: float | None = None
    limit: float | None = None  # seconds: time limit of the running attempt
    run: int = 0
    runs: int = 0
    verdict: str = ""
    metric: str | None = None
    best: float | None = None
    baseline: float | None = None
    better: bool | None = None  # is `best` better than the baseline? None when equal or unknown
    cost: float = 0.0  # USD


@dataclass(frozen=True)
class RunLine:
    """A row of a session's table of runs; run 0 is the baseline."""

    run: int
    status: str
    attempts: str
    value: float | None
    better: bool | None  # than the baseline


@dataclass(frozen=True)
class Picture:
    """Everything on the screen at one moment; `runs` and `story` are empty for a batch."""

    folder: Path
    at: float
    status: str
    reason: str
    batch: bool
    lines: list[IdeaLine]
    places: list[str]  # one per running attempt; "" where it has no slot of its own
    slots: int  # 0 when limited by a cluster or not at all
    spent: Spent
    elapsed: float  # seconds
    budgets: dict[str, float]  # field of Budgets -> what is left
    troubles: list[str]
    runs: list[RunLine]
    story: list[tuple[float, str]]

    @property
    def counts(self) -> Counter[Standing]:
        """How many ideas have each standing."""
        return Counter(line.standing for line in self.lines)

    @property
    def over(self) -> bool:
        """Whether nothing is running any longer."""
        return self.status != Status.running.value
