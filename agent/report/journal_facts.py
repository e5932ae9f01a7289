"""What a report tells of a journal, collected in one pass, each item with its line number."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from ai_sci.agent.edits import prose_of
from ai_sci.agent.journal import (
    AttemptFinished,
    AttemptStarted,
    BaselineMeasured,
    Branched,
    CallFailed,
    CompletionDoubted,
    EditApplied,
    Entry,
    OutcomeCommitted,
    Replied,
    ReplyRejected,
    RunClosed,
    SessionStarted,
    Told,
)

_PLAN = 6000  # characters
_SAID = 1200


@dataclass(frozen=True)
class Attempt:
    """One attempt, by its start and finish records."""

    run: int
    number: int
    kind: str  # "smoke" or "full"
    verdict: str
    reason: str
    seconds: float
    line: int  # of its last record
    commit: str  # of the code that it ran
    waited: float
    place: str
    key: str
    reused: str

    @property
    def log(self) -> str:
        """Path in the session."""
        return f"attempts/run_{self.run}.{self.number}/output.log"


@dataclass(frozen=True)
class AppliedEdit:
    """A reply whose edits were committed."""

    commit: str
    line: int  # of the journal
    files: str


@dataclass
class TriedRun:
    """A run so far; `status` is "unfinished" until it is closed."""

    number: int
    base: str
    status: str = "unfinished"
    line: int = 0
    commit: str = ""
    code: str = ""
    metrics: dict[str, float] = field(default_factory=dict)
    attempts: list[Attempt] = field(default_factory=list)
    outcomes: dict[int, str] = field(default_factory=dict)  # attempt -> commit
    edits: list[AppliedEdit] = field(default_factory=list)
    said: str = ""

    def log_commit(self, attempt: Attempt) -> str:
        """The commit that holds the attempt's log; "" when there is none (yet)."""
        if attempt.verdict == "ok":
            return self.commit if self.status == "ok" else ""
        return self.outcomes.get(attempt.number, "")


@dataclass(frozen=True)
class RefusedReply:
    """A reply that never reached an attempt."""

    line: int
    turn: int
    run: int  # 0 for plots and notes
    verdict: str
    reasons: list[str]


@dataclass(frozen=True)
class ReportedCall:
    """A call to the model: a reply, or a failure with its reason."""

    line: int
    turn: int
    model: str
    sent: int
    cached: int
    received: int
    cost: float | None
    seconds: float
    failure: str = ""


@dataclass
class JournalFacts:
    """All that a report takes from the journal beyond its folded state."""

    plan: str = ""
    plan_line: int = 0
    baseline_line: int = 0
    runs: list[TriedRun] = field(default_factory=list)
    refusals: list[RefusedReply] = field(default_factory=list)
    calls: list[ReportedCall] = field(default_factory=list)
    later_edits: list[AppliedEdit] = field(default_factory=list)  # of plots and notes
    edited: list[str] = field(default_factory=list)

    @property
    def closed(self) -> list[TriedRun]:
        """The runs with an outcome."""
        return [run for run in self.runs if run.line]


def read_journal_facts(entries: Sequence[Entry]) -> JournalFacts:
    """Collects the facts of one session's journal."""
    reader = _Reader()
    for line, entry in enumerate(entries, start=1):
        reader.take(line, entry)
    reader.end()
    return reader.facts


class _Reader:
    def __init__(self) -> None:
        self.facts = JournalFacts()
        self._base = ""
        self._current: TriedRun | None = None
        self._started: dict[tuple[int, int], tuple[int, AttemptStarted]] = {}
        self._turn = 0
        self._said = ""
        self._afterwards = False  # during plots and notes, edits belong to no run

    def take(self, line: int, entry: Entry) -> None:
        facts = self.facts
        match entry.event:
            case SessionStarted(commit=commit):
                self._base = commit
            case BaselineMeasured(commit=commit):
                facts.baseline_line, self._base = line, commit or self._base
            case Branched():
                facts.calls.clear()  # earlier calls were paid by another session
            case Replied() as replied:
                self._replied(line, replied)
            case CallFailed() as failed:
                price = (failed.prompt_tokens, 0, failed.completion_tokens, failed.cost, 0.0)
                facts.calls.append(ReportedCall(line, self._turn + 1, "", *price, failure=failed.message))
            case ReplyRejected(verdict=verdict, reasons=reasons):
                facts.refusals.append(RefusedReply(line, self._turn, self._number, verdict, reasons))
            case CompletionDoubted():
                why = ["ALL_COMPLETED before any run: the model was asked why"]
                facts.refusals.append(RefusedReply(line, self._turn, self._number, "no_edit", why))
            case Told(prompt=prompt) if prompt in ("plots", "notes"):
                self._afterwards = True
            case EditApplied(files=files, commit=commit) if self._afterwards:
                facts.later_edits.append(AppliedEdit(commit, line, ", ".join(files)))
            case EditApplied(files=files, commit=commit):
                facts.edited = list(dict.fromkeys([*facts.edited, *files]))
                self._run.edits.append(AppliedEdit(commit, line, ", ".join(files)))
                self._run.code = commit
            case AttemptStarted(run=number, attempt=attempt) as started:
                self._started[number, attempt] = line, started
                self._run.code = started.commit
            case AttemptFinished() as finished:
                self._finished(line, finished)
            case OutcomeCommitted(attempt=attempt, commit=commit):
                self._run.outcomes[attempt] = commit
            case RunClosed() as closed:
                self._closed(line, closed)

    def end(self) -> None:
        """Adds attempts that started and have no record of their end."""
        if self._current is None:
            return
        known = {one.number for one in self._current.attempts}
        for (run, number), (line, started) in self._started.items():
            if run == self._current.number and number not in known:
                finished = AttemptFinished(run, number, started.attempt_kind, "under way", "", "", 0.0, {}, "")
                self._finished(line, finished)

    @property
    def _number(self) -> int:
        """0 once the experiments are over."""
        return 0 if self._afterwards else len(self.facts.closed) + 1

    @property
    def _run(self) -> TriedRun:
        """The current run, created by its first event."""
        if self._current is None:
            self._current = TriedRun(self._number, self._base, said=self._said)
            self.facts.runs.append(self._current)
        return self._current

    def _replied(self, line: int, event: Replied) -> None:
        self._turn += 1
        price = (event.prompt_tokens, event.cached_tokens, event.completion_tokens, event.cost, event.seconds)
        self.facts.calls.append(ReportedCall(line, self._turn, event.model, *price))
        said = prose_of(event.text, _PLAN)
        if said and not self.facts.plan:
            self.facts.plan, self.facts.plan_line = said, line
        self._said = said if len(said) <= _SAID else f"{said[:_SAID].rsplit(None, 1)[0]} …"

    def _finished(self, line: int, event: AttemptFinished) -> None:
        _, started = self._started.get((event.run, event.attempt), (0, None))
        self._run.attempts.append(
            Attempt(
                run=event.run,
                number=event.attempt,
                kind=event.attempt_kind,
                verdict=event.verdict,
                reason=event.reason,
                seconds=event.seconds,
                line=line,
                commit=started.commit if started else self._run.code,
                waited=event.waited or (started.waited if started else 0.0),
                place=event.place or (started.place if started else ""),
                key=event.key,
                reused=event.reused,
            )
        )

    def _closed(self, line: int, event: RunClosed) -> None:
        run = self._run
        run.status, run.line, run.commit, run.metrics = event.status, line, event.commit, event.metrics
        self._base, self._current = event.base_commit, None
