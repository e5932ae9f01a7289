"""The batch loop: launches sessions, allocates slots and budgets, and records how each session ends."""

from __future__ import annotations

import gc
import selectors
import time
from collections.abc import Callable
from pathlib import Path

from ai_sci.agent.batch.budget_manager import BudgetManager, spent_by
from ai_sci.agent.batch.child import SessionJob
from ai_sci.agent.batch.children import Child, begin, sweep
from ai_sci.agent.batch.events import BatchEnded, BatchEvent, SessionLaunched, SessionLeft
from ai_sci.agent.batch.messages import Headline, Refused, Reserve, Settle, SlotIsFree, WantSlot, WhatIsLeft
from ai_sci.agent.batch.plan import LOGS, idea_of, named_sessions, options_of, read_request, requests
from ai_sci.agent.batch.restart_policy import RestartPolicy, done_so_far
from ai_sci.agent.batch.scheduling import is_critical, may_begin
from ai_sci.agent.batch.slot_allocator import SlotAllocator
from ai_sci.agent.batch.state import BatchState, IdeaRecord, advance_batch, outcome, state_of
from ai_sci.agent.budgets import Amount, Limit
from ai_sci.agent.commands import ResumeOptions
from ai_sci.agent.interrupts import Wakeup
from ai_sci.agent.journal import Records, State, Status
from ai_sci.agent.session import Screen
from ai_sci.experiment.attempt import ExecutionContext, measure_disk
from ai_sci.experiment.base import ConfigError, EnvironmentFailed

_TICK = 0.5  # seconds
_SHORT_TICK = 0.05  # while a session waits for a slot that another ai-sci holds
_PATIENCE = 60.0  # seconds for sessions to stop by themselves


class Driver:
    """One invocation of a batch, in the process that holds its lock."""

    def __init__(
        self,
        folder: Path,
        records: Records[BatchEvent],
        state: BatchState,
        allocator: SlotAllocator,
        execution_for: Callable[[str], ExecutionContext],
        resumed: ResumeOptions,
        screen: Screen,
    ) -> None:
        """`state` is the fold of `records`. `execution_for` maps a template folder to its (cached) setup."""
        assert state.started is not None  # the first record of every batch
        self.folder, self.records, self.state, self.allocator = folder, records, state, allocator
        self.execution_for, self.resumed, self.screen = execution_for, resumed, screen
        self.at_once = state.started.at_once
        self.children: dict[str, Child] = {}
        self.restarts = RestartPolicy()
        self.runs_left: dict[str, int] = {}
        spent: dict[str, Amount] = {}
        for name in self.state.ideas:
            session = state_of(self.folder / name)
            self.runs_left[name] = self._runs_left(name, session)
            spent[name] = spent_by(self.folder / name, session)
            self.restarts.answered |= session is not None and session.spent.calls > 0
        self.budgets = BudgetManager(self.state.budgets, spent)
        # Monotonic, so that a clock change does not end the batch.
        self.active_before, self.began = self.state.active_seconds, time.monotonic()
        self.stopping: tuple[Status, str] | None = None
        self.stop_by = 0.0

    def drive(self) -> Status:
        """Works until every idea has ended or cannot continue now; returns the batch's status."""
        gc.collect()
        gc.freeze()  # a collection would write to memory that the forked sessions share
        with Wakeup() as self.wakeup, selectors.DefaultSelector() as self.selector:
            self.selector.register(self.wakeup, selectors.EVENT_READ)
            try:
                while True:
                    self._check_for_stop()
                    self._add_requested_ideas()
                    self._begin_sessions()
                    if not self.children and not self._will_launch_more():
                        break
                    slots_are_ours = self.allocator.give(list(self.children.values()), sum(self.runs_left.values()))
                    self._hear(_TICK if slots_are_ours else _SHORT_TICK)
            finally:
                self._stop_remaining()
            status, reason = self.stopping or outcome(self.state)
            self._record(BatchEnded(status.value, reason))
        return status

    def _record(self, event: BatchEvent) -> None:
        previous = self.records.entries[-1].at if self.records.entries else None
        advance_batch(self.state, self.records.append(event), previous)

    # -- launching sessions --------------------------------------------------------------------------------------------

    def _begin_sessions(self) -> None:
        while self.stopping is None and (name := self._next_idea()) is not None:
            children = list(self.children.values())
            left, in_all = self.runs_left[name], sum(self.runs_left.values())
            if not may_begin(
                at_work=len(children),
                waiting=sum(child.wants is not None for child in children),
                planning=sum(not child.has_asked for child in children),
                free=self.allocator.free(children),
                slots=self.allocator.number,
                most=self.at_once,
                critical=is_critical(left, in_all, self.allocator.number, self.allocator.means),
            ):
                return
            self._begin(name)

    def _next_idea(self) -> str | None:
        """Sessions already started come first, then the rest in the order they were added."""
        due = [
            name
            for name, idea in self.state.ideas.items()
            if not idea.done and name not in self.children and self.restarts.may_begin(name)
        ]
        return max(due, key=lambda name: self.state.ideas[name].launches > 0, default=None)

    def _begin(self, name: str) -> None:
        idea, folder = self.state.ideas[name], self.folder / name
        exists, done_before = folder.exists(), done_so_far(state_of(folder))
        try:
            job = self._job(idea, folder, None if exists else self.execution_for(idea.added.template))
        except (ConfigError, EnvironmentFailed) as error:  # the template was removed or changed since
            self.restarts.hold_back(name)
            self.runs_left[name] = 0
            self._record(SessionLeft(name, Status.interrupted.value, str(error), error.exit_code))
            self.screen.note(f"{name}: {error}")
            return
        others = [self.selector.fileno(), *self.wakeup.descriptors]
        others += [child.channel.fileno() for child in self.children.values()]
        left = self.runs_left[name]
        child = begin(job, idea.added.template, others, done_before, self._max_runs(idea) - left, left)
        self.children[name] = child
        self.selector.register(child.channel, selectors.EVENT_READ, child)
        self._record(SessionLaunched(name, child.process.pid, child.process.started, child.process.boot_id))
        self.screen.note(f"{name}: {'resumed' if exists else 'started'}")

    def _job(self, idea: IdeaRecord, folder: Path, execution: ExecutionContext | None) -> SessionJob:
        return SessionJob(
            folder,
            self.folder / LOGS / f"{folder.name}.log",
            idea_of(idea.added.idea),
            options_of(self.state.options),
            self.resumed,
            execution,
            self._time_limit(),
            self.allocator.on_gpus,
        )

    def _max_runs(self, idea: IdeaRecord) -> int:
        """The session's run limit; 1 if its template cannot be loaded, which is reported at launch."""
        if asked := self.resumed.max_runs or self.state.options.get("max_runs"):
            return asked
        try:
            return self.execution_for(idea.added.template).template.max_runs
        except (ConfigError, EnvironmentFailed):
            return 1

    def _runs_left(self, name: str, session: State | None) -> int:
        idea = self.state.ideas[name]
        if idea.done:
            return 0
        closed = sum(record.closed is not None for record in session.runs.values()) if session else 0
        return max(0, self._max_runs(idea) - closed)

    # -- messages from sessions, and their ends ------------------------------------------------------------------------

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
                    self.allocator.wanted(child)
                    child.wants = message
                    if self.stopping is not None:
                        self._refuse_slot(child, self.stopping[1])
                case SlotIsFree():
                    self.allocator.given_back(child)
                case Reserve():
                    self.budgets.reserve(child, message)
                case Settle():
                    self.budgets.settle(child, message, self.children)
                    if message.spent.tokens:
                        self.restarts.answered = True
                        self.restarts.outage.is_over()
                case WhatIsLeft():
                    self.budgets.tell_what_is_left(child)
                case Headline():
                    self._headline(child, message)

    def _headline(self, child: Child, headline: Headline) -> None:
        if headline.runs_closed is not None and headline.runs_left is not None:
            if headline.runs_closed > child.runs_closed:
                self.allocator.means.run_was_closed()
            child.runs_closed, child.runs_left = headline.runs_closed, headline.runs_left
            self.runs_left[child.session] = headline.runs_left
        child.last_words = headline.text
        self.screen.note(f"{child.session}: {headline.text}")

    def _left(self, child: Child) -> None:
        """Handles the end of a session's process, however it ended."""
        name = child.session
        self.selector.unregister(child.channel)
        code = child.reap()
        del self.children[name]
        held = time.monotonic() - child.held_since if child.held_since is not None else 0.0
        self.budgets.gone(child, held * child.slots, measure_disk([self.folder / name])[0], self.children)
        state = state_of(self.folder / name)
        if state is None:
            sweep(self.folder, name)
            status = Status.interrupted.value
            reason = child.last_words or f"its process ended with code {code} before there was a session"
            if self.stopping is not None:
                reason = f"{self.stopping[1]} before there was a session"
        else:
            status, reason = state.status.value, state.ended.reason if state.ended else ""
        self._record(SessionLeft(name, status, reason, code))
        idea = self.state.ideas[name]
        self.runs_left[name] = 0 if idea.done else child.runs_left
        if idea.done or self.stopping is not None:
            return
        if note := self.restarts.after(self.folder, child, code, state, reason):
            self.screen.note(f"{name}: {note}")
        if self.restarts.is_held_back(name):
            self.runs_left[name] = 0

    # -- more ideas, and stopping --------------------------------------------------------------------------------------

    def _add_requested_ideas(self) -> None:
        if self.stopping is not None:
            return  # a resume picks them up
        for path in requests(self.folder):
            try:
                planned = read_request(path, options_of(self.state.options).overrides)
                added = named_sessions(planned, [idea.added for idea in self.state.ideas.values()], path.stem)
                for one in added:
                    self.execution_for(one.template)
            except (ConfigError, EnvironmentFailed) as error:
                self.screen.note(f"ai-sci: {error}")
                path.rename(path.with_suffix(".refused"))
                continue
            for one in added:
                self._record(one)
                self.runs_left[one.session] = self._runs_left(one.session, None)
                self.screen.note(f"{one.session}: added")
            path.unlink()

    def _will_launch_more(self) -> bool:
        """Whether a session will be launched later, after a wait or when the model's server is back."""
        if self.stopping is not None:
            return False
        return any(not idea.done and not self.restarts.is_held_back(name) for name, idea in self.state.ideas.items())

    def _time_limit(self) -> Limit | None:
        return self.state.budgets.limit("time", self.active_before + time.monotonic() - self.began, shared=True)

    def _check_for_stop(self) -> None:
        if self.stopping is not None:
            if time.monotonic() > self.stop_by:
                for child in self.children.values():
                    child.kill()
            return
        if self.wakeup.signalled:
            self._stop(Status.interrupted, "stopped by a signal", at_once=True)
        elif (limit := self._time_limit()) and not limit.allows():
            self._stop(Status.budget_exhausted, limit.reason(), at_once=False)

    def _stop(self, status: Status, reason: str, at_once: bool) -> None:
        """Makes the sessions stop. At a time limit they stop by themselves, but those waiting for a slot are told."""
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

    def _stop_remaining(self) -> None:
        """Stops the sessions left after an error of ours, such as a full disk; a resume of the batch resumes them."""
        for child in self.children.values():
            child.ask_to_stop()
        for child in self.children.values():
            child.reap(_PATIENCE)
