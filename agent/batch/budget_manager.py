"""The budgets that the sessions of a batch share, as its process keeps them: it answers, and nobody else writes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ai_sci.agent.batch.children import Child
from ai_sci.agent.batch.messages import Refused, Reserve, Reserved, Settle, SharedLimits
from ai_sci.agent.budgets import Amount, Answer, Budgets, Granted, Ledger, Refusal
from ai_sci.agent.journal import State
from ai_sci.experiment.attempt import measure_disk


class BudgetManager:
    """`spent` is by each session until now, calls and attempts of which nobody saw the end included."""

    def __init__(self, budgets: Budgets, spent: Mapping[str, Amount]) -> None:
        self.ledger = Ledger(budgets, spent)

    def reserve(self, child: Child, asked: Reserve) -> None:
        """A child that must wait is answered when others have settled."""
        _answer(child, self.ledger.reserve(child.session, asked.worst_case))

    def settle(self, child: Child, said: Settle, children: Mapping[str, Child]) -> None:
        self.ledger.settle(child.session, said.reserved, said.spent)
        self._go_on(children)

    def gone(self, child: Child, gpu_seconds: float, disk: int, children: Mapping[str, Child]) -> None:
        """The child's process has ended. What it had set aside may be spent, GPUs and disk for no more than this."""
        self.ledger.abandon(child.session, gpu_seconds, disk)
        self._go_on(children)

    def tell_what_is_left(self, child: Child) -> None:
        child.answer(SharedLimits(self.ledger.limits))

    def _go_on(self, children: Mapping[str, Child]) -> None:
        for name, answer in self.ledger.answers():
            _answer(children[name], answer)


def _answer(child: Child, answer: Answer) -> None:
    match answer:
        case Granted():
            child.answer(Reserved())
        case Refusal(reason=reason):
            child.answer(Refused(reason))


def spent_by(folder: Path, session: State | None) -> Amount:
    """By a session until now, calls and attempts of which nobody saw the end included."""
    if session is None:
        return Amount()
    return session.spent.committed + Amount(disk=measure_disk([folder])[0])
