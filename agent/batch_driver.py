"""The loop of a batch: begins sessions, gives out slots and budgets, notes how each session ends, until all have."""

from __future__ import annotations

import contextlib
import gc
import selectors
import time
from collections.abc import Callable
from pathlib import Path

from agent.batch_budgets import BudgetOffice
from agent.batch_child import Job
from agent.batch_children import Child, begin
from agent.batch_events import BatchEnded, BatchEvent, IdeaAdded, SessionLaunched, SessionLeft
from agent.batch_messages import Headline, Refused, Reserve, Settle, SlotIsFree, WantSlot, WhatIsLeft
from agent.batch_outage import Outage, is_outage
from agent.batch_plan import LOGS, idea_of, named_sessions, options_of, read_request, requests
from agent.batch_slots import SlotOffice
from agent.batch_state import BatchState, IdeaRecord, advance_batch, fold_batch
from agent.desk import Amount
from agent.interrupts import Wakeup
from agent.journal import Records
from agent.scheduling import is_critical, may_begin
from agent.screen import Screen
from agent.session import JOURNAL, journal_length
from agent.show import read_state
from agent.start import ResumeOptions
from agent.state import State, Status
from experiment.errors import AiSciError
from experiment.setup import Setup
from experiment.watchdog import measure_disk

_TICK = 0.5  # seconds
_SHORT_TICK = 0.05  # while somebody waits for a slot that another ai-sci holds
_PATIENCE = 60.0  # seconds for sessions to end in order
_CRASHES = 3  # in a row, without a new line in its journal


class Driver:
    """One drive of a batch, by the process that holds its lock."""

    def __init__(
        self,
        folder: Path,
        records: Records[BatchEvent],
        office: SlotOffice,
        setup_for: Callable[[str], Setup],
        resumed: ResumeOptions,
        screen: Screen,
        at_once: int,
    ) -> None:
        """`setup_for` gives the setup for a template's folder; it is quick for those of the beginning.

        `at_once`: how many sessions are in memory at most; each takes some 40 MB.
        """
        self.folder, self.records, self.office, self.setup_for = folder, records, office, setup_for
        self.resumed, self.screen, self.at_once = resumed, screen, at_once
        self.state: BatchState = fold_batch(records.entries)
        self.children: dict[str, Child] = {}
        self.held_back: dict[str, str] = {}  # sessions that this drive does not begin again, and why
        self.crashes: dict[str, int] = {}
        self.outage = Outage()
        self.runs_left = {name: self._runs_left(idea) for name, idea in self.state.ideas.items()}
        self.budgets = BudgetOffice(self.state.budgets, {name: self._spent(name) for name in self.state.ideas})
        self.stopping: tuple[Status, str] | None = None
        self.stop_by = 0.0

    def drive(self) -> Status:
        """Works until every idea has ended, as far as it can end now; returns the batch's status."""
        gc.collect()
        gc.freeze()  # what the sessions' processes share stays shared: a collection would touch all of it
        with Wakeup() as self.wakeup, selectors.DefaultSelector() as self.selector:
            self.selector.register(self.wakeup, selectors.EVENT_READ)
            try:
                while True:
                    self._see_whether_to_stop()
                    self._take_in_requests()
                    self._begin_sessions()
                    if not self.children and not self._waits_for_server():
                        break
                    slots_are_ours = self.office.give(list(self.children.values()), sum(self.runs_left.values()))
                    self._hear(_TICK if slots_are_ours else _SHORT_TICK)
            finally:
                self._leave_nobody_behind()
        status, reason = self.stopping or self._outcome()
        self.record(BatchEnded(status.value, reason))
        return status

    def record(self, event: BatchEvent) -> None:
        previous = self.records.entries[-1].at if self.records.entries else None
        advance_batch(self.state, self.records.append(event), previous)

    # -- sessions begin -----------------------------------------------------------------------------------------------

    def _begin_sessions(self) -> None:
        while self.stopping is None and not self.outage.lasts and (name := self._next_idea()) is not None:
            children = list(self.children.values())
            left, in_all = self.runs_left[name], sum(self.runs_left.values())
            if not may_begin(
                at_work=len(children),
                waiting=sum(child.wants is not None for child in children),
                planning=sum(not child.has_asked for child in children),
                free=self.office.free(children),
                slots=self.office.number,
                most=self.at_once,
                critical=is_critical(left, in_all, self.office.number, self.office.means),
            ):
                return
            self._begin(name)

    def _next_idea(self) -> str | None:
        """Those that are further along first, then in the order of adding."""
        due = [
            name
            for name, idea in self.state.ideas.items()
            if not idea.done and name not in self.children and name not in self.held_back
        ]
        return max(due, key=lambda name: self.state.ideas[name].launches > 0, default=None)

    def _begin(self, name: str) -> None:
        idea, folder = self.state.ideas[name], self.folder / name
        try:
            job = self._job(idea, folder)
        except AiSciError as error:  # the template was changed in the meantime
            self.held_back[name] = str(error)
            self.record(SessionLeft(name, Status.interrupted.value, str(error), error.exit_code))
            return
        others = [self.selector.fileno(), *self.wakeup.descriptors]
        others += [child.channel.fileno() for child in self.children.values()]
        runs_closed = self._max_runs(idea) - self.runs_left[name]
        child = begin(job, idea.added.template, others, journal_length(folder), runs_closed, self.runs_left[name])
        self.children[name] = child
        self.selector.register(child.channel, selectors.EVENT_READ, child)
        process = child.process
        self.record(SessionLaunched(name, process.pid, process.started, process.boot_id))
        self.screen.note(f"{name}: {'goes on' if job.folder.exists() else 'begins'}")

    def _job(self, idea: IdeaRecord, folder: Path) -> Job:
        setup = self.setup_for(idea.added.template)
        log = self.folder / LOGS / f"{folder.name}.log"
        options = options_of(self.state.options)
        return Job(
            folder, log, idea_of(idea.added.idea), options, self.resumed, setup, self._time_left(), self.office.on_gpus
        )

    def _max_runs(self, idea: IdeaRecord) -> int:
        asked = self.resumed.max_runs or self.state.options.get("max_runs")
        return asked or self.setup_for(idea.added.template).template.max_runs

    def _runs_left(self, idea: IdeaRecord) -> int:
        if idea.done:
            return 0
        folder = self.folder / idea.added.session
        closed = 0
        if (folder / JOURNAL).is_file():
            closed = sum(record.closed is not None for record in read_state(folder).runs.values())
        return max(0, self._max_runs(idea) - closed)

    # -- sessions ask, and end ----------------------------------------------------------------------------------------

    def _hear(self, tick: float) -> None:
        for key, _ in self.selector.select(tick):
            if key.data is None:
                self.wakeup.drain()
                continue
            child: Child = key.data
            message = child.hear()
            if message is None:
                self._left(child)
                continue
            match message:
                case WantSlot():
                    self.office.wanted(child)
                    child.wants = message
                    if self.stopping is not None:
                        self._refuse_slot(child, self.stopping[1])
                case SlotIsFree():
                    self.office.given_back(child)
                case Reserve():
                    self.budgets.reserve(child, message)
                case Settle():
                    self.budgets.settle(child, message, self.children)
                    if message.spent.tokens:
                        self.outage.is_over()
                case WhatIsLeft():
                    self.budgets.tell_what_is_left(child)
                case Headline():
                    self._headline(child, message)

    def _headline(self, child: Child, headline: Headline) -> None:
        if headline.runs_closed > child.runs_closed:
            self.office.means.run_was_closed()
        child.runs_closed, child.runs_left = headline.runs_closed, headline.runs_left
        self.runs_left[child.session] = headline.runs_left
        child.last_words = headline.text
        self.screen.note(f"{child.session}: {headline.text}")

    def _left(self, child: Child) -> None:
        """The session's process has ended, in order or not."""
        name = child.session
        self.selector.unregister(child.channel)
        code = child.bury()
        del self.children[name]
        held = time.monotonic() - child.held_since if child.held_since is not None else 0.0
        self.budgets.gone(child, held * child.slots, measure_disk([self.folder / name])[0], self.children)
        state = self._state_of(name)
        if state is None:
            status = Status.interrupted.value
            reason = child.last_words or f"its process ended with code {code} before there was a session"
        else:
            status, reason = state.status.value, state.ended.reason if state.ended else ""
        self.record(SessionLeft(name, status, reason, code))
        idea = self.state.ideas[name]
        self.runs_left[name] = 0 if idea.done else child.runs_left
        if idea.done or self.stopping is not None:
            return
        if state is not None and is_outage(self.folder / name, state):
            self._server_is_away(name, reason)
        elif code == 2 or status in (Status.budget_exhausted.value, Status.model_unavailable.value):
            self.held_back[name] = reason
            self.runs_left[name] = 0
        else:
            self._crashed(child, code, reason)

    def _crashed(self, child: Child, code: int, reason: str) -> None:
        name = child.session
        moved_on = journal_length(self.folder / name) > child.length
        self.crashes[name] = 1 if moved_on else self.crashes.get(name, 0) + 1
        if self.crashes[name] < _CRASHES:
            self.screen.note(f"{name}: its process ended with code {code}; it goes on in a new one")
            return
        self.held_back[name], self.runs_left[name] = reason, 0
        self.screen.note(f"{name}: its process ended {_CRASHES} times without getting on: see {LOGS}/{name}.log")

    def _server_is_away(self, name: str, reason: str) -> None:
        wait = self.outage.begins()
        if wait is None:
            self.held_back[name], self.runs_left[name] = reason, 0
            return
        self.screen.note(f"{name}: {reason}; no session is begun for {wait:.0f} s")

    def _spent(self, name: str) -> Amount:
        """By the session until now, calls and attempts of which nobody saw the end included."""
        state = self._state_of(name)
        if state is None:
            return Amount()
        return state.spent.committed + Amount(disk=measure_disk([self.folder / name])[0])

    def _state_of(self, name: str) -> State | None:
        try:
            return read_state(self.folder / name)
        except AiSciError:
            return None

    # -- more ideas, and the end --------------------------------------------------------------------------------------

    def _take_in_requests(self) -> None:
        for path in requests(self.folder):
            try:
                planned = read_request(path, options_of(self.state.options).overrides)
                self._add(named_sessions(planned, self._known(), path.stem))
            except AiSciError as error:
                self.screen.note(f"ai-sci: {error}")
                path.rename(path.with_suffix(".refused"))
                continue
            path.unlink()

    def _known(self) -> list[IdeaAdded]:
        return [idea.added for idea in self.state.ideas.values()]

    def _add(self, added: list[IdeaAdded]) -> None:
        for one in added:
            self.record(one)
            self.runs_left[one.session] = self._runs_left(self.state.ideas[one.session])
            self.screen.note(f"{one.session}: added")

    def _waits_for_server(self) -> bool:
        return self.stopping is None and self.outage.lasts and self._next_idea() is not None

    def _time_left(self) -> float:
        limit = self.state.budgets.time
        if limit is None:
            return float("inf")
        since = time.time() - self.records.entries[-1].at
        return max(0.0, limit - self.state.active_seconds - max(0.0, since))

    def _see_whether_to_stop(self) -> None:
        now = time.monotonic()
        if self.stopping is not None:
            if now > self.stop_by:
                for child in self.children.values():
                    child.kill()
            return
        if self.wakeup.signalled:
            self._stop(Status.interrupted, "stopped by a signal", at_once=True)
        elif self._time_left() <= 0:
            self._stop(
                Status.budget_exhausted, "--max-time is used up. Resume with a higher --max-time.", at_once=False
            )

    def _stop(self, status: Status, reason: str, at_once: bool) -> None:
        """The sessions end in order; those whose time is up do so by themselves, unless they take too long."""
        self.stopping, self.stop_by = (status, reason), time.monotonic() + _PATIENCE
        self.screen.note(f"{reason.rstrip('.')}: {len(self.children)} sessions are ending")
        for child in self.children.values():
            if at_once:
                child.ask_to_stop()
            elif child.wants is not None:
                self._refuse_slot(child, reason)

    def _refuse_slot(self, child: Child, reason: str) -> None:
        child.wants = None
        child.answer(Refused(reason))

    def _leave_nobody_behind(self) -> None:
        """After an error of ours (the disk is full, say): the sessions end, and are resumed with the batch."""
        for child in self.children.values():
            child.ask_to_stop()
        for child in self.children.values():
            with contextlib.suppress(OSError):
                child.bury()

    def _outcome(self) -> tuple[Status, str]:
        ideas = self.state.ideas.values()
        done = sum(idea.done for idea in ideas)
        if done == len(ideas):
            return Status.completed, f"all {done} ideas have ended"
        left = {idea.left.status for idea in ideas if idea.left is not None and not idea.done}
        for status in (Status.budget_exhausted, Status.model_unavailable):
            if status.value in left:
                return status, f"{done} of {len(ideas)} ideas have ended; the others can go on"
        return Status.interrupted, f"{done} of {len(ideas)} ideas have ended; the others can go on"
