"""What can happen in a session: one frozen dataclass per kind of journal line.

The journal holds nothing else, and everything else (state, conversation, log.md, `show`) is computed from it.
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
    prompts: str = ""  # sha256 of the files in prompts/; "" in journals of older versions
    origin: str = ""  # the recorded session that this one replays or branches from; "" for a session of its own
    from_turn: int = 0  # the turn, counted from 1, at which it branches; 0 when it replays all of it
    reuse: bool = False  # whether finished attempts of the origin are taken over
    max_tokens: int | None = None  # sent and received
    max_gpu_hours: float | None = None
    max_disk: int | None = None  # bytes
    engine: str = "local"  # who executes the attempts: --engine NAME
    slurm: dict[str, str] = field(default_factory=dict)  # what journals of format 1 have for engine_options
    engine_options: dict[str, str] = field(default_factory=dict)  # --engine-option KEY=VALUE


@dataclass(frozen=True)
class Branched:
    """What stands before this is the origin's journal; what comes after it, spending too, is this session's own."""

    kind: ClassVar[str] = "branched"
    origin: str  # absolute path of the session
    turn: int  # the first turn of its own, counted from 1
    model: str
    api_base: str | None
    max_runs: int
    max_cost: float | None  # USD, of its own calls
    max_time: float | None  # seconds, of its own
    context_window: int | None
    max_tokens: int | None = None  # sent and received
    max_gpu_hours: float | None = None
    max_disk: int | None = None  # bytes
    version: str = ""  # of ai-sci, as it goes on; "" in journals of older versions
    prompts: str = ""  # as in SessionStarted


@dataclass(frozen=True)
class Resumed:
    kind: ClassVar[str] = "resumed"
    model: str
    api_base: str | None
    max_runs: int
    max_cost: float | None
    max_time: float | None
    context_window: int | None = None
    max_tokens: int | None = None  # sent and received
    max_gpu_hours: float | None = None
    max_disk: int | None = None  # bytes
    version: str = ""  # of ai-sci, as it goes on; "" in journals of older versions
    prompts: str = ""  # as in SessionStarted


@dataclass(frozen=True)
class SandboxFound:
    kind: ClassVar[str] = "sandbox_found"
    tier: str
    backend: str
    controls: dict[str, str]


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
class CallStarted:
    """A try of a call that costs money is about to be sent. A reply or a failure settles it; if neither follows, what
    was set aside for it may have been charged."""

    kind: ClassVar[str] = "call_started"
    reserved_cost: float | None  # USD, the most that it can cost; None when the price is not known
    reserved_tokens: int | None  # sent and received at most; None when the longest reply is not known


@dataclass(frozen=True)
class CallFailed:
    """One try. The tokens and the cost are what the provider may have charged for it."""

    kind: ClassVar[str] = "call_failed"
    status: int | None
    failure: str
    message: str
    retry_in: float | None  # seconds; None when it was the last try
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: float | None = 0.0  # USD; None when the price is not known


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
    prompt_hash: str = ""  # of the messages that were sent; "" in journals of older versions
    files: dict[str, str] | None = None  # new texts, from an editor that gives files and not a text with edits


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


@dataclass(frozen=True)
class ResumeReplayed:
    """In a replay: what a resume of the recorded session changed in what the model is told."""

    kind: ClassVar[str] = "resume_replayed"
    max_runs: int
    context_window: int | None  # tokens
    other_model: bool  # what was learned of the window was learned of another one


@dataclass(frozen=True)
class PromptDiffered:
    """A replay is about to send something else than was sent at this turn."""

    kind: ClassVar[str] = "prompt_differed"
    turn: int  # counted from 1
    diff: str


@dataclass(frozen=True)
class ReplayCompared:
    """How much of what is recorded came out the same, and in words what did not."""

    kind: ClassVar[str] = "replay_compared"
    prompts: int
    prompts_recorded: int
    edits: int
    edits_recorded: int
    verdicts: int
    verdicts_recorded: int
    differences: list[str]
    prompts_by: str = ""  # the other version of ai-sci that wrote the prompts, which are then not compared


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
