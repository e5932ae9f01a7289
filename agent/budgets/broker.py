"""Amounts, budgets, and the broker that a session asks before it spends from a budget it shares."""

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
    """What a call to a model or an attempt costs, or its worst case."""

    cost: float = 0.0  # USD
    tokens: int = 0  # sent and received
    gpu_seconds: float = 0.0  # GPUs times the seconds they were held
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
    """The most that may be spent in total; None means no limit."""

    cost: float | None = None  # USD
    tokens: int | None = None
    time: float | None = None  # seconds of wall clock
    gpu_hours: float | None = None
    disk: int | None = None  # bytes

    @classmethod
    def of(cls, event: Any) -> Budgets:
        """The budgets in a journal event that names them by option (`max_cost`, …)."""
        return cls(event.max_cost, event.max_tokens, event.max_time, event.max_gpu_hours, event.max_disk)

    @property
    def by_option(self) -> dict[str, Any]:
        """The budgets as a journal event names them: `max_cost`, `max_tokens`, …"""
        return {f"max_{name}": value for name, value in asdict(self).items()}

    def with_defaults(self, before: Budgets) -> Budgets:
        """These budgets, with the unset ones taken from `before`."""
        ours = {name: value for name, value in asdict(self).items() if value is not None}
        return Budgets(**{**asdict(before), **ours})

    def limit(
        self, name: str, used: float, options: str = "--max-", shared: bool = False, unsettled: float = 0.0
    ) -> Limit | None:
        """The limit on an Amount's field `name`, or on "time"; None where there is none.

        `options` is the prefix of the options that raise these budgets.
        """
        field, unit = ("gpu_hours", 3600) if name == "gpu_seconds" else (name, 1)
        amount: float | None = getattr(self, field)
        if amount is None:
            return None
        return Limit(name, amount * unit, used, options + field.replace("_", "-"), shared, unsettled)


class ResourceBroker(Protocol):
    """Enforces the limits that sessions share, and allocates this machine's slots."""

    own: str  # prefix of the options that raise the session's own limits

    def reserve(self, worst_case: Amount) -> None:
        """Reserve `worst_case`. Raises BudgetReached when it cannot fit.

        Blocks while it would fit without the reserves of other sessions, which they may not need.
        """
        ...

    def settle(self, reserved: Amount, spent: Amount) -> None:
        """Release what `reserve` took, and count what was actually spent."""
        ...

    def time_left(self) -> float:
        """Seconds left of the shared time; infinite without a shared limit."""
        ...

    def limits(self) -> Mapping[str, Limit]:
        """The shared limits by name, with what is spent; reserves do not count."""
        ...

    def gpus_for(self, plan: AttemptPlan) -> int:
        """GPUs that the attempt will hold."""
        ...

    def slot(self, plan: AttemptPlan, tell: Callable[[str], None]) -> AbstractContextManager[Allocation]:
        """Wait for a free slot and hold it; `tell` gets a line about what it is waiting for.

        The allocation says how much of the shared time is left by then. Raises BudgetReached.
        """
        ...


class OwnResources:
    """The broker of a session that shares no budget."""

    own = "--max-"

    def __init__(self, elsewhere: bool = False) -> None:
        """`elsewhere`: the GPUs are on a cluster, not this machine."""
        self._has_gpus = elsewhere or gpu_present()

    def reserve(self, worst_case: Amount) -> None:
        """Always granted."""

    def settle(self, reserved: Amount, spent: Amount) -> None:
        """Nothing to release."""

    def time_left(self) -> float:
        """Infinite."""
        return math.inf

    def limits(self) -> Mapping[str, Limit]:
        """None are shared."""
        return {}

    def gpus_for(self, plan: AttemptPlan) -> int:
        """What the plan asks for; 0 where there are no GPUs."""
        return plan.limits.gpus if self._has_gpus else 0

    def slot(self, plan: AttemptPlan, tell: Callable[[str], None]) -> AbstractContextManager[Allocation]:
        """Hold the plan's GPUs, waiting for them to be free."""
        return hold_gpus(plan.limits.gpus, tell)
