"""Budgets: amounts, limits, and who keeps those that sessions share.

Worst cases are reserved first and settled afterwards.
"""

from ai_sci.agent.budgets.broker import BATCH_TIME_IS_UP, Amount, BudgetReached, Budgets, OwnResources, ResourceBroker
from ai_sci.agent.budgets.ledger import Answer, Granted, Ledger, Refusal

__all__ = [
    "Amount",
    "Answer",
    "BATCH_TIME_IS_UP",
    "BudgetReached",
    "Budgets",
    "Granted",
    "Ledger",
    "OwnResources",
    "Refusal",
    "ResourceBroker",
]
