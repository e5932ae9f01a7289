"""`ai-sci watch`: follows the journals of a batch or a session and builds the picture to draw. Writes nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

from ai_sci.agent.batch import BATCH_EVENT_TYPES, BATCH_JOURNAL, BatchEvent, BatchState, IdeaRecord, advance_batch
from ai_sci.agent.journal import Record, Spent, Status, Tail
from ai_sci.agent.session import is_driven
from ai_sci.agent.views.follow_session import KILLED, SessionWatch, one_line
from ai_sci.agent.views.picture import IdeaLine, Picture, Standing


class Watch:
    """Follows a batch and all of its sessions, or one session."""

    def __init__(self, folder: Path, driven: Callable[[Path], bool] = is_driven) -> None:
        self.folder = folder
        self._driven = driven
        self.is_batch = (folder / BATCH_JOURNAL).is_file()
        self._tail = Tail(folder / BATCH_JOURNAL, BATCH_EVENT_TYPES)
        self._sessions: dict[str, SessionWatch] = {} if self.is_batch else {folder.name: SessionWatch(folder, driven)}
        self._forget()

    def _forget(self) -> None:
        self.batch = BatchState()
        self._trouble = ""
        self._at_work = False
        self._previous_at: float | None = None

    def look(self) -> None:
        """Reads the records added since the last call."""
        if self.is_batch:
            self._look_at_batch()
        for session in self._sessions.values():
            session.look()

    def _look_at_batch(self) -> None:
        news = self._tail.read()
        if news.anew:
            self._forget()
        for record in news.records:
            self._take(record)
        self._at_work = self.batch.status is Status.running and self._driven(self.folder)
        if news.anew:
            self._sessions = {name: one for name, one in self._sessions.items() if name in self.batch.ideas}
        for name in self.batch.ideas:
            if name not in self._sessions:
                self._sessions[name] = SessionWatch(self.folder / name, self._driven)

    def _take(self, record: Record[BatchEvent]) -> None:
        try:
            advance_batch(self.batch, record, self._previous_at)
        except (KeyError, ValueError) as error:  # from a newer version, or corrupt
            self._trouble = f"{self.folder / BATCH_JOURNAL} holds what this version cannot read: {error!r}"
            return
        self._previous_at = record.at

    def picture(self, now: float) -> Picture:
        """The state as of the last `look`; `now` is seconds since the epoch."""
        names = self._names()
        lines = [self._line(name, names[name]) for name in self._sessions]
        spent = Spent()
        for session in self._sessions.values():
            spent = spent.plus(session.state.spent)
        troubles = [self._tail.trouble or self._trouble, *(session.trouble for session in self._sessions.values())]
        order = list(Standing)
        single = None if self.is_batch else self._sessions[self.folder.name]
        elapsed = single.elapsed(now) if single else self._elapsed(now)
        return Picture(
            folder=self.folder,
            at=now,
            status=str(single.status if single else self._batch_status()),
            reason=single.reason if single else self._batch_reason(),
            batch=self.is_batch,
            lines=sorted(lines, key=lambda line: order.index(line.standing)),
            places=sorted(one.place for one in self._sessions.values() if one.attempt),
            slots=(self.batch.started.slots or len(self.batch.started.gpus)) if self.batch.started else 0,
            spent=spent,
            elapsed=elapsed,
            budgets=self._left(spent, elapsed, single),
            troubles=[one_line(trouble) for trouble in troubles if trouble],
            runs=single.runs() if single else [],
            story=list(single.story) if single else [],
        )

    def _names(self) -> dict[str, str]:
        """The label of each session: its idea, or its own name where two share an idea."""
        ideas = {name: self._idea(name) for name in self._sessions}
        often = Counter(ideas.values())
        return {name: one_line(idea if often[idea] == 1 else name) for name, idea in ideas.items()}

    def _idea(self, name: str) -> str:
        started = self._sessions[name].state.started
        record = self.batch.ideas.get(name)
        idea = started.idea if started else record.added.idea if record else {}
        return str(idea.get("Name") or name)

    def _line(self, name: str, idea: str) -> IdeaLine:
        session, record = self._sessions[name], self.batch.ideas.get(name)
        if session.trouble:
            return IdeaLine(idea, Standing.failed, "unreadable", session.trouble)
        if record is None or (session.state.started is not None and not self._starts(record, session)):
            return session.line(idea)
        if self._at_work and record.at_work is not None:
            return IdeaLine(idea, Standing.running, "starts")
        if record.left is not None:
            return IdeaLine(idea, Standing.failed, "not opened", one_line(record.left.reason))
        return IdeaLine(idea, Standing.waiting, "waiting")

    def _starts(self, record: IdeaRecord, session: SessionWatch) -> bool:
        """Whether the batch is about to resume a stopped session."""
        return self._at_work and record.at_work is not None and session.status.resumable and not session.at_work

    def _batch_status(self) -> Status:
        gone = self.batch.status is Status.running and not self._at_work
        return Status.interrupted if gone else self.batch.status

    def _batch_reason(self) -> str:
        if self.batch.ended is not None:
            return one_line(self.batch.ended.reason)
        return KILLED if self._batch_status() is Status.interrupted else ""

    def _elapsed(self, now: float) -> float:
        since = now - self._previous_at if self._at_work and self._previous_at is not None else 0.0
        return self.batch.active_seconds + max(0.0, since)

    def _left(self, spent: Spent, elapsed: float, single: SessionWatch | None) -> dict[str, float]:
        budgets = single.state.budgets if single is not None else self.batch.budgets
        gone = spent.committed
        used = {"cost": gone.cost, "tokens": gone.tokens, "time": elapsed, "gpu_hours": gone.gpu_seconds / 3600}
        limits = ((name, getattr(budgets, name)) for name in used)  # disk is not in the journals
        return {name: max(0.0, most - used[name]) for name, most in limits if most is not None}
