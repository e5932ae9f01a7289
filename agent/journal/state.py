"""Where a session stands: a fold over its journal, and nothing that is not in the journal."""

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
    baseline = "baseline"
    runs = "runs"
    plots = "plots"
    notes = "notes"

    def __str__(self) -> str:
        return self.value


class Status(str, Enum):
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
        return self in (Status.running, Status.budget_exhausted, Status.model_unavailable, Status.interrupted)


# The prompt that opens a phase.
_PHASE_OF_PROMPT = {"task": Phase.runs, "plots": Phase.plots, "notes": Phase.notes}


@dataclass
class RunRecord:
    run: int
    attempts: list[AttemptFinished] = field(default_factory=list)
    closed: RunClosed | None = None

    @property
    def accepted(self) -> bool:
        return self.closed is not None and self.closed.status == "ok"


@dataclass
class State:
    started: SessionStarted | None = None
    started_at: float = 0.0
    ended_at: float | None = None
    active_seconds: float = 0.0  # without the time between an end and a resume, and that an attempt waited for a place
    model: str = ""
    api_base: str | None = None
    max_runs: int = 0
    budgets: Budgets = Budgets()
    context_window: int | None = None  # tokens, as asked for or as litellm knows it
    learned_window: int | None = None  # tokens, from the server's own words
    sandbox: SandboxFound | None = None
    baseline: BaselineMeasured | None = None
    runs: dict[int, RunRecord] = field(default_factory=dict)
    phase: Phase = Phase.baseline
    status: Status = Status.running
    ended: SessionEnded | None = None

    last: Event | None = None  # the event that decides the next step
    replies: int = 0
    failures: int = 0  # in a row, of the run (or the plots, or the notes) being worked on
    losses: int = 0  # attempts in a row that were lost, since the last resume
    runs_without_attempt: int = 0  # runs in a row that were closed without a single attempt
    completion_doubted: bool = False
    completion_accepted: bool = False
    reasons: list[str] = field(default_factory=list)  # why the last reply was rejected
    lint: str = ""  # the last linter's report
    plots_outcome: PlotsFinished | None = None
    code_hash: str = ""  # of the code as it stands
    executed: dict[str, str] = field(default_factory=dict)  # code hash -> "an attempt of run 2"
    base_commit: str = ""  # what the next run builds on: the last accepted code
    base_code_hash: str = ""
    head: str = ""  # the last commit that the journal knows of
    spent: Spent = field(default_factory=Spent)
    spent_before: Spent | None = None  # by the session that this one branched from, up to there
    compared: ReplayCompared | None = None
    edits_applied: int = 0
    edits_refused: int = 0
    commits: int = 0
    plots: list[str] = field(default_factory=list)
    plot_attempts: int = 0

    @property
    def run(self) -> int:
        """The run being worked on: one more than those closed."""
        return sum(1 for record in self.runs.values() if record.closed) + 1

    @property
    def attempt(self) -> int:
        """The number of the next attempt of the current run."""
        record = self.runs.get(self.run)
        last = record.attempts[-1].attempt if record and record.attempts else 0
        return last + 1

    @property
    def run_is_open(self) -> bool:
        """Whether something was begun for the current run: an attempt, or an edit of the code."""
        return self.run in self.runs or self.code_hash != self.base_code_hash

    @property
    def accepted(self) -> list[RunRecord]:
        return [record for record in self.runs.values() if record.accepted]

    @property
    def last_attempt(self) -> AttemptFinished:
        return self.runs[self.run].attempts[-1]


def fold(entries: Iterable[Entry]) -> State:
    state = State()
    previous_at: float | None = None
    for entry in entries:
        advance(state, entry, previous_at)
        previous_at = entry.at
    return state


def advance(state: State, entry: Entry, previous_at: float | None) -> None:
    """Takes one more entry into `state`."""
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
            state.phase, state.failures = _PHASE_OF_PROMPT[prompt], 0
        case ConversationRebuilt():
            state.learned_window = event.learned_window or state.learned_window
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
    """What was learned of a window holds for that model only, and until somebody names another one."""
    return (event.model, event.api_base, event.context_window) != (model, api_base, context_window)


def _take_options(state: State, event: SessionStarted | Resumed | Branched) -> None:
    state.model, state.api_base = event.model, event.api_base
    state.max_runs, state.budgets = event.max_runs, Budgets.of(event)
    state.context_window = event.context_window


def _close(state: State, event: RunClosed) -> None:
    record = state.runs.setdefault(event.run, RunRecord(event.run))
    state.runs_without_attempt = 0 if record.attempts else state.runs_without_attempt + 1
    record.closed = event
    state.failures = 0
    state.base_commit = event.base_commit
    state.code_hash = state.base_code_hash = event.code_hash


def _count(state: State, event: Event) -> None:
    """The counters: edits, commits, failures in a row."""
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
            state.failures += 1
        case AttemptFinished(verdict=verdict) if verdict not in ("ok", "lost"):
            state.failures += 1
        case PlotsFinished(verdict=verdict) if verdict != "ok":
            state.failures += 1
