"""One limit, what is used of it, and the message for a next step that does not fit."""

from __future__ import annotations

from dataclasses import dataclass

from ai_sci.experiment.base import format_duration, format_size


class BudgetReached(Exception):
    """The next step may cost more than is left. The session ends for now, with `reason`."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True)
class Limit:
    """A limit on one of an Amount's fields, in its unit, or on "time", in seconds.

    `option` is the command-line option that raises it; `shared` means by all sessions of a batch; `unsettled` is the
    part of `used` that was reserved for calls whose end was never seen.
    """

    name: str
    limit: float
    used: float
    option: str
    shared: bool = False
    unsettled: float = 0.0

    @property
    def left(self) -> float:
        """What is not used yet; 0 when overspent."""
        return max(0.0, self.limit - self.used)

    def allows(self, more: float | None = None) -> bool:
        """Whether `more` fits; if it is None, whether anything is left."""
        return self.used < self.limit if more is None else self.used + more <= self.limit

    def check(self, more: float | None = None) -> None:
        """Raise BudgetReached when `more` does not fit."""
        if not self.allows(more):
            raise BudgetReached(self.reason(more))

    def reason(self, more: float | None = None) -> str:
        """Why the session ends, and the option to raise."""
        limit = f"{self.limit:g} USD" if self.name == "cost" else _words(self.name, self.limit)
        what = f"{self.option} {limit}" + (" of the batch" if self.shared else "")
        unsettled = f" (up to {_words(self.name, self.unsettled)} of it unsettled)" if self.unsettled > 0 else ""
        if self.left <= 0:
            what += f" is used up{unsettled}"
        elif more is None:
            spent = f"{_words(self.name, self.used)} spent{unsettled}"
            what += f" would be passed: {spent}, and {_words(self.name, self.left)} is too little for the next step"
        else:
            spent = f"{_words(self.name, self.used)} spent{unsettled}"
            what += f" would be passed: {spent}, the next step may take {_words(self.name, more)}"
        return f"{what}. Resume{' the batch' if self.shared else ''} with a higher {self.option}."


def _words(name: str, amount: float) -> str:
    if name == "cost":
        return f"{amount:.4f} USD"
    if name == "gpu_seconds":
        return f"{amount / 3600:.4g}"
    if name == "time":
        return format_duration(amount)
    return format_size(int(amount)) if name == "disk" else str(int(amount))
