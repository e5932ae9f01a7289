"""The Python interface for notebooks and scripts, a sibling of `cli`. See docs/python.md.

This module imports everything that `ai_sci` exports; nothing else is public.
"""

from ai_sci.agent.api.calls import SessionInterrupted, batch, replay, resume, resume_batch, run
from ai_sci.agent.api.opening import open_batch, open_session
from ai_sci.agent.api.values import (
    AttemptView,
    BaselineView,
    BatchView,
    ReplyView,
    RunView,
    SessionView,
    SpentView,
)
from ai_sci.agent.batch import BatchOptions, BatchStopped
from ai_sci.agent.budgets import Budgets
from ai_sci.agent.commands import ReplayOptions, ResumeOptions, RunOptions, SessionStopped
from ai_sci.agent.journal import JournalError, Status
from ai_sci.experiment.base import AiSciError, ConfigError, EnvironmentFailed
from ai_sci.experiment.template import Idea

__all__ = [
    "AiSciError",
    "AttemptView",
    "BaselineView",
    "BatchOptions",
    "BatchStopped",
    "BatchView",
    "Budgets",
    "ConfigError",
    "EnvironmentFailed",
    "Idea",
    "JournalError",
    "ReplayOptions",
    "ReplyView",
    "ResumeOptions",
    "RunOptions",
    "RunView",
    "SessionInterrupted",
    "SessionStopped",
    "SessionView",
    "SpentView",
    "Status",
    "batch",
    "open_batch",
    "open_session",
    "replay",
    "resume",
    "resume_batch",
    "run",
]
