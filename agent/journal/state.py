"""A session's state, computed purely as a fold over its journal."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum

from ai_sci.agent.budgets import Budgets
from ai_sci.agent.journal.events import (
    AttemptFinished,
    AttemptStarted,
    BaselineMeasured,
    BaselineStarted,
    Branched,
    CallFailed,
    CallStarted,
    CompletionAccepted,
    CompletionDoubted,
    ConversationRebuilt,
    EditApplied,
    Event,
    PlotsFinished,
    PromptDiffered,
    ReplayCompared,
    Replied,
    ReplyRejected,
    Resumed,
    ResumeReplayed,
    RunClosed,
    SandboxFound,
    SessionEnded,
    SessionStarted,
    Told,
)
from ai_sci.agent.journal.journal import Entry
from ai_sci.agent.journal.spent import Spent


class Phase(str, Enum):
    """The stages of a session, in order."""

    baseline = "baseline"
    runs = "runs"
    plots = "plots"
    notes = "notes"

    def __str__(self) -> str:
        return self.value


class Status(str, Enum):
    """A session's or batch's status, as `show --json` reports it."""

    running = "running"
    completed = "completed"
    no_run_accepted = "no_run_accepted"
    gave_up = "gave_up"
    budget_exhausted = "budget_exhausted"
    model_unavailable = "model_unavailable"
    invalid_baseline = "invalid_baseline"
    interrupted = "interrupted"

    def __str__(self) -> str:
        return self.value

    @property
    def resumable(self) -> bool:
        """Whether `ai-sci resume` can continue from here."""
        return self in (Status.running, Status.budget_exhausted, Status.model_unavailable, Status.interrupted)


# The prompt that starts each phase.
_PHASE_OF_PROMPT = {"task": Phase.runs, "plots": Phase.plots, "notes": Phase.notes}


@dataclass
class RunRecord:
    """A run with its finished attempts and, once closed, its outcome."""

    run: int
    attempts: list[AttemptFinished] = field(default_factory=list)
    closed: RunClosed | None = None

    @property
    def accepted(self) -> bool:
        """Whether the run was closed as `ok`."""
        return self.closed is not None and self.closed.status == "ok"


@dataclass
class State:
    """Everything the loop and the views need to know about a session. Times are in seconds."""

    started: SessionStarted | None = None
    started_at: float = 0.0
    ended_at: float | None = None
    active_seconds: float = 0.0  # excludes pauses before a resume and waits for a slot
    model: str = ""
    api_base: str | None = None
    max_runs: int = 0
    budgets: Budgets = Budgets()
    context_window: int | None = None  # tokens, as requested or as litellm knows it
    learned_window: int | None = None  # tokens, from a server's error or from how it counts
    wait: float | None = None  # seconds, as in SessionStarted
    sandbox: SandboxFound | None = None
    baseline: BaselineMeasured | None = None
    runs: dict[int, RunRecord] = field(default_factory=dict)
    phase: Phase = Phase.baseline
    status: Status = Status.running
    ended: SessionEnded | None = None

    last: Event | None = None  # the event that decides the next step
    replies: int = 0
    failures: int = 0  # in a row, for the current run, plots or notes
    format_failures: int = 0  # those of them that are replies without an edit that could be read and applied
    losses: int = 0  # attempts lost in a row since the last resume
    runs_without_attempt: int = 0  # runs in a row closed without a single attempt
    completion_doubted: bool = False
    completion_accepted: bool = False
    reasons: list[str] = field(default_factory=list)  # why the last reply was rejected
    lint: str = ""  # the last linter's report
    plots_outcome: PlotsFinished | None = None
    code_hash: str = ""  # of the current code
    executed: dict[str, str] = field(default_factory=dict)  # "an attempt of run 2" by code hash
    base_commit: str = ""  # the last accepted code, which the next run builds on
    base_code_hash: str = ""
    head: str = ""  # the last commit in the journal
    spent: Spent = field(default_factory=Spent)
    spent_before: Spent | None = None  # by the session this one branched from, up to the branch
    compared: ReplayCompared | None = None
    edits_applied: int = 0
    edits_refused: int = 0
    edits_missing: int = 0  # replies that should have held an edit and held none
    commits: int = 0
    plots: list[str] = field(default_factory=list)
    plot_attempts: int = 0

    @property
    def run(self) -> int:
        """The number of the current run: one more than the closed ones."""
        return sum(1 for record in self.runs.values() if record.closed) + 1

    @property
    def attempt(self) -> int:
        """The number of the next attempt of the current run."""
        record = self.runs.get(self.run)
        last = record.attempts[-1].attempt if record and record.attempts else 0
        return last + 1

    @property
    def failures_in_words(self) -> str:
        """The failures in a row, and how many of them are replies without an edit that could be used."""
        words = f"{self.failures} failure{'s' * (self.failures != 1)} in a row"
        return f"{words}, {self.format_failures} of them without a usable edit" if self.format_failures else words

    @property
    def run_is_open(self) -> bool:
        """Whether the current run has an attempt or an edit yet."""
        return self.run in self.runs or self.code_hash != self.base_code_hash

    @property
    def accepted(self) -> list[RunRecord]:
        """The accepted runs, in order."""
        return [record for record in self.runs.values() if record.accepted]

    @property
    def last_attempt(self) -> AttemptFinished:
        """The current run's last attempt; there must be one."""
        return self.runs[self.run].attempts[-1]


def fold(entries: Iterable[Entry]) -> State:
    """The state after all `entries`."""
    state = State()
    previous_at: float | None = None
    for entry in entries:
        advance(state, entry, previous_at)
        previous_at = entry.at
    return state


def advance(state: State, entry: Entry, previous_at: float | None) -> None:
    """Updates `state` with one more entry. `previous_at` is the time of the entry before it, None for the first."""
    event = entry.event
    if previous_at is not None and not isinstance(event, Resumed):
        state.active_seconds += max(0.0, entry.at - previous_at)
    state.spent.take(event, entry.at)
    match event:
        case CallStarted() | CallFailed() | BaselineStarted() | PromptDiffered():
            return
        case ResumeReplayed():
            state.max_runs, state.context_window = event.max_runs, event.context_window
            state.learned_window = None if event.other_model else state.learned_window
            return
        case ReplayCompared():
            state.compared = event
            return
        case SandboxFound():
            state.sandbox = event
            return
        case Resumed():
            state.status, state.ended, state.ended_at = Status.running, None, None
            state.losses = 0
            if forgets_window(event, state.model, state.api_base, state.context_window):
                state.learned_window = None
            _take_options(state, event)
            return
        case Branched():
            state.status, state.ended, state.ended_at = Status.running, None, None
            state.learned_window = None
            _take_options(state, event)
            state.spent_before = state.spent.plus(state.spent_before)
            state.spent, state.active_seconds = Spent(), 0.0
            return
        case SessionEnded():
            state.status, state.ended, state.ended_at = Status(event.status), event, entry.at
            return
    _count(state, event)
    match event:
        case SessionStarted():
            state.started, state.started_at = event, entry.at
            _take_options(state, event)
            state.code_hash = state.base_code_hash = event.code_hash
            state.executed[event.code_hash] = "the baseline"
            state.base_commit = event.commit
        case BaselineMeasured():
            state.baseline = event
            state.base_commit = event.commit or state.base_commit
        case Told(prompt=prompt) if prompt in _PHASE_OF_PROMPT:
            state.phase, state.failures, state.format_failures = _PHASE_OF_PROMPT[prompt], 0, 0
        case ConversationRebuilt():
            state.learned_window = event.learned_window or state.learned_window
        case Replied(cut_to=int() as window):
            state.learned_window = window
        case CompletionDoubted():
            state.completion_doubted = True
        case CompletionAccepted():
            state.completion_accepted = True
        case ReplyRejected():
            state.reasons = event.reasons
        case EditApplied():
            state.code_hash, state.lint = event.code_hash, event.lint or ""
        case AttemptStarted():
            state.runs.setdefault(event.run, RunRecord(event.run))
        case AttemptFinished():
            state.runs.setdefault(event.run, RunRecord(event.run)).attempts.append(event)
            state.losses = state.losses + 1 if event.verdict == "lost" else 0
            if event.verdict != "lost":
                state.executed[event.code_hash] = f"an attempt of run {event.run}"
        case RunClosed():
            _close(state, event)
        case PlotsFinished():
            state.plot_attempts += 1
            state.plots, state.plots_outcome = event.files, event
    state.last = event


def forgets_window(event: Resumed, model: str, api_base: str | None, context_window: int | None) -> bool:
    """Whether a resume invalidates the learned context window: it names another model, server or window."""
    return (event.model, event.api_base, event.context_window) != (model, api_base, context_window)


def _take_options(state: State, event: SessionStarted | Resumed | Branched) -> None:
    state.model, state.api_base = event.model, event.api_base
    state.max_runs, state.budgets = event.max_runs, Budgets.of(event)
    state.context_window, state.wait = event.context_window, event.wait


def _close(state: State, event: RunClosed) -> None:
    record = state.runs.setdefault(event.run, RunRecord(event.run))
    state.runs_without_attempt = 0 if record.attempts else state.runs_without_attempt + 1
    record.closed = event
    state.failures = state.format_failures = 0
    state.base_commit = event.base_commit
    state.code_hash = state.base_code_hash = event.code_hash


def _count(state: State, event: Event) -> None:
    """Updates the counters: edits, commits, failures in a row."""
    commit = getattr(event, "commit", None)
    if commit and not isinstance(event, AttemptStarted):
        state.commits += 1
        state.head = commit
    match event:
        case Replied():
            state.replies += 1
        case BaselineMeasured() | AttemptStarted():
            state.active_seconds = max(0.0, state.active_seconds - event.waited)
        case EditApplied():
            state.edits_applied += event.blocks
        case ReplyRejected():
            state.edits_refused += event.verdict == "edit_refused"
            state.edits_missing += event.verdict == "no_edit" and event.is_format_failure
            state.format_failures += event.is_format_failure
            state.failures += 1
        case AttemptFinished(verdict=verdict) if verdict not in ("ok", "lost"):
            state.failures += 1
        case PlotsFinished(verdict=verdict) if verdict != "ok":
            state.failures += 1
