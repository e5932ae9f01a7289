"""The Python face: what `from ai_sci import …` gives to notebooks and scripts, beside `cli` and on the same rooms.

Everything that `ai_sci` exports is imported here, and nothing else is public. See docs/python.md.
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
