"""Everything that can happen in a session: one frozen dataclass per kind of journal line.

All else (state, conversation, log.md, `show`) is computed from these events.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar, Union

from ai_sci.agent.journal.experiment_events import (
    AttemptFinished,
    AttemptStarted,
    BaselineMeasured,
    BaselineStarted,
    OutcomeCommitted,
    PlotsFinished,
    RunClosed,
)


@dataclass(frozen=True)
class SessionStarted:
    """The session folder is complete: code copied, first commit made."""

    kind: ClassVar[str] = "session_started"
    session: str
    idea: dict[str, Any]  # the idea's own keys, Name, Title and Experiment among them
    template: str  # absolute path of the source folder
    files: list[str]  # the files copied
    brings_baseline: bool
    overrides: dict[str, str]  # --set KEY=VALUE
    model: str
    api_base: str | None
    max_runs: int
    max_failures: int
    limits: dict[str, float | None]  # the Limits in force: seconds, bytes, counts
    python: str | None
    sandbox_choice: str
    allow_unsandboxed: bool
    max_cost: float | None  # USD
    max_time: float | None  # seconds
    commit: str
    code_hash: str  # of the unmodified code files
    version: str
    context_window: int | None = None  # tokens: as requested, else the model's own; None if unknown
    prompts: str = ""  # sha256 of the files in prompts/; "" in older journals
    origin: str = ""  # the session this one replays or branches from; "" if none
    from_turn: int = 0  # the turn, counted from 1, where it branches; 0 for a full replay
    reuse: bool = False  # whether the origin's finished attempts are reused
    max_tokens: int | None = None  # prompt plus completion
    max_gpu_hours: float | None = None
    max_disk: int | None = None  # bytes
    engine: str = "local"  # --engine NAME
    slurm: dict[str, str] = field(default_factory=dict)  # engine_options in format 1
    engine_options: dict[str, str] = field(default_factory=dict)  # --engine-option KEY=VALUE
    beside: dict[str, str] = field(default_factory=dict)  # data beside the template, by its relative paths
    wait: float | None = None  # seconds that a call may wait for a usage limit to reset; None for the default
    created: list[str] = field(default_factory=list)  # editable files that the template lacks


@dataclass(frozen=True)
class Branched:
    """Everything before this is the origin's journal; everything after it, spending included, is this session's."""

    kind: ClassVar[str] = "branched"
    origin: str  # absolute path of the original session
    turn: int  # its own first turn, counted from 1
    model: str
    api_base: str | None
    max_runs: int
    max_cost: float | None  # USD, for its own calls
    max_time: float | None  # seconds, its own time only
    context_window: int | None
    max_tokens: int | None = None  # prompt plus completion
    max_gpu_hours: float | None = None
    max_disk: int | None = None  # bytes
    version: str = ""  # of ai-sci from here on; "" in older journals
    prompts: str = ""  # as in SessionStarted
    wait: float | None = None


@dataclass(frozen=True)
class Resumed:
    """Work on the session resumes, with these options in force."""

    kind: ClassVar[str] = "resumed"
    model: str
    api_base: str | None
    max_runs: int
    max_cost: float | None
    max_time: float | None
    context_window: int | None = None
    max_tokens: int | None = None  # prompt plus completion
    max_gpu_hours: float | None = None
    max_disk: int | None = None  # bytes
    version: str = ""  # of ai-sci from here on; "" in older journals
    prompts: str = ""  # as in SessionStarted
    wait: float | None = None


@dataclass(frozen=True)
class SandboxFound:
    """The sandbox that the session uses from here on."""

    kind: ClassVar[str] = "sandbox_found"
    tier: str
    backend: str
    controls: dict[str, str]


@dataclass(frozen=True)
class Told:
    """A user message for the model, exactly as sent."""

    kind: ClassVar[str] = "told"
    prompt: str  # the file in prompts/ that it was rendered from, without .md
    text: str


@dataclass(frozen=True)
class ConversationRebuilt:
    """The conversation grew too long: from here on the model sees the task, `text` and what follows."""

    kind: ClassVar[str] = "conversation_rebuilt"
    text: str
    reason: str
    learned_window: int | None  # tokens, if the server's error gave it or let us infer it


@dataclass(frozen=True)
class CallStarted:
    """A paid request is about to be sent. A reply or failure settles it; without one, its reserve may be spent."""

    kind: ClassVar[str] = "call_started"
    reserved_cost: float | None  # USD, worst case; None if the price is unknown
    reserved_tokens: int | None  # prompt plus completion, worst case; None if unknown


@dataclass(frozen=True)
class CallFailed:
    """One failed try. Tokens and cost are what the provider may have charged for it."""

    kind: ClassVar[str] = "call_failed"
    status: int | None
    failure: str
    message: str
    retry_in: float | None  # seconds; None after the last try
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: float | None = 0.0  # USD; None if the price is unknown


@dataclass(frozen=True)
class Replied:
    """A complete reply from the model, and what it cost."""

    kind: ClassVar[str] = "replied"
    text: str
    reasoning: str
    finish_reason: str | None
    model: str
    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int
    cost: float | None  # USD; None if the price is unknown
    seconds: float
    prompt_hash: str = ""  # of the messages sent; "" in older journals
    files: dict[str, str] | None = None  # new contents, from editors that return files instead of edit blocks
    cut_to: int | None = None  # tokens: the window to which the server cut the prompt without a word


@dataclass(frozen=True)
class EditApplied:
    """The reply's edits were applied and committed."""

    kind: ClassVar[str] = "edit_applied"
    files: list[str]
    blocks: int
    commit: str
    code_hash: str  # of the code files
    lint: str | None  # the linter's report; None if clean


@dataclass(frozen=True)
class ReplyRejected:
    """A reply that never reached an attempt."""

    kind: ClassVar[str] = "reply_rejected"
    verdict: str  # "edit_refused", "no_edit" or "lint_failed"
    reasons: list[str]
    case: str = ""  # of `no_edit`, as in prompts/why_no_edit.md; "" in older journals

    @property
    def is_format_failure(self) -> bool:
        """Whether the model failed at writing an edit, and not the code that it wrote."""
        return self.verdict == "edit_refused" or self.case in (
            "no edit",
            "empty",
            "empty, cut off",
            "edit in reasoning",
        )


@dataclass(frozen=True)
class CompletionDoubted:
    """The model said `ALL_COMPLETED` before any run and is asked why, once."""

    kind: ClassVar[str] = "completion_doubted"


@dataclass(frozen=True)
class CompletionAccepted:
    """`ALL_COMPLETED` was accepted: no further runs."""

    kind: ClassVar[str] = "completion_accepted"


@dataclass(frozen=True)
class PhaseGivenUp:
    """Plots or notes failed too often: the file is restored and the session continues without them."""

    kind: ClassVar[str] = "phase_given_up"
    verdict: str
    commit: str


@dataclass(frozen=True)
class SessionEnded:
    """The session stopped with this status; some statuses can be resumed."""

    kind: ClassVar[str] = "session_ended"
    status: str
    reason: str


@dataclass(frozen=True)
class ResumeReplayed:
    """In a replay: a resume of the recorded session changed these settings, which later prompts depend on."""

    kind: ClassVar[str] = "resume_replayed"
    max_runs: int
    context_window: int | None  # tokens
    other_model: bool  # so the learned context window no longer applies


@dataclass(frozen=True)
class PromptDiffered:
    """A replay is about to send a different request than the recording did at this turn."""

    kind: ClassVar[str] = "prompt_differed"
    turn: int  # counted from 1
    diff: str


@dataclass(frozen=True)
class ReplayCompared:
    """How much of the recording a replay reproduced, with a description of each difference."""

    kind: ClassVar[str] = "replay_compared"
    prompts: int
    prompts_recorded: int
    edits: int
    edits_recorded: int
    verdicts: int
    verdicts_recorded: int
    differences: list[str]
    prompts_by: str = ""  # the other ai-sci version that wrote the prompts, which are then not compared


Event = Union[
    SessionStarted,
    Branched,
    Resumed,
    SandboxFound,
    BaselineStarted,
    BaselineMeasured,
    Told,
    ConversationRebuilt,
    CallStarted,
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
    ResumeReplayed,
    PromptDiffered,
    ReplayCompared,
    SessionEnded,
]

EVENT_TYPES: dict[str, type[Event]] = {cls.kind: cls for cls in Event.__args__}  # type: ignore[attr-defined]
