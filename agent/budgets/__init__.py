"""Budgets: amounts, limits, and who keeps those that sessions share.

Worst cases are reserved first and settled afterwards.
"""

from ai_sci.agent.budgets.broker import Amount, Budgets, OwnResources, ResourceBroker
from ai_sci.agent.budgets.ledger import Answer, Granted, Ledger, Refusal
from ai_sci.agent.budgets.limit import BudgetReached, Limit

__all__ = [
    "Amount",
    "Answer",
    "BudgetReached",
    "Budgets",
    "Granted",
    "Ledger",
    "Limit",
    "OwnResources",
    "Refusal",
    "ResourceBroker",
]
