"""Follows one session's journal for `ai-sci watch`."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from pathlib import Path

from ai_sci.agent.journal import (
    EVENT_TYPES,
    AttemptFinished,
    AttemptStarted,
    BaselineMeasured,
    CallFailed,
    ConversationRebuilt,
    EditApplied,
    Entry,
    Event,
    Phase,
    PlotsFinished,
    ReplyRejected,
    RunClosed,
    SessionStarted,
    State,
    Status,
    Tail,
    Told,
    advance,
)
from ai_sci.agent.session import JOURNAL, Deciding, deciding, is_driven, plain_story, session_template
from ai_sci.agent.views.picture import IdeaLine, RunLine, Standing
from ai_sci.experiment.base import format_duration, printable
from ai_sci.experiment.template import Template

KILLED = "it stopped without a word: ai-sci was killed or could not write"
_STORY = 8  # lines


class SessionWatch:
    """Follows one session."""

    def __init__(self, folder: Path, driven: Callable[[Path], bool] = is_driven) -> None:
        self.folder = folder
        self._driven = driven
        self._tail = Tail(folder / JOURNAL, EVENT_TYPES)
        self._forget()

    def _forget(self) -> None:
        self.state = State()
        self.template: Template | None = None
        self.story: deque[tuple[float, str]] = deque(maxlen=_STORY)
        self.at_work = False
        self._unknown = ""
        self._previous_at: float | None = None
        self._step_at = 0.0  # when the current step began
        self._call_failed: CallFailed | None = None
        self._verdict = ""

    def look(self) -> None:
        """Reads the records added since the last call."""
        news = self._tail.read()
        if news.anew:
            self._forget()
        for record in news.records:
            self._take(record)
        self.at_work = self.state.status is Status.running and self._driven(self.folder)

    def _take(self, entry: Entry) -> None:
        event, last = entry.event, self.state.last
        try:
            advance(self.state, entry, self._previous_at)
            line = plain_story(event)
        except (KeyError, ValueError, IndexError) as error:  # from a newer version, or corrupt
            self._unknown = f"{self.folder / JOURNAL} holds what this version cannot read: {error!r}"
            return
        self._previous_at = entry.at
        if isinstance(event, SessionStarted):
            self.template = session_template(self.folder, self.state)
        self._call_failed = event if isinstance(event, CallFailed) else None
        if self.state.last is not last or self._call_failed:
            self._step_at = entry.at
        self._verdict = _verdict(event) or self._verdict
        if line is not None:
            self.story.append((entry.at, line.replace("\n", " ")))

    @property
    def trouble(self) -> str:
        """Why the journal, or the rest of it, cannot be read; "" when it can."""
        return self._tail.trouble or self._unknown

    @property
    def status(self) -> Status:
        """The journal's status, except `interrupted` for a running session without a process."""
        gone = self.state.status is Status.running and not self.at_work
        return Status.interrupted if gone else self.state.status

    @property
    def reason(self) -> str:
        """Why it ended; "" while it runs."""
        if self.state.ended is not None:
            return one_line(self.state.ended.reason)
        return KILLED if self.status is Status.interrupted else ""

    @property
    def deciding(self) -> Deciding:
        """The metric that decides between runs, as far as it is known."""
        return deciding(self.template, self.state)

    def elapsed(self, now: float) -> float:
        """Seconds during which a process worked on it."""
        since = now - self._previous_at if self.at_work and self._previous_at is not None else 0.0
        return self.state.active_seconds + max(0.0, since)

    def line(self, idea: str) -> IdeaLine:
        """This session's row, labelled `idea`."""
        state, deciding = self.state, self.deciding
        best = deciding.best(state.accepted)
        value = deciding.of(best.closed.metrics) if best and best.closed else None
        baseline = deciding.of(state.baseline.metrics) if state.baseline else None
        running = self.status is Status.running
        return IdeaLine(
            idea=idea,
            standing=_standing(self.status, bool(state.accepted)),
            status=str(state.phase if running else self.status),
            doing=self._doing() if running else self.reason,
            since=self._step_at if running else None,
            limit=self._limit(),
            run=min(state.run, state.max_runs) if _in_a_run(self.status, state) else _closed(state),
            runs=state.max_runs,
            verdict=one_line(self._verdict),
            metric=one_line(deciding.name) if deciding.name is not None else None,
            best=value,
            baseline=baseline,
            better=_better(deciding, value, baseline),
            cost=state.spent.cost,
        )

    def _doing(self) -> str:
        if self._call_failed is not None:
            wait = self._call_failed.retry_in
            return f"model: {one_line(self._call_failed.failure)}" + (
                f", again in {format_duration(wait)}" if wait is not None else ""
            )
        match self.state.last:
            case SessionStarted():
                return "baseline"
            case Told() | ConversationRebuilt():
                return "model"
            case EditApplied(lint=None) if self.state.phase is Phase.runs:
                return "waits for a slot"
            case EditApplied(lint=None) if self.state.phase is Phase.plots:
                return "plots"
            case AttemptFinished(verdict="ok", attempt_kind="smoke"):
                return "waits for a slot"
            case AttemptStarted() as started:
                return one_line(f"{started.attempt_kind} {_place(started)}")
        return "works"

    @property
    def attempt(self) -> AttemptStarted | None:
        """The attempt that is running."""
        started = self.state.last
        return started if self.at_work and isinstance(started, AttemptStarted) else None

    @property
    def place(self) -> str:
        """Where the attempt runs: a slot, a node or a job; "" when unknown."""
        return _place(self.attempt) if self.attempt else ""

    def _limit(self) -> float | None:
        if self.attempt is None or self.state.started is None:
            return None
        smoke = self.template.smoke if self.template else None
        return smoke.time if smoke and self.attempt.attempt_kind == "smoke" else self.state.started.limits.get("time")

    def runs(self) -> list[RunLine]:
        """One row per run, the baseline first."""
        state, deciding = self.state, self.deciding
        baseline = state.baseline
        lines = []
        if baseline is not None:
            lines.append(
                RunLine(0, baseline.verdict, f"baseline, {baseline.source}", deciding.of(baseline.metrics), None)
            )
        for number, record in sorted(state.runs.items()):
            value = deciding.of(record.closed.metrics) if record.closed else None
            tries = ", ".join(f"{one.attempt_kind} {one.verdict}" for one in record.attempts)
            status = record.closed.status if record.closed else "running" if self.at_work else "open"
            before = deciding.of(baseline.metrics) if baseline else None
            lines.append(RunLine(number, status, tries, value, _better(deciding, value, before)))
        return lines


def one_line(text: str) -> str:
    """Untrusted text as one line that is safe for a terminal."""
    return " ".join(printable(text).split())


def _standing(status: Status, accepted: bool) -> Standing:
    if status is Status.running:
        return Standing.running
    return Standing.done if accepted and not status.resumable else Standing.failed


def _in_a_run(status: Status, state: State) -> bool:
    return status.resumable and state.phase is Phase.runs


def _closed(state: State) -> int:
    return sum(record.closed is not None for record in state.runs.values())


def _better(deciding: Deciding, value: float | None, baseline: float | None) -> bool | None:
    if value is None or baseline is None or value == baseline:
        return None
    return deciding.better(value, baseline)


def _place(started: AttemptStarted) -> str:
    return one_line(started.place or (f"job {started.job}" if started.job else ""))


def _verdict(event: Event) -> str:
    match event:
        case BaselineMeasured(verdict=verdict) if verdict != "ok":
            return verdict
        case ReplyRejected(verdict=verdict) | PlotsFinished(verdict=verdict):
            return verdict
        case AttemptFinished(verdict=verdict):
            return verdict
        case RunClosed(status=status):
            return status
    return ""
