"""What `ai-sci watch` has to show: texts are safe for a terminal, times are seconds since the epoch."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from ai_sci.agent.journal import Spent, Status


class Standing(str, Enum):
    """In the order in which they are worth looking at."""

    running = "running"
    failed = "failed"
    waiting = "waiting"
    done = "done"


@dataclass(frozen=True)
class IdeaLine:
    """One idea."""

    idea: str
    standing: Standing
    status: str  # the phase of a running session, the status of one that ended
    doing: str = ""  # what it waits for, or why it ended
    since: float | None = None
    limit: float | None = None  # seconds: of the attempt that runs
    run: int = 0
    runs: int = 0
    accepted: int = 0
    verdict: str = ""
    metric: str | None = None
    best: float | None = None
    baseline: float | None = None
    better: bool | None = None  # the best than the baseline; None when they are equal or unknown
    cost: float = 0.0  # USD


@dataclass(frozen=True)
class RunLine:
    run: int
    status: str
    attempts: str
    value: float | None
    better: bool | None  # than the baseline


@dataclass(frozen=True)
class Picture:
    """All that is on the screen at one moment; `runs` and `story` are of a single session only."""

    folder: Path
    at: float
    status: str
    reason: str
    batch: bool
    lines: list[IdeaLine]
    places: list[str]  # of the attempts that run; "" where one has no place of its own
    slots: int  # 0 where a cluster or nothing limits them
    spent: Spent
    elapsed: float  # seconds
    budgets: dict[str, float]  # the names of Budgets -> what is left
    troubles: list[str]
    runs: list[RunLine]
    story: list[tuple[float, str]]

    @property
    def counts(self) -> Counter[Standing]:
        return Counter(line.standing for line in self.lines)

    @property
    def over(self) -> bool:
        return self.status != Status.running.value
