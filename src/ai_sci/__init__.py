"""ai-sci: autonomous experiments for machine-learning researchers.

    from ai_sci import run

    session = run(idea="fourier_features", template="tiny", max_runs=2)
    pandas.DataFrame(session.table())

Public is what `__all__` names (docs/python.md). Every other module may change from one version to the next.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ai_sci.agent.api import (
        AiSciError as AiSciError,
    )
    from ai_sci.agent.api import (
        AttemptView as AttemptView,
    )
    from ai_sci.agent.api import (
        BaselineView as BaselineView,
    )
    from ai_sci.agent.api import (
        BatchOptions as BatchOptions,
    )
    from ai_sci.agent.api import (
        BatchStopped as BatchStopped,
    )
    from ai_sci.agent.api import (
        BatchView as BatchView,
    )
    from ai_sci.agent.api import (
        Budgets as Budgets,
    )
    from ai_sci.agent.api import (
        ConfigError as ConfigError,
    )
    from ai_sci.agent.api import (
        EnvironmentFailed as EnvironmentFailed,
    )
    from ai_sci.agent.api import (
        Idea as Idea,
    )
    from ai_sci.agent.api import (
        JournalError as JournalError,
    )
    from ai_sci.agent.api import (
        ReplayOptions as ReplayOptions,
    )
    from ai_sci.agent.api import (
        ReplyView as ReplyView,
    )
    from ai_sci.agent.api import (
        ResumeOptions as ResumeOptions,
    )
    from ai_sci.agent.api import (
        RunOptions as RunOptions,
    )
    from ai_sci.agent.api import (
        RunView as RunView,
    )
    from ai_sci.agent.api import (
        SessionInterrupted as SessionInterrupted,
    )
    from ai_sci.agent.api import (
        SessionStopped as SessionStopped,
    )
    from ai_sci.agent.api import (
        SessionView as SessionView,
    )
    from ai_sci.agent.api import (
        SpentView as SpentView,
    )
    from ai_sci.agent.api import (
        Status as Status,
    )
    from ai_sci.agent.api import (
        batch as batch,
    )
    from ai_sci.agent.api import (
        open_batch as open_batch,
    )
    from ai_sci.agent.api import (
        open_session as open_session,
    )
    from ai_sci.agent.api import (
        replay as replay,
    )
    from ai_sci.agent.api import (
        resume as resume,
    )
    from ai_sci.agent.api import (
        resume_batch as resume_batch,
    )
    from ai_sci.agent.api import (
        run as run,
    )

__version__ = "0.1.0"
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


def __getattr__(name: str) -> Any:
    """Imports the rest of ai-sci when it is first asked for: importing the package alone costs nothing."""
    if name not in __all__:
        raise AttributeError(f"module 'ai_sci' has no attribute {name!r}")
    from ai_sci.agent import api

    value = globals()[name] = getattr(api, name)
    return value


def __dir__() -> list[str]:
    return [*globals(), *__all__]
