"""The budgets that the sessions of a batch share: what is spent, what is set aside, and who waits for the rest.

No clock, no files, no processes: whoever calls it holds a lock. Every function is total.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Union

from ai_sci.agent.budgets.broker import Amount, Budgets
from ai_sci.experiment.base import format_size

_NOTHING = Amount()
_OPTIONS = {"cost": "--max-cost", "tokens": "--max-tokens", "gpu_seconds": "--max-gpu-hours", "disk": "--max-disk"}


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
        self._limits: dict[str, float] = {
            name: limit
            for name, limit in (
                ("cost", budgets.cost),
                ("tokens", budgets.tokens),
                ("gpu_seconds", None if budgets.gpu_hours is None else 3600 * budgets.gpu_hours),
                ("disk", budgets.disk),
            )
            if limit is not None
        }
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
    def left(self) -> Budgets:
        """What is not spent, whatever is set aside of it."""
        rest = {way: max(0.0, limit - self._spent(way)) for way, limit in self._limits.items()}
        return Budgets(
            cost=rest.get("cost"),
            tokens=int(rest["tokens"]) if "tokens" in rest else None,
            gpu_hours=rest["gpu_seconds"] / 3600 if "gpu_seconds" in rest else None,
            disk=int(rest["disk"]) if "disk" in rest else None,
        )

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
        ways = [way for way in self._limits if getattr(worst_case, way) > 0]
        fits = True
        for way in ways:
            limit, spent, reserved = self._limits[way], self._spent(way), self._reserved(way)
            if spent + getattr(mine, way) + getattr(worst_case, way) > limit:
                self._waiting.pop(holder, None)
                return Refusal(_why(way, limit, spent, getattr(worst_case, way)))
            first = not any(getattr(earlier, way) > 0 for earlier in before)
            fits = fits and first and spent + reserved + getattr(worst_case, way) <= limit
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

    def _spent(self, way: str) -> float:
        return sum(getattr(account.spent, way) + getattr(account.unsettled, way) for account in self.accounts.values())

    def _reserved(self, way: str) -> float:
        return sum(getattr(one, way) for account in self.accounts.values() for one in account.reserved)


def _why(way: str, limit: float, spent: float, worst_case: float) -> str:
    option = _OPTIONS[way]
    return (
        f"{option} {_words(way, limit)} of the batch would be passed: its sessions have spent {_words(way, spent)}, "
        f"and the next step may take {_words(way, worst_case)}. Resume the batch with a higher {option}."
    )


def _words(way: str, amount: float) -> str:
    if way == "cost":
        return f"{amount:.4f} USD"
    if way == "gpu_seconds":
        return f"{amount / 3600:.4g}"
    return format_size(int(amount)) if way == "disk" else str(int(amount))
