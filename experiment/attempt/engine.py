"""Who executes attempts: this machine, one at a time for each slot, or a cluster."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Protocol

from ai_sci.experiment.attempt.runner import AttemptOutcome, AttemptPlan, run_attempt
from ai_sci.experiment.base import Allocation, ProcessIdentity


@dataclass(frozen=True)
class AttemptLaunch:
    """What is known of an attempt when it begins: the process here, or the job elsewhere that executes it.

    `waited`: seconds until its place was free. `gpus`: how many it has for itself. `time_left`: for how many seconds it
    may stay there; less than its limit when it has waited for long.
    """

    process: ProcessIdentity | None
    job: str = ""
    place: str = ""
    gpus: int = 0
    waited: float = 0.0
    time_left: float = math.inf


OnLaunch = Callable[[AttemptLaunch], None]
OnOutput = Callable[[str], None]


class Engine(Protocol):
    """Executes attempts. A session has one; it returns when the outcome is known."""

    def run(self, plan: AttemptPlan, on_launch: OnLaunch, on_output: OnOutput) -> AttemptOutcome:
        """Waits for a place, executes the attempt there, and gives the place back. Raises as `run_attempt` does."""
        ...

    def reattach(self, plan: AttemptPlan, job: str, on_output: OnOutput) -> AttemptOutcome | None:
        """The outcome of a job that an earlier ai-sci began and did not see the end of; None when it is lost."""
        ...


class Slots(Protocol):
    """Where places on this machine come from."""

    def slot(self, plan: AttemptPlan, tell: OnOutput) -> AbstractContextManager[Allocation]:
        """Waits until a place for this attempt is free, and holds it. `tell` hears what it waits for."""
        ...


@dataclass(frozen=True)
class LocalEngine:
    """Attempts are processes of this machine."""

    slots: Slots

    def run(self, plan: AttemptPlan, on_launch: OnLaunch, on_output: OnOutput) -> AttemptOutcome:
        allocation, waited = Allocation(), 0.0

        @contextmanager
        def slot() -> Iterator[Allocation]:
            nonlocal allocation, waited
            asked = time.monotonic()
            with self.slots.slot(plan, on_output) as allocation:
                waited = time.monotonic() - asked
                yield allocation

        def began(process: ProcessIdentity) -> None:
            gpus = len(allocation.gpus or ())
            on_launch(
                AttemptLaunch(
                    process, place=allocation.name, gpus=gpus, waited=round(waited, 3), time_left=allocation.time_left
                ),
            )

        return run_attempt(plan, began, on_output, slot())

    def reattach(self, plan: AttemptPlan, job: str, on_output: OnOutput) -> AttemptOutcome | None:
        return None  # a process whose parent died was ended with it
