"""`ai-sci resume`."""

from __future__ import annotations

from dataclasses import replace

from ai_sci.agent.cli.ending import drive_batch, drive_session
from ai_sci.agent.cli.grouping import given, refuse
from ai_sci.agent.cli.options import BudgetOptions, Folder, ModelOptions, SessionBudgetOptions


def resume(folder: Folder, model: ModelOptions, limits: BudgetOptions, each: SessionBudgetOptions) -> None:
    """Continue a session or a batch that stopped early."""
    from ai_sci.agent.batch import is_batch, resume_batch
    from ai_sci.agent.commands import ResumeOptions, resume

    budgets = limits.read()
    options = ResumeOptions(**model.read(), budgets=budgets)
    if is_batch(folder):
        of_each = replace(options, budgets=each.read())
        drive_batch(lambda screen: resume_batch(folder, of_each, budgets, screen))
    refuse(given(each), "is for a batch")
    drive_session(lambda screen: resume(folder, options, screen))
