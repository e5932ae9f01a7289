"""What can happen to a batch: one frozen dataclass per kind of line in its journal, which stands above the sessions'.

What happens inside a session is in that session's own journal only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Union


@dataclass(frozen=True)
class BatchStarted:
    kind: ClassVar[str] = "batch_started"
    batch: str  # the folder's name
    options: dict[str, Any]  # what `ai-sci run` would be asked for each idea
    engine: str  # --engine NAME; its options are in `options`
    slots: int  # how many attempts at once; 0 when `gpus` or a cluster decide
    gpus: list[str]
    budgets: dict[str, float | None]  # of all sessions together: the Budgets in force
    version: str
    at_once: int = 32  # ideas at work


@dataclass(frozen=True)
class IdeaAdded:
    """An idea waits for its session, which will be the folder `session` below the batch's."""

    kind: ClassVar[str] = "idea_added"
    session: str
    idea: dict[str, Any]  # the idea's own keys, Name, Title and Experiment among them
    template: str  # absolute path
    request: str = ""  # the file that asked a running batch for it; "" for those of the beginning


@dataclass(frozen=True)
class SessionLaunched:
    """A process begins to work on the session, or goes on with it."""

    kind: ClassVar[str] = "session_launched"
    session: str
    pid: int
    process_started: int  # clock ticks since boot
    boot_id: str


@dataclass(frozen=True)
class SessionLeft:
    """That process has ended."""

    kind: ClassVar[str] = "session_left"
    session: str
    status: str  # of the session then; "interrupted" when it could not even be opened
    reason: str
    code: int  # the exit code, negative after a signal


@dataclass(frozen=True)
class BatchResumed:
    kind: ClassVar[str] = "batch_resumed"
    options: dict[str, Any]
    budgets: dict[str, float | None]


@dataclass(frozen=True)
class BatchEnded:
    kind: ClassVar[str] = "batch_ended"
    status: str
    reason: str


BatchEvent = Union[BatchStarted, IdeaAdded, SessionLaunched, SessionLeft, BatchResumed, BatchEnded]

BATCH_EVENT_TYPES: dict[str, type[BatchEvent]] = {cls.kind: cls for cls in BatchEvent.__args__}  # type: ignore[attr-defined]
