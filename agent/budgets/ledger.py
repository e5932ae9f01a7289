"""The budgets that the sessions of a batch share: what is spent, what is set aside, and who waits for the rest.

No clock, no files, no processes: whoever calls it holds a lock. Every function is total.
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
    """It is set aside."""


@dataclass(frozen=True)
class Wait:
    """It fits, but for what others have set aside and may not need, or who asked before."""


@dataclass(frozen=True)
class Refusal:
    """It does not fit, whatever the others do."""

    reason: str


Answer = Union[Granted, Wait, Refusal]


@dataclass
class Account:
    """Of one holder, which is a session. `unsettled` is what it had set aside when it died: it may be spent."""

    spent: Amount = _NOTHING
    unsettled: Amount = _NOTHING
    reserved: list[Amount] = field(default_factory=list)

    @property
    def committed(self) -> Amount:
        return self.spent + self.unsettled


class Ledger:
    """Never more than the budget is spent and set aside together, as long as nobody spends more than was set aside."""

    def __init__(self, budgets: Budgets, spent: Mapping[str, Amount] | None = None) -> None:
        """`spent`: by the sessions until now, unsettled calls included, when a batch goes on."""
        self._budgets = budgets
        self.accounts: dict[str, Account] = {holder: Account(amount) for holder, amount in (spent or {}).items()}
        self._waiting: dict[str, Amount] = {}  # in the order of asking

    @property
    def committed(self) -> Amount:
        """Spent or unsettled, by all."""
        return sum((account.committed for account in self.accounts.values()), _NOTHING)

    @property
    def reserved(self) -> Amount:
        """Set aside at this moment, by all."""
        return sum((sum(account.reserved, _NOTHING) for account in self.accounts.values()), _NOTHING)

    @property
    def limits(self) -> dict[str, Limit]:
        """By their names, with what is spent, whatever is reserved beside it."""
        limits = (self._budgets.limit(name, self._spent(name), shared=True) for name in _NAMES)
        return {limit.name: limit for limit in limits if limit is not None}

    @property
    def waiting(self) -> list[str]:
        """Who waits, in the order of asking."""
        return list(self._waiting)

    def reserve(self, holder: str, worst_case: Amount) -> Answer:
        """Reserves `worst_case` for the holder, if it fits. A holder that is told to wait is asked for by `answers`."""
        return self._decide(holder, worst_case, self._waiting_before(holder))

    def settle(self, holder: str, reserved: Amount, spent: Amount) -> None:
        """Gives back what was set aside, and counts what was spent, which is also what was spent beyond it."""
        account = self._account(holder)
        if reserved in account.reserved:
            account.reserved.remove(reserved)
        account.spent += spent

    def abandon(self, holder: str, gpu_seconds: float | None = None, disk: int | None = None) -> None:
        """The holder is dead. All that it had set aside counts from now on, since it may be spent: a call under way is
        charged to its end. Of GPUs and disk it had no more than `gpu_seconds` and `disk`, where the caller knows."""
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
        """Those whose waiting is over, in the order of asking: to be called after `settle` and `abandon`."""
        over: list[tuple[str, Granted | Refusal]] = []
        for holder, worst_case in list(self._waiting.items()):
            answer = self._decide(holder, worst_case, self._waiting_before(holder))
            if not isinstance(answer, Wait):
                over.append((holder, answer))
        return over

    def _decide(self, holder: str, worst_case: Amount, before: list[Amount]) -> Answer:
        account = self._account(holder)
        mine = sum(account.reserved, _NOTHING)  # it would wait for itself
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
        """What those want who asked earlier: who wants some of the same gets none before them, so nobody starves."""
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
