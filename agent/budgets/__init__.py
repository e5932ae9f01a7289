"""Budgets: amounts, limits, and the broker and ledger of those that sessions share.

The worst case of a step is reserved before it starts and settled afterwards.
"""

from ai_sci.agent.budgets.broker import Amount, Budgets, OwnResources, ResourceBroker
from ai_sci.agent.budgets.ledger import Answer, Granted, Ledger, Refusal
from ai_sci.agent.budgets.limit import BudgetReached, Limit
