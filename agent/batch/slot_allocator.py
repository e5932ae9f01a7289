"""Allocates the batch's slots to the sessions waiting for them."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence

from ai_sci.agent.batch.children import Child
from ai_sci.agent.batch.messages import GivenSlot, Refused
from ai_sci.agent.batch.scheduling import Candidate, Means, next_in_line
from ai_sci.experiment.base import Allocation
from ai_sci.experiment.slots import Slot, Turns


class SlotAllocator:
    """`slots` are all the batch may use; None when a cluster schedules the attempts."""

    def __init__(self, slots: Sequence[Slot] | None) -> None:
        self._slots = slots
        self._turns = Turns(slots) if slots is not None else None  # one for the batch: its sessions queue here
        self.means = Means()

    @property
    def on_gpus(self) -> bool:
        """Whether the slots are GPUs."""
        return self._slots is None or any(slot.gpu is not None for slot in self._slots)

    @property
    def number(self) -> int:
        """How many slots there are; in effect unlimited on a cluster."""
        return len(self._slots) if self._slots is not None else 1000

    def free(self, children: Sequence[Child]) -> int:
        """Slots that this batch does not hold; another ai-sci may hold them."""
        return self.number - sum(child.slots for child in children)

    def wanted(self, child: Child) -> None:
        """Notes that the child asked for a slot, which ends its time with the model."""
        now = time.monotonic()
        self.means.model_thought(now - child.thinks_since)
        child.wanted_since, child.has_asked = now, True

    def given_back(self, child: Child) -> None:
        """Notes that the child has released its slot."""
        now = time.monotonic()
        if child.held_since is not None:
            self.means.slot_was_held(now - child.held_since)
        child.slots, child.held_since, child.thinks_since = 0, None, now

    def give(self, children: Sequence[Child], runs_left_in_all: int) -> bool:
        """Allocates free slots. Returns False when a session waits for a slot that another ai-sci holds."""
        while waiting := [child for child in children if child.wants is not None]:
            if self._turns is None:
                for child in waiting:
                    self._give(child, Allocation(), 0, ())
                return True
            free = self.free(children)
            child = self._next(waiting, children, runs_left_in_all)
            assert child.wants is not None
            number = max(1, child.wants.gpus) if self.on_gpus else 1
            if number > self.number:
                child.wants = None
                child.answer(Refused(f"an attempt needs {number} GPUs and the batch has {self.number}: use --gpus"))
                continue
            if number > free:
                break
            held = self._turns.take(number)
            if held is None:
                return False
            allocation = held.allocation
            if child.wants.gpus == 0 and allocation.gpus is not None:
                allocation = Allocation(allocation.name, gpus=())  # it takes its turn but sees no GPU
            self._give(child, allocation, number, held.descriptors)
            held.close()
        if self._turns is not None:
            self._turns.leave()
        return True

    def _next(self, waiting: Sequence[Child], children: Sequence[Child], runs_left_in_all: int) -> Child:
        by_name = {child.session: child for child in waiting}
        held = Counter[str]()
        for child in children:
            held[child.template] += child.slots
        candidates = [_candidate(child) for child in waiting]
        return by_name[next_in_line(candidates, runs_left_in_all, self.number, self.means, held).session]

    def _give(self, child: Child, allocation: Allocation, number: int, descriptors: tuple[int, ...]) -> None:
        child.wants, child.slots, child.held_since = None, number, time.monotonic()
        child.answer(GivenSlot(Allocation(allocation.name, allocation.cpus, allocation.gpus)), descriptors)


def _candidate(child: Child) -> Candidate:
    attempts = child.wants.attempt if child.wants else 0
    return Candidate(child.session, child.template, child.runs_closed, attempts, child.runs_left, child.wanted_since)
