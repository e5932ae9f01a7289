"""The engine protocols: where attempts are executed, and the engine that uses this machine."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from ai_sci.experiment.attempt.runner import AttemptOutcome, AttemptPlan, OnLaunch, OnOutput, run_attempt
from ai_sci.experiment.base import Allocation, ConfigError, Limits


class Engine(Protocol):
    """Executes the attempts of one session; its methods block until the outcome is known."""

    def run(self, plan: AttemptPlan, on_launch: OnLaunch, on_output: OnOutput) -> AttemptOutcome:
        """Waits for a slot, executes the attempt there, and releases the slot. Raises as `run_attempt` does.

        May execute it more than once, each time in a fresh folder; one outcome counts, and its files end up where
        `run_attempt` leaves them. `on_launch` is called once, when the attempt begins: anything started earlier may be
        left behind by a crash and must be harmless. Any exception (Ctrl-C, a full disk) ends the attempt.
        """
        ...

    def reattach(self, plan: AttemptPlan, job: str, on_output: OnOutput) -> AttemptOutcome | None:
        """The outcome of a job that an earlier ai-sci process started and did not see finish; None if it is lost.

        Repeatable, since this process may die too. A lost job is executed again under a new attempt number.
        """
        ...


class Slots(Protocol):
    """Hands out slots on this machine."""

    def slot(self, plan: AttemptPlan, tell: OnOutput) -> AbstractContextManager[Allocation]:
        """Waits for a free slot for this attempt and holds it while entered. `tell` gets progress messages."""
        ...


@runtime_checkable
class EngineKind(Protocol):
    """What `--engine NAME` selects; other packages add theirs as entry points in the group `ai_sci.engines`.

    `uses_slots`: its attempts run in slots of this machine. `jobs_survive`: a job keeps running when ai-sci dies, and a
    new ai-sci process can reattach to it.
    """

    uses_slots: bool
    jobs_survive: bool

    def read_options(self, pairs: Sequence[str], option: str) -> dict[str, str]:
        """The `option KEY=VALUE …` of the command line, as kept in the journal. Raises ConfigError if invalid."""
        ...

    def as_asked(self, limits: Limits, options: Mapping[str, str]) -> Limits:
        """The limits as changed by these options: the GPUs of a job are reserved and charged for."""
        ...

    def require(self, options: Mapping[str, str]) -> None:
        """Raises ConfigError if this machine can neither execute attempts nor reattach to jobs."""
        ...

    def check(self, limits: Limits, options: Mapping[str, str], tell: OnOutput) -> None:
        """Checks that such attempts would be accepted, before any money is spent; may do nothing.

        Raises ConfigError if they would not be, EnvironmentFailed if the engine does not respond.
        """
        ...

    def conditions(self, options: Mapping[str, str]) -> str:
        """Identifies the machine in the key of a baseline; "" means this one."""
        ...

    def open(self, options: Mapping[str, str], slots: Slots, time_left: Callable[[], float]) -> Engine:
        """The engine of one session.

        `time_left` returns the seconds that the session has left, and raises KeyboardInterrupt after a signal. While
        waiting, call it regularly, and end the job when it returns 0 or raises.
        """
        ...


@dataclass(frozen=True)
class LocalEngine:
    """Attempts are processes of this machine."""

    slots: Slots

    def run(self, plan: AttemptPlan, on_launch: OnLaunch, on_output: OnOutput) -> AttemptOutcome:
        """Runs it in a slot of this machine."""
        return run_attempt(plan, on_launch, on_output, self.slots.slot(plan, on_output))

    def reattach(self, plan: AttemptPlan, job: str, on_output: OnOutput) -> AttemptOutcome | None:
        """Always None: a process is killed with its parent."""
        return None


class _Local:
    """`--engine local`."""

    uses_slots = True
    jobs_survive = False

    def read_options(self, pairs: Sequence[str], option: str) -> dict[str, str]:
        if pairs:
            raise ConfigError(f"{option} {pairs[0]}: --engine local has no options, attempts run on this machine.")
        return {}

    def as_asked(self, limits: Limits, options: Mapping[str, str]) -> Limits:
        return limits

    def require(self, options: Mapping[str, str]) -> None:
        return

    def check(self, limits: Limits, options: Mapping[str, str], tell: OnOutput) -> None:
        return

    def conditions(self, options: Mapping[str, str]) -> str:
        return ""

    def open(self, options: Mapping[str, str], slots: Slots, time_left: Callable[[], float]) -> LocalEngine:
        return LocalEngine(slots)


LOCAL = _Local()
