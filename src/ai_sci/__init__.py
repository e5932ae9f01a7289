"""ai-sci: autonomous experiments for machine-learning researchers.

    from ai_sci import run

    session = run(idea="fourier_features", template="tiny", max_runs=2)
    pandas.DataFrame(session.table())

The public interface is `__all__` (see docs/python.md); everything else may change between versions.
"""

# Nothing is imported here: the command takes the current folder off the path first (`__main__`).
TYPE_CHECKING = False  # type checkers take it for true
if TYPE_CHECKING:
    from typing import Any

    from ai_sci.agent.api import (
        AiSciError,
        AttemptView,
        BaselineView,
        BatchOptions,
        BatchStopped,
        BatchView,
        Budgets,
        ConfigError,
        EnvironmentFailed,
        Idea,
        JournalError,
        ReplayOptions,
        ReplyView,
        ResumeOptions,
        RunOptions,
        RunView,
        SessionInterrupted,
        SessionStopped,
        SessionView,
        SpentView,
        Status,
        batch,
        open_batch,
        open_session,
        replay,
        resume,
        resume_batch,
        run,
    )

__version__ = "0.2.0.dev0"
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


def __getattr__(name: str) -> "Any":
    """Imports the rest of ai-sci on first use, so that `import ai_sci` itself is cheap."""
    if name not in __all__:
        raise AttributeError(f"module 'ai_sci' has no attribute {name!r}")
    from ai_sci.agent import api

    value = globals()[name] = getattr(api, name)
    return value


def __dir__() -> list[str]:
    return [*globals(), *__all__]
