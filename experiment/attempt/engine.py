"""Who executes attempts: what every engine promises, and the engine that is this machine."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from ai_sci.experiment.attempt.runner import AttemptOutcome, AttemptPlan, OnLaunch, OnOutput, run_attempt
from ai_sci.experiment.base import Allocation, ConfigError, Limits


class Engine(Protocol):
    """Executes attempts. A session has one; it returns when the outcome is known."""

    def run(self, plan: AttemptPlan, on_launch: OnLaunch, on_output: OnOutput) -> AttemptOutcome:
        """Waits for a place, executes the attempt there, and gives the place back. Raises as `run_attempt` does.

        It may be executed more than once, each time in a fresh folder; one outcome counts, and its files end up where
        `run_attempt` leaves them. `on_launch` is called once, when the attempt begins: what is executed before that may
        be left behind by a crash, and must do no harm. Whatever is raised meanwhile (Ctrl-C, a full disk) ends it.
        """
        ...

    def reattach(self, plan: AttemptPlan, job: str, on_output: OnOutput) -> AttemptOutcome | None:
        """The outcome of a job that an earlier ai-sci began and did not see the end of; None when it is lost.

        Can be repeated, since this ai-sci may die too. What is lost is executed again, with another attempt number.
        """
        ...


class Slots(Protocol):
    """Where places on this machine come from."""

    def slot(self, plan: AttemptPlan, tell: OnOutput) -> AbstractContextManager[Allocation]:
        """Waits until a place for this attempt is free, and holds it. `tell` hears what it waits for."""
        ...


@runtime_checkable
class EngineKind(Protocol):
    """What `--engine NAME` stands for; other packages bring theirs as entry points of the group `ai_sci.engines`.

    `uses_slots`: its attempts run on this machine, each in one of its slots. `jobs_survive`: a job goes on when ai-sci
    dies, and another ai-sci can reattach to it.
    """

    uses_slots: bool
    jobs_survive: bool

    def read_options(self, pairs: Sequence[str], option: str) -> dict[str, str]:
        """`option KEY=VALUE …` of the command line, as the journal keeps it. Raises ConfigError for what cannot be
        meant."""
        ...

    def as_asked(self, limits: Limits, options: Mapping[str, str]) -> Limits:
        """The limits with what these options change in them: the GPUs of a job are reserved and charged for."""
        ...

    def require(self, options: Mapping[str, str]) -> None:
        """Raises ConfigError where no attempt can be executed, and no job be found again."""
        ...

    def check(self, limits: Limits, options: Mapping[str, str], tell: OnOutput) -> None:
        """Whether such attempts would be taken, before anything is spent on a session; a no-op is fine.

        Raises ConfigError when they would not, EnvironmentFailed when nobody answers.
        """
        ...

    def conditions(self, options: Mapping[str, str]) -> str:
        """What stands for the machine in the key of a baseline; "" for this one."""
        ...

    def open(self, options: Mapping[str, str], slots: Slots, time_left: Callable[[], float]) -> Engine:
        """The engine of one session.

        `time_left` gives the seconds that the session still has, and raises KeyboardInterrupt when a signal has come:
        whoever waits calls it now and then, and ends the job when there are none, or when it raises.
        """
        ...


@dataclass(frozen=True)
class LocalEngine:
    """Attempts are processes of this machine."""

    slots: Slots

    def run(self, plan: AttemptPlan, on_launch: OnLaunch, on_output: OnOutput) -> AttemptOutcome:
        return run_attempt(plan, on_launch, on_output, self.slots.slot(plan, on_output))

    def reattach(self, plan: AttemptPlan, job: str, on_output: OnOutput) -> AttemptOutcome | None:
        return None  # a process whose parent died was ended with it


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
