"""A batch's state, a fold over its journal, and the states of its sessions, read from their journals."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ai_sci.agent.batch.events import (
    BATCH_EVENT_TYPES,
    BatchEnded,
    BatchEvent,
    BatchResumed,
    BatchStarted,
    IdeaAdded,
    SessionLaunched,
    SessionLeft,
)
from ai_sci.agent.budgets import Budgets
from ai_sci.agent.journal import Record, State, Status, parse
from ai_sci.agent.session import is_driven, read_state
from ai_sci.experiment.attempt import BATCH_JOURNAL
from ai_sci.experiment.base import AiSciError, ConfigError


@dataclass
class IdeaRecord:
    """One idea of a batch. `left` says how its last process ended; None before that and while one runs."""

    added: IdeaAdded
    launches: int = 0
    at_work: SessionLaunched | None = None
    left: SessionLeft | None = None

    @property
    def done(self) -> bool:
        """Whether its session has ended for good."""
        return self.left is not None and not Status(self.left.status).resumable


@dataclass
class BatchState:
    """Everything the driver and the views need to know about a batch. Times are in seconds."""

    started: BatchStarted | None = None
    started_at: float = 0.0
    ended_at: float | None = None
    active_seconds: float = 0.0  # excludes pauses before a resume
    options: dict[str, Any] = field(default_factory=dict)
    budgets: Budgets = Budgets()
    ideas: dict[str, IdeaRecord] = field(default_factory=dict)  # by session name, in the order added
    status: Status = Status.running
    ended: BatchEnded | None = None


def fold_batch(records: Iterable[Record[BatchEvent]]) -> BatchState:
    """The state after all `records`."""
    state = BatchState()
    previous_at: float | None = None
    for record in records:
        advance_batch(state, record, previous_at)
        previous_at = record.at
    return state


def advance_batch(state: BatchState, record: Record[BatchEvent], previous_at: float | None) -> None:
    """Updates `state` with one more record. `previous_at` is the time of the record before it, None for the first."""
    event = record.event
    if previous_at is not None and not isinstance(event, BatchResumed):
        state.active_seconds += max(0.0, record.at - previous_at)
    match event:
        case BatchStarted():
            state.started, state.started_at = event, record.at
            state.options, state.budgets = event.options, _budgets(event)
        case IdeaAdded():
            state.ideas[event.session] = IdeaRecord(event)
        case SessionLaunched():
            idea = state.ideas[event.session]
            idea.launches += 1
            idea.at_work, idea.left = event, None
        case SessionLeft():
            state.ideas[event.session].at_work, state.ideas[event.session].left = None, event
        case BatchResumed():
            state.status, state.ended, state.ended_at = Status.running, None, None
            state.options, state.budgets = event.options, _budgets(event)
        case BatchEnded():
            state.status, state.ended, state.ended_at = Status(event.status), event, record.at


def _budgets(event: BatchStarted | BatchResumed) -> Budgets:
    return Budgets(**event.budgets)  # type: ignore[arg-type]  written with asdict


def outcome(state: BatchState) -> tuple[Status, str]:
    """The status and reason of a batch with no session left to run now."""
    ideas = state.ideas.values()
    done = sum(idea.done for idea in ideas)
    if done == len(ideas):
        return Status.completed, f"all {done} ideas have ended"
    left = {idea.left.status for idea in ideas if idea.left is not None and not idea.done}
    reason = f"{done} of {len(ideas)} ideas have ended; the others can go on"
    for status in (Status.budget_exhausted, Status.model_unavailable):
        if status.value in left:
            return status, reason
    return Status.interrupted, reason


def state_of(session: Path) -> State | None:
    """The state of a session of the batch; None if it does not exist yet or cannot be read."""
    try:
        return read_state(session)
    except AiSciError:
        return None


def is_batch(folder: Path) -> bool:
    """Whether the folder holds a batch, rather than a session."""
    return (folder / BATCH_JOURNAL).is_file()


def read_batch(folder: Path) -> BatchState:
    """The state of a batch, which may be running. Raises ConfigError when there is none."""
    if not is_batch(folder):
        raise ConfigError(f"{folder} is not a batch: it holds no {BATCH_JOURNAL}.")
    state = fold_batch(parse(folder / BATCH_JOURNAL, BATCH_EVENT_TYPES)[0])
    if state.started is None:
        raise ConfigError(f"{folder / BATCH_JOURNAL} does not begin with a batch.")
    if state.status is Status.running and not is_driven(folder):
        state.status = Status.interrupted  # its process died before it could record an end
        state.ended = BatchEnded(state.status.value, "it stopped without a word: ai-sci was killed or could not write")
    return state
