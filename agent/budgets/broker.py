"""What a session asks for before it spends: of its own limits it knows itself, of those that it shares the broker."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Protocol

from ai_sci.experiment.base import Allocation
from ai_sci.experiment.slots import hold_gpus
from ai_sci.experiment.template import gpu_present

if TYPE_CHECKING:
    from ai_sci.experiment.attempt import AttemptPlan


BATCH_TIME_IS_UP = "--max-time of the batch is used up. Resume the batch with a higher --max-time."


class BudgetReached(Exception):
    """The next step may cost more than is left. The session ends for now with `reason`."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True)
class Amount:
    """What a call to a model or an attempt costs, or may cost at most."""

    cost: float = 0.0  # USD
    tokens: int = 0  # sent and received
    gpu_seconds: float = 0.0  # GPUs held, times the seconds for which they were
    disk: int = 0  # bytes

    def __add__(self, other: Amount) -> Amount:
        return Amount(
            self.cost + other.cost,
            self.tokens + other.tokens,
            self.gpu_seconds + other.gpu_seconds,
            self.disk + other.disk,
        )

    def __sub__(self, other: Amount) -> Amount:
        return Amount(
            self.cost - other.cost,
            self.tokens - other.tokens,
            self.gpu_seconds - other.gpu_seconds,
            self.disk - other.disk,
        )


@dataclass(frozen=True)
class Budgets:
    """The most that may be spent in all; None means without limit."""

    cost: float | None = None  # USD
    tokens: int | None = None
    time: float | None = None  # seconds of wall clock
    gpu_hours: float | None = None
    disk: int | None = None  # bytes

    @classmethod
    def of(cls, event: Any) -> Budgets:
        """Those in an event of a session's journal, where each stands under the name of its option."""
        return cls(event.max_cost, event.max_tokens, event.max_time, event.max_gpu_hours, event.max_disk)

    @property
    def by_option(self) -> dict[str, Any]:
        """`max_cost`, `max_tokens`, …: as an event of a session's journal has them."""
        return {f"max_{name}": value for name, value in asdict(self).items()}

    def with_defaults(self, before: Budgets) -> Budgets:
        """These, and where there is none the one of `before`."""
        ours = {name: value for name, value in asdict(self).items() if value is not None}
        return Budgets(**{**asdict(before), **ours})


class ResourceBroker(Protocol):
    """Keeps the limits that sessions share, and gives out the slots of this machine."""

    own: str  # how the options begin that raise the session's own limits

    def reserve(self, worst_case: Amount) -> str | None:
        """Reserves `worst_case` before it can be spent. None when that is done, else why the budget does not allow it.

        Waits while what other sessions have set aside, and may not need, stands in the way.
        """
        ...

    def settle(self, reserved: Amount, spent: Amount) -> None:
        """Gives back what `reserve` set aside, and counts what was really spent."""
        ...

    def time_left(self) -> float:
        """Seconds; infinite without a shared limit."""
        ...

    def left(self) -> Budgets:
        """What is not spent of the shared budgets, whatever others have set aside of it; None without a limit."""
        ...

    def gpus_for(self, plan: AttemptPlan) -> int:
        """How many GPUs the attempt will hold."""
        ...

    def slot(self, plan: AttemptPlan, tell: Callable[[str], None]) -> AbstractContextManager[Allocation]:
        """Waits until a place for this attempt is free, and holds it. `tell` hears what it waits for.

        The place says how much of the shared time is left by then. Raises BudgetReached.
        """
        ...


class OwnResources:
    """Of a session that shares nothing with others."""

    own = "--max-"

    def __init__(self, elsewhere: bool = False) -> None:
        """`elsewhere`: a cluster has the GPUs, not this machine."""
        self._has_gpus = elsewhere or gpu_present()

    def reserve(self, worst_case: Amount) -> str | None:
        return None

    def settle(self, reserved: Amount, spent: Amount) -> None:
        return

    def time_left(self) -> float:
        return math.inf

    def left(self) -> Budgets:
        return Budgets()

    def gpus_for(self, plan: AttemptPlan) -> int:
        return plan.limits.gpus if self._has_gpus else 0

    def slot(self, plan: AttemptPlan, tell: Callable[[str], None]) -> AbstractContextManager[Allocation]:
        return hold_gpus(plan.limits.gpus, tell)
