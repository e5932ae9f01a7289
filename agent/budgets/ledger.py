"""The shared budgets of a batch: what is spent, what is reserved, and who is waiting.

Pure bookkeeping, without clock, files or processes; the caller holds a lock. Every function is total.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Union

from ai_sci.agent.budgets.broker import Amount, Budgets
from ai_sci.agent.budgets.limit import Limit

_NOTHING = Amount()
_NAMES = ("cost", "tokens", "gpu_seconds", "disk")


@dataclass(frozen=True)
class Granted:
    """The amount is reserved."""


@dataclass(frozen=True)
class Wait:
    """It would fit without the reserves of others, or behind an earlier request."""


@dataclass(frozen=True)
class Refusal:
    """It does not fit, even if all others release their reserves."""

    reason: str


Answer = Union[Granted, Wait, Refusal]


@dataclass
class Account:
    """The account of a holder, which is a session. `unsettled` is what it had reserved when it died."""

    spent: Amount = _NOTHING
    unsettled: Amount = _NOTHING
    reserved: list[Amount] = field(default_factory=list)

    @property
    def committed(self) -> Amount:
        """Spent or unsettled."""
        return self.spent + self.unsettled


class Ledger:
    """Keeps spending plus reserves within the budgets, as long as nobody spends more than was reserved."""

    def __init__(self, budgets: Budgets, spent: Mapping[str, Amount] | None = None) -> None:
        """`spent`: by each session of a resumed batch so far, unsettled calls included."""
        self._budgets = budgets
        self.accounts: dict[str, Account] = {holder: Account(amount) for holder, amount in (spent or {}).items()}
        self._waiting: dict[str, Amount] = {}  # in order of request

    @property
    def committed(self) -> Amount:
        """Spent or unsettled, over all holders."""
        return sum((account.committed for account in self.accounts.values()), _NOTHING)

    @property
    def reserved(self) -> Amount:
        """Reserved at this moment, over all holders."""
        return sum((sum(account.reserved, _NOTHING) for account in self.accounts.values()), _NOTHING)

    @property
    def limits(self) -> dict[str, Limit]:
        """The limits by name, with what is spent; reserves do not count."""
        limits = (self._budgets.limit(name, self._spent(name), shared=True) for name in _NAMES)
        return {limit.name: limit for limit in limits if limit is not None}

    @property
    def waiting(self) -> list[str]:
        """The waiting holders, in order of request."""
        return list(self._waiting)

    def reserve(self, holder: str, worst_case: Amount) -> Answer:
        """Reserve `worst_case` for the holder, if it fits. After a Wait, `answers` delivers the decision."""
        return self._decide(holder, worst_case, self._waiting_before(holder))

    def settle(self, holder: str, reserved: Amount, spent: Amount) -> None:
        """Release the reserve and count what was spent, even if that is more than was reserved."""
        account = self._account(holder)
        if reserved in account.reserved:
            account.reserved.remove(reserved)
        account.spent += spent

    def abandon(self, holder: str, gpu_seconds: float | None = None, disk: int | None = None) -> None:
        """The holder died. Its reserves become unsettled, since a provider charges a call to its end. `gpu_seconds`
        and `disk` are upper bounds of what it used, where the caller knows them."""
        self._waiting.pop(holder, None)
        account = self._account(holder)
        held = sum(account.reserved, _NOTHING)
        account.reserved.clear()
        account.unsettled += Amount(
            held.cost,
            held.tokens,
            held.gpu_seconds if gpu_seconds is None else min(held.gpu_seconds, max(0.0, gpu_seconds)),
            held.disk if disk is None else min(held.disk, max(0, disk)),
        )

    def answers(self) -> list[tuple[str, Granted | Refusal]]:
        """Decisions for holders that need wait no longer, in order of request; call after `settle` or `abandon`."""
        over: list[tuple[str, Granted | Refusal]] = []
        for holder, worst_case in list(self._waiting.items()):
            answer = self._decide(holder, worst_case, self._waiting_before(holder))
            if not isinstance(answer, Wait):
                over.append((holder, answer))
        return over

    def _decide(self, holder: str, worst_case: Amount, before: list[Amount]) -> Answer:
        account = self._account(holder)
        mine = sum(account.reserved, _NOTHING)  # waiting for its own reserves would deadlock
        fits = True
        for name, limit in self.limits.items():
            asked = getattr(worst_case, name)
            if asked <= 0:
                continue
            if not limit.allows(getattr(mine, name) + asked):
                self._waiting.pop(holder, None)
                return Refusal(limit.reason(asked))
            first = not any(getattr(earlier, name) > 0 for earlier in before)
            fits = fits and first and limit.allows(self._reserved(name) + asked)
        if not fits:
            self._waiting[holder] = worst_case
            return Wait()
        self._waiting.pop(holder, None)
        account.reserved.append(worst_case)
        return Granted()

    def _waiting_before(self, holder: str) -> list[Amount]:
        """The earlier requests. A later request for the same resource has to queue behind them, so nobody starves."""
        before: list[Amount] = []
        for other, worst_case in self._waiting.items():
            if other == holder:
                break
            before.append(worst_case)
        return before

    def _account(self, holder: str) -> Account:
        return self.accounts.setdefault(holder, Account())

    def _spent(self, name: str) -> float:
        return sum(getattr(account.committed, name) for account in self.accounts.values())

    def _reserved(self, name: str) -> float:
        return sum(getattr(one, name) for account in self.accounts.values() for one in account.reserved)
