"""`open_session` and `open_batch`: build the values that notebooks read from journals and commits."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

from ai_sci.agent.api.values import AttemptView, BaselineView, BatchView, ReplyView, RunView, SessionView, SpentView
from ai_sci.agent.batch import IdeaRecord, read_batch
from ai_sci.agent.journal import (
    AttemptFinished,
    AttemptStarted,
    EditApplied,
    Entry,
    Phase,
    Replied,
    ReplyRejected,
    RunRecord,
    Spent,
    State,
    advance,
)
from ai_sci.agent.report import Commits
from ai_sci.agent.session import JOURNAL, NOTES, deciding, read_entries, read_state, session_template
from ai_sci.experiment.base import AiSciError


def open_session(folder: str | os.PathLike[str]) -> SessionView:
    """The session in `folder` as it is now; it may be running.

    Raises ConfigError when there is no session, AiSciError when its journal or commits cannot be read.
    """
    folder = Path(folder).expanduser().resolve()
    entries = read_entries(folder)
    state = read_state(folder, entries)
    started = state.started
    assert started is not None  # read_state refuses a journal without it
    work = _Work(entries)
    replies = tuple(reply if reply.run in state.runs else replace(reply, run=None) for reply in work.replies)
    pairs = {run: (work.bases[run], commit) for run, commit in work.code.items()}
    diffs = Commits(folder).diffs(pairs.values(), work.edited)
    runs = tuple(
        _run_view(folder, record, diffs.get(pairs.get(number, ("", "")), ""), replies)
        for number, record in sorted(state.runs.items())
    )
    metric = deciding(session_template(folder, state), state)
    best = metric.best(state.runs.values())
    notes = folder / NOTES
    return SessionView(
        folder=folder,
        status=state.status,
        reason=state.ended.reason if state.ended else None,
        idea=dict(started.idea),
        template=Path(started.template).name,
        model=state.model,
        started=_clock(state.started_at),
        ended=_clock(state.ended_at) if state.ended_at is not None else None,
        metric=metric.name,
        best=next((run for run in runs if best is not None and run.run == best.run), None),
        baseline=_baseline_view(state),
        runs=runs,
        replies=replies,
        spent=_spent_view(state.spent),
        notes=notes.read_text(encoding="utf-8", errors="replace") if notes.is_file() else None,
        plots=tuple(folder / "plots" / name for name in state.plots),
    )


def open_batch(folder: str | os.PathLike[str]) -> BatchView:
    """The batch in `folder` as it is now; it may be running. Raises ConfigError when there is no batch."""
    folder = Path(folder).expanduser().resolve()
    state = read_batch(folder)
    sessions: list[SessionView] = []
    unopened: dict[str, str] = {}
    for name, record in state.ideas.items():
        try:
            sessions.append(open_session(folder / name))
        except AiSciError as error:  # an unreadable session must not hide the others
            unopened[name] = str(error) if (folder / name / JOURNAL).is_file() else _why_unopened(record)
    return BatchView(
        folder=folder,
        status=state.status,
        reason=state.ended.reason if state.ended else None,
        started=_clock(state.started_at),
        ended=_clock(state.ended_at) if state.ended_at is not None else None,
        sessions=tuple(sessions),
        unopened=unopened,
    )


class _Work:
    """One pass over the journal: which replies and which code belong to which run; 0 means no run."""

    def __init__(self, entries: Sequence[Entry]) -> None:
        self.replies: list[ReplyView] = []
        self.bases: dict[int, str] = {}  # run -> the commit that it builds on
        self.code: dict[int, str] = {}  # run -> the commit of the code that it executed last
        self.edited: list[str] = []
        state, previous_at = State(), None
        for entry in entries:
            self._take(entry, state, state.run if state.phase is Phase.runs else 0)
            advance(state, entry, previous_at)
            previous_at = entry.at

    def _take(self, entry: Entry, state: State, run: int) -> None:
        match entry.event:
            case Replied() as reply:
                self.replies.append(_reply_view(reply, len(self.replies) + 1, run))
            case ReplyRejected(verdict=verdict) if self.replies:
                self.replies[-1] = replace(self.replies[-1], refused=verdict)
            case EditApplied(commit=commit, files=files) if run:
                self.edited = list(dict.fromkeys([*self.edited, *files]))
                self._executes(run, state, commit)
            case AttemptStarted(commit=commit) if run:
                self._executes(run, state, commit)

    def _executes(self, run: int, state: State, commit: str) -> None:
        self.bases.setdefault(run, state.base_commit)
        self.code[run] = commit


def _reply_view(reply: Replied, turn: int, run: int) -> ReplyView:
    return ReplyView(
        turn=turn,
        run=run,
        text=reply.text,
        reasoning=reply.reasoning,
        refused=None,
        model=reply.model,
        prompt_tokens=reply.prompt_tokens,
        completion_tokens=reply.completion_tokens,
        cached_tokens=reply.cached_tokens,
        cost=reply.cost,
        seconds=reply.seconds,
    )


def _run_view(folder: Path, record: RunRecord, diff: str, replies: Sequence[ReplyView]) -> RunView:
    closed = record.closed
    return RunView(
        run=record.run,
        status=closed.status if closed else "running",
        metrics=dict(closed.metrics) if closed else {},
        commit=closed.commit if closed else None,
        attempts=tuple(_attempt_view(folder, one) for one in record.attempts),
        diff=diff,
        replies=tuple(reply for reply in replies if reply.run == record.run),
    )


def _attempt_view(folder: Path, one: AttemptFinished) -> AttemptView:
    log = folder / "attempts" / f"run_{one.run}.{one.attempt}" / "output.log"
    return AttemptView(one.attempt, one.attempt_kind, one.verdict, one.seconds, one.reason, log)


def _baseline_view(state: State) -> BaselineView | None:
    baseline = state.baseline
    if baseline is None:
        return None
    return BaselineView(baseline.verdict, dict(baseline.metrics), "; ".join(baseline.reasons), baseline.source)


def _spent_view(spent: Spent) -> SpentView:
    return SpentView(
        calls=spent.calls,
        prompt_tokens=spent.prompt_tokens,
        completion_tokens=spent.completion_tokens,
        cached_tokens=spent.cached_tokens,
        cost=spent.cost,
        unpriced_calls=spent.unpriced_calls,
        unsettled_cost=spent.unsettled_cost,
        unsettled_tokens=spent.unsettled_tokens,
        gpu_hours=spent.gpu_seconds / 3600,
    )


def _why_unopened(record: IdeaRecord) -> str:
    return record.left.reason if record.left is not None else "waiting"


def _clock(at: float) -> datetime:
    return datetime.fromtimestamp(at, timezone.utc)
