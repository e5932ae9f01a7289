"""Everything that can happen to a batch: one frozen dataclass per kind of line in its journal.

What happens inside a session is only in that session's own journal.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Union


@dataclass(frozen=True)
class BatchStarted:
    """The batch was created, with its first ideas to follow."""

    kind: ClassVar[str] = "batch_started"
    batch: str  # the folder's name
    options: dict[str, Any]  # the `ai-sci run` options for each idea
    engine: str  # --engine NAME; its options are in `options`
    slots: int  # attempts at once; 0 when a cluster decides
    gpus: list[str]
    budgets: dict[str, float | None]  # the Budgets of all sessions together
    version: str
    at_once: int = 32  # sessions open at once


@dataclass(frozen=True)
class IdeaAdded:
    """An idea was queued. Its session will be the folder `session` inside the batch's."""

    kind: ClassVar[str] = "idea_added"
    session: str
    idea: dict[str, Any]  # the idea's own keys, Name, Title and Experiment among them
    template: str  # absolute path
    request: str = ""  # the request file that added it later; "" for the initial ideas


@dataclass(frozen=True)
class SessionLaunched:
    """A process starts or resumes the session."""

    kind: ClassVar[str] = "session_launched"
    session: str
    pid: int
    process_started: int  # clock ticks since boot
    boot_id: str


@dataclass(frozen=True)
class SessionLeft:
    """The session's process has ended."""

    kind: ClassVar[str] = "session_left"
    session: str
    status: str  # of the session; "interrupted" if it could not be created
    reason: str
    code: int  # the exit code, negative after a signal


@dataclass(frozen=True)
class BatchResumed:
    """Work on the batch resumes, with these options in force."""

    kind: ClassVar[str] = "batch_resumed"
    options: dict[str, Any]
    budgets: dict[str, float | None]


@dataclass(frozen=True)
class BatchEnded:
    """The batch stopped with this status; some statuses can be resumed."""

    kind: ClassVar[str] = "batch_ended"
    status: str
    reason: str


BatchEvent = Union[BatchStarted, IdeaAdded, SessionLaunched, SessionLeft, BatchResumed, BatchEnded]

BATCH_EVENT_TYPES: dict[str, type[BatchEvent]] = {cls.kind: cls for cls in BatchEvent.__args__}  # type: ignore[attr-defined]
