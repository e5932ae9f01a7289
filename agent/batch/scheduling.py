"""Pure scheduling decisions: which session gets the next free slot, and when to start another one.

Sessions that are further along go first, so that results come early, and templates take turns. On its own, this rule
ends with a few long sessions on a nearly idle machine. So a session that would finish after all other work goes first
(critical-path list scheduling, Graham 1969).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

_FIRST = 3  # sessions per slot: while some wait for the model, others run
_AHEAD = 1.5  # safety factor on the critical path: the means are only estimates


@dataclass(frozen=True)
class Candidate:
    """A session waiting for a slot. `runs_left` includes its current run."""

    session: str
    template: str
    runs_closed: int
    attempts: int  # at its current run
    runs_left: int
    since: float  # when it began to wait, in seconds of the monotonic clock


@dataclass
class Means:
    """Mean seconds per run in this batch, on a slot and with the model; guesses until a run has closed."""

    on_slot: float = 60.0
    thinking: float = 60.0
    slot_seconds: float = 0.0
    thinking_seconds: float = 0.0
    runs: int = 0

    def slot_was_held(self, seconds: float) -> None:
        """Adds time on a slot."""
        self.slot_seconds += seconds
        self._update()

    def model_thought(self, seconds: float) -> None:
        """Adds time with the model."""
        self.thinking_seconds += seconds
        self._update()

    def run_was_closed(self) -> None:
        """Adds one run to divide by."""
        self.runs += 1
        self._update()

    def _update(self) -> None:
        if self.runs:
            self.on_slot, self.thinking = self.slot_seconds / self.runs, self.thinking_seconds / self.runs

    @property
    def run(self) -> float:
        """Mean seconds of a whole run."""
        return self.on_slot + self.thinking


def is_critical(runs_left: int, runs_left_in_all: int, slots: int, means: Means) -> bool:
    """Whether a session with `runs_left` would be the last to end if it waited now."""
    return runs_left * means.run * _AHEAD >= runs_left_in_all * means.on_slot / slots


def next_in_line(
    waiting: Sequence[Candidate], runs_left_in_all: int, slots: int, means: Means, held: Mapping[str, int]
) -> Candidate:
    """The session that gets the free slot. `held` counts slots per template; the template with fewest goes first."""

    def order(one: Candidate) -> tuple[object, ...]:
        critical = is_critical(one.runs_left, runs_left_in_all, slots, means)
        path = -one.runs_left if critical else 0
        return (path, held.get(one.template, 0), -one.runs_closed, -one.attempts, one.since)

    return min(waiting, key=order)


def may_begin(at_work: int, waiting: int, planning: int, free: int, slots: int, most: int, critical: bool) -> bool:
    """Whether to start another session now.

    `at_work` sessions are open; `waiting` of them wait for a slot and `planning` have not asked for one yet. There are
    at most three sessions per slot, and more only while a slot would stay free, up to `most`.
    """
    if at_work >= most:
        return False
    if at_work < _FIRST * slots or critical:
        return True
    return waiting == 0 and planning < free
