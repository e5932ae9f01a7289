"""Where the time went: each millisecond between a session's first and last record counts in exactly one share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ai_sci.agent.journal import (
    AttemptFinished,
    AttemptStarted,
    BaselineMeasured,
    BaselineStarted,
    Branched,
    CallFailed,
    CallStarted,
    Entry,
    Event,
    PlotsFinished,
    Replied,
    Resumed,
)

SHARES = {
    "model": "waiting for the model, retries included",
    "experiment": "the experiment's own processes: baseline, smoke and full attempts, plots",
    "grading": "after a process ended: reading, checking and grading what it left",
    "slot": "waiting for a slot",
    "harness": "ai-sci itself: git, linter, sandbox, environments",
    "idle": "nobody worked on the session: between a stop and a resume",
}


@dataclass(frozen=True)
class Night:
    """Milliseconds by share, in the order of SHARES."""

    shares: dict[str, int]

    @property
    def total(self) -> int:
        """Milliseconds in all shares."""
        return sum(self.shares.values())


def where_it_went(entries: Sequence[Entry]) -> Night:
    """Splits the session's own time; records that a branch copied from its origin, before `branched`, do not count."""
    shares = dict.fromkeys(SHARES, 0)
    own = max((index for index, entry in enumerate(entries) if isinstance(entry.event, Branched)), default=0)
    waited = next((one.event.waited for one in entries[own:] if isinstance(one.event, BaselineMeasured)), 0.0)
    queued = 0.0  # seconds of `waited` after the baseline began, since a job begins when submitted
    for before, entry in zip(entries[own:], entries[own + 1 :]):
        # A clock that was set back must not reduce other shares.
        gap = max(0, round(entry.at * 1000) - round(before.at * 1000))
        if isinstance(entry.event, BaselineStarted):
            queued = max(0.0, waited - gap / 1000)
        for share, claimed in _claims(before.event, entry.event, waited, queued):
            taken = gap if claimed is None else round(min(gap, max(0.0, claimed * 1000)))
            shares[share] += taken
            gap -= taken
    return Night(shares)


def _claims(
    before: Event, event: Event, baseline_waited: float, baseline_queued: float
) -> list[tuple[str, float | None]]:
    """Which shares take how many seconds of the time between two records, in order; None takes the rest."""
    match event:
        case CallStarted() if isinstance(before, CallFailed):
            return [("model", None)]
        case BaselineStarted():
            return [("slot", baseline_waited), ("harness", None)]
        case BaselineMeasured(seconds=seconds) if isinstance(before, BaselineStarted):
            return [("slot", baseline_queued), ("experiment", seconds), ("grading", None)]
        case Replied() | CallFailed():
            return [("model", None)]
        case AttemptStarted(waited=waited):
            return [("slot", waited), ("harness", None)]
        case AttemptFinished(reused="", seconds=seconds, waited=queued) if seconds > 0:
            return [("slot", queued), ("experiment", seconds), ("grading", None)]
        case BaselineMeasured(source="measured", seconds=0):  # a journal of an older version
            return [("experiment", None)]
        case BaselineMeasured(seconds=seconds, waited=waited):
            return [("experiment", seconds), ("slot", waited), ("harness", None)]
        case PlotsFinished():
            return [("experiment", None)]
        case Resumed():
            return [("idle", None)]
    return [("harness", None)]


def together(nights: Sequence[Night]) -> Night:
    """The sum over sessions; where they overlap, this exceeds wall-clock time."""
    return Night({share: sum(night.shares[share] for night in nights) for share in SHARES})
