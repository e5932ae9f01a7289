"""What a session asks for before it spends: of its own limits it knows itself, of those that it shares the broker."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Protocol

from ai_sci.agent.budgets.limit import Limit
from ai_sci.experiment.base import Allocation
from ai_sci.experiment.slots import hold_gpus
from ai_sci.experiment.template import gpu_present

if TYPE_CHECKING:
    from ai_sci.experiment.attempt import AttemptPlan


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

    def limit(
        self, name: str, used: float, options: str = "--max-", shared: bool = False, unsettled: float = 0.0
    ) -> Limit | None:
        """The limit on an Amount's field `name`, or on "time"; None where there is none.

        `options` is how the options begin that raise these budgets.
        """
        field, unit = ("gpu_hours", 3600) if name == "gpu_seconds" else (name, 1)
        amount: float | None = getattr(self, field)
        if amount is None:
            return None
        return Limit(name, amount * unit, used, options + field.replace("_", "-"), shared, unsettled)


class ResourceBroker(Protocol):
    """Keeps the limits that sessions share, and gives out the slots of this machine."""

    own: str  # how the options begin that raise the session's own limits

    def reserve(self, worst_case: Amount) -> None:
        """Reserves `worst_case` before it can be spent. Raises BudgetReached when the budget does not allow it.

        Waits while what other sessions have set aside, and may not need, stands in the way.
        """
        ...

    def settle(self, reserved: Amount, spent: Amount) -> None:
        """Gives back what `reserve` set aside, and counts what was really spent."""
        ...

    def time_left(self) -> float:
        """Seconds; infinite without a shared limit."""
        ...

    def limits(self) -> Mapping[str, Limit]:
        """The shared limits by their names, as far as they are spent now, whatever others have reserved of them."""
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

    def reserve(self, worst_case: Amount) -> None:
        return

    def settle(self, reserved: Amount, spent: Amount) -> None:
        return

    def time_left(self) -> float:
        return math.inf

    def limits(self) -> Mapping[str, Limit]:
        return {}

    def gpus_for(self, plan: AttemptPlan) -> int:
        return plan.limits.gpus if self._has_gpus else 0

    def slot(self, plan: AttemptPlan, tell: Callable[[str], None]) -> AbstractContextManager[Allocation]:
        return hold_gpus(plan.limits.gpus, tell)
