"""The budgets shared by the sessions of a batch, kept by the batch's process alone."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ai_sci.agent.batch.children import Child
from ai_sci.agent.batch.messages import Refused, Reserve, Reserved, Settle, SharedLimits
from ai_sci.agent.budgets import Amount, Answer, Budgets, Granted, Ledger, Refusal
from ai_sci.agent.journal import State
from ai_sci.experiment.attempt import measure_disk


class BudgetManager:
    """`spent` is what each session has spent so far, including calls and attempts whose outcome is unknown."""

    def __init__(self, budgets: Budgets, spent: Mapping[str, Amount]) -> None:
        self.ledger = Ledger(budgets, spent)

    def reserve(self, child: Child, asked: Reserve) -> None:
        """Answers a request for a reserve, at once or when other sessions have settled."""
        _answer(child, self.ledger.reserve(child.session, asked.worst_case))

    def settle(self, child: Child, said: Settle, children: Mapping[str, Child]) -> None:
        """Replaces the child's reserve with what it spent and answers requests that now fit."""
        self.ledger.settle(child.session, said.reserved, said.spent)
        self._answer_waiting(children)

    def gone(self, child: Child, gpu_seconds: float, disk: int, children: Mapping[str, Child]) -> None:
        """Closes the account of an ended child. Its reserves count as spent, GPUs and disk at most as given here."""
        self.ledger.abandon(child.session, gpu_seconds, disk)
        self._answer_waiting(children)

    def tell_what_is_left(self, child: Child) -> None:
        """Sends the child the shared limits and what is left of them."""
        child.answer(SharedLimits(self.ledger.limits))

    def _answer_waiting(self, children: Mapping[str, Child]) -> None:
        for name, answer in self.ledger.answers():
            _answer(children[name], answer)


def _answer(child: Child, answer: Answer) -> None:
    match answer:
        case Granted():
            child.answer(Reserved())
        case Refusal(reason=reason):
            child.answer(Refused(reason))


def spent_by(folder: Path, session: State | None) -> Amount:
    """What a session has spent so far, including calls and attempts whose outcome is unknown."""
    if session is None:
        return Amount()
    return session.spent.committed + Amount(disk=measure_disk([folder])[0])
