"""Who gets the next free slot, and when another idea is begun: pure decisions on what the batch knows at a moment.

Ideas that are further along go first, so that finished ideas come early, and templates take turns. Left alone that rule
ends with a few whole sessions on an almost empty machine. So a session that could not be finished any more by the time
when all other work is done goes before everybody else (the critical path of list scheduling, Graham 1969).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

_FIRST = 3  # sessions for each slot: while some think, others run
_AHEAD = 1.5  # a path counts as critical a little before it is: the means are estimates


@dataclass(frozen=True)
class Candidate:
    """A session that waits for a slot. `runs_left` counts the run that it is working on."""

    session: str
    template: str
    runs_closed: int
    attempts: int  # of the run that it is working on
    runs_left: int
    since: float  # seconds on the clock of the batch


@dataclass
class Means:
    """What a run has taken so far in this batch, in seconds: on a slot, and with the model before it."""

    on_slot: float = 60.0
    thinking: float = 60.0
    slot_seconds: float = 0.0
    thinking_seconds: float = 0.0
    runs: int = 0

    def slot_was_held(self, seconds: float) -> None:
        self.slot_seconds += seconds
        self._update()

    def model_thought(self, seconds: float) -> None:
        self.thinking_seconds += seconds
        self._update()

    def run_was_closed(self) -> None:
        self.runs += 1
        self._update()

    def _update(self) -> None:
        if self.runs:
            self.on_slot, self.thinking = self.slot_seconds / self.runs, self.thinking_seconds / self.runs

    @property
    def run(self) -> float:
        return self.on_slot + self.thinking


def is_critical(runs_left: int, runs_left_in_all: int, slots: int, means: Means) -> bool:
    """Whether a session with so many runs left would be the last to end, if it had to wait now."""
    return runs_left * means.run * _AHEAD >= runs_left_in_all * means.on_slot / slots


def next_in_line(
    waiting: Sequence[Candidate], runs_left_in_all: int, slots: int, means: Means, held: Mapping[str, int]
) -> Candidate:
    """Who gets the slot that is free. `held`: slots that each template has now; the one with fewest goes first."""

    def order(one: Candidate) -> tuple[object, ...]:
        critical = is_critical(one.runs_left, runs_left_in_all, slots, means)
        path = -one.runs_left if critical else 0
        return (path, held.get(one.template, 0), -one.runs_closed, -one.attempts, one.since)

    return min(waiting, key=order)


def may_begin(at_work: int, waiting: int, planning: int, free: int, slots: int, most: int, critical: bool) -> bool:
    """Whether another idea is begun now.

    `at_work` sessions are open, `waiting` of them wait for a slot, `planning` have not asked for their first one yet,
    `free` slots have nobody. Three times as many sessions as slots are begun at once; more only when a slot would stay
    free.
    """
    if at_work >= most:
        return False
    if at_work < _FIRST * slots or critical:
        return True
    return waiting == 0 and planning < free
