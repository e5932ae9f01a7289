"""What can happen in a session: one frozen dataclass per kind of journal line.

The journal holds nothing else, and everything else (state, conversation, log.md, `show`) is computed from it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar, Union


@dataclass(frozen=True)
class SessionStarted:
    """The session's folder is complete: code copied, first commit made."""

    kind: ClassVar[str] = "session_started"
    session: str
    idea: dict[str, Any]  # the idea's own keys, Name, Title and Experiment among them
    template: str  # absolute path of the folder it was copied from
    files: list[str]  # what was copied
    brings_baseline: bool
    overrides: dict[str, str]  # --set KEY=VALUE
    model: str
    api_base: str | None
    max_runs: int
    max_failures: int
    limits: dict[str, float | None]  # seconds, bytes, counts: the Limits in force
    python: str | None
    sandbox_choice: str
    allow_unsandboxed: bool
    max_cost: float | None  # USD
    max_time: float | None  # seconds
    commit: str
    code_hash: str  # of the files that an experiment executes, unmodified
    version: str
    context_window: int | None = None  # tokens: as asked for, else the model's own; None when unknown


@dataclass(frozen=True)
class Resumed:
    kind: ClassVar[str] = "resumed"
    model: str
    api_base: str | None
    max_runs: int
    max_cost: float | None
    max_time: float | None
    context_window: int | None = None


@dataclass(frozen=True)
class SandboxFound:
    kind: ClassVar[str] = "sandbox_found"
    tier: str
    backend: str
    controls: dict[str, str]


@dataclass(frozen=True)
class BaselineMeasured:
    kind: ClassVar[str] = "baseline_measured"
    metrics: dict[str, float]
    verdict: str
    reasons: list[str]
    source: str  # "template", "measured" or "cached"
    commit: str | None


@dataclass(frozen=True)
class Told:
    """A user message for the model: the text is final, byte for byte."""

    kind: ClassVar[str] = "told"
    prompt: str  # name of the file in prompts/ that it was made from
    text: str


@dataclass(frozen=True)
class ConversationRebuilt:
    """The conversation had become too long: from here on the model gets the task and `text`, and what follows."""

    kind: ClassVar[str] = "conversation_rebuilt"
    text: str
    reason: str
    learned_window: int | None  # tokens, when the server's error told it (or let it be guessed)


@dataclass(frozen=True)
class CallFailed:
    kind: ClassVar[str] = "call_failed"
    status: int | None
    failure: str
    message: str
    retry_in: float | None  # seconds; None when it was the last try


@dataclass(frozen=True)
class Replied:
    kind: ClassVar[str] = "replied"
    text: str
    reasoning: str
    finish_reason: str | None
    model: str
    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int
    cost: float | None  # USD; None when the price is not known
    seconds: float
    prompt_hash: str = ""  # of the request that it answers: conversation.prompt_hash


@dataclass(frozen=True)
class EditApplied:
    kind: ClassVar[str] = "edit_applied"
    files: list[str]
    blocks: int
    commit: str
    code_hash: str  # of the files that an experiment executes
    lint: str | None  # the linter's report; None when clean


@dataclass(frozen=True)
class ReplyRejected:
    """A reply that never reached an attempt."""

    kind: ClassVar[str] = "reply_rejected"
    verdict: str  # "edit_refused", "no_edit" or "lint_failed"
    reasons: list[str]


@dataclass(frozen=True)
class CompletionDoubted:
    """`ALL_COMPLETED` before any run: asked once why."""

    kind: ClassVar[str] = "completion_doubted"


@dataclass(frozen=True)
class CompletionAccepted:
    kind: ClassVar[str] = "completion_accepted"


@dataclass(frozen=True)
class AttemptStarted:
    kind: ClassVar[str] = "attempt_started"
    run: int
    attempt: int
    attempt_kind: str  # "smoke" or "full"
    code_hash: str
    commit: str
    pid: int
    process_started: int  # clock ticks since boot
    boot_id: str


@dataclass(frozen=True)
class AttemptFinished:
    kind: ClassVar[str] = "attempt_finished"
    run: int
    attempt: int
    attempt_kind: str
    verdict: str
    reason: str
    digest: str
    seconds: float
    metrics: dict[str, float]
    code_hash: str


@dataclass(frozen=True)
class OutcomeCommitted:
    """A failed attempt stands in the git log."""

    kind: ClassVar[str] = "outcome_committed"
    run: int
    attempt: int
    commit: str


@dataclass(frozen=True)
class RunClosed:
    """A run is over: accepted (`ok`) or closed after too many failures in a row."""

    kind: ClassVar[str] = "run_closed"
    run: int
    status: str
    metrics: dict[str, float]
    commit: str
    base_commit: str  # the commit whose code the next edit builds on
    code_hash: str  # of that code
    artefacts: dict[str, str] = field(default_factory=dict)  # untracked file -> sha256


@dataclass(frozen=True)
class PlotsFinished:
    kind: ClassVar[str] = "plots_finished"
    verdict: str
    reason: str
    digest: str
    files: list[str]
    commit: str | None


@dataclass(frozen=True)
class PhaseGivenUp:
    """Plots or notes failed too often: the file is back as it was, and the session goes on without."""

    kind: ClassVar[str] = "phase_given_up"
    verdict: str
    commit: str


@dataclass(frozen=True)
class SessionEnded:
    kind: ClassVar[str] = "session_ended"
    status: str
    reason: str


Event = Union[
    SessionStarted,
    Resumed,
    SandboxFound,
    BaselineMeasured,
    Told,
    ConversationRebuilt,
    CallFailed,
    Replied,
    EditApplied,
    ReplyRejected,
    CompletionDoubted,
    CompletionAccepted,
    AttemptStarted,
    AttemptFinished,
    OutcomeCommitted,
    RunClosed,
    PlotsFinished,
    PhaseGivenUp,
    SessionEnded,
]

EVENT_TYPES: dict[str, type[Event]] = {cls.kind: cls for cls in Event.__args__}  # type: ignore[attr-defined]
