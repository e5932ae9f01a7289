"""Drives a session that plays a recorded one again: the loop as it is, and beside it what was recorded."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from agent.comparing import compare, prompt_difference
from agent.conversation import Message
from agent.events import PromptDiffered, Resumed, SessionStarted, Told
from agent.loop import step
from agent.model import Model, OnDelta, OnFailure, Reply
from agent.recording import Recording, load_recording
from agent.session import Session
from agent.state import Status
from agent.work import Work
from experiment.errors import ConfigError


def recorded_origin(started: SessionStarted) -> Recording | None:
    """The session that `started` was made from, as far as it is there."""
    if not started.origin:
        return None
    try:
        return load_recording(Path(started.origin))
    except ConfigError:
        return None  # a replay that has gone on live can be resumed without it


def replays(model: Model, started: SessionStarted) -> bool:
    """Whether `model` plays the replies of the session's origin."""
    return bool(started.origin) and model.name == f"replay:{started.origin}"


def follow(work: Work, recording: Recording) -> Status:
    """Drives the session with the recorded replies until it ends, and says how much of it is as recorded."""
    session, state = work.session, work.state
    work = Work(session, work.setup, _Compared(work.model, session, recording), work.earlier)
    while state.status is Status.running:
        _allow_runs(session, recording)
        step(work)
    compared = compare(recording, Recording(session.folder, session.journal.entries))
    session.record(compared)
    return state.status


def _allow_runs(session: Session, recording: Recording) -> None:
    """A resume of the recorded session may have allowed more runs, which stands in the prompts."""
    state, started = session.state, session.started
    if started.max_runs != recording.started.max_runs:
        return  # a choice of the user for this replay
    told = sum(isinstance(event, Told) for event in session.journal.events)
    allowed = recording.max_runs(told, state.replies)
    if allowed != state.max_runs:
        session.record(Resumed(state.model, state.api_base, allowed, state.max_cost, state.max_time))


class _Compared:
    """A model that is asked what `recording` was asked; what differs is reported, and the session goes on."""

    def __init__(self, model: Model, session: Session, recording: Recording) -> None:
        self.name = model.name
        self.context_window = model.context_window
        self._model, self._session, self._recording = model, session, recording

    def complete(self, messages: Sequence[Message], *, turn: int, on_delta: OnDelta, on_failure: OnFailure) -> Reply:
        if turn < len(self._recording.replies):
            diff = prompt_difference(self._recording, turn + 1, messages)
            if diff and not self._reported(turn + 1):
                self._report(turn + 1, diff)
        return self._model.complete(messages, turn=turn, on_delta=on_delta, on_failure=on_failure)

    def worst_case_cost(self, messages: Sequence[Message]) -> float | None:
        return self._model.worst_case_cost(messages)

    def _reported(self, turn: int) -> bool:
        return any(isinstance(event, PromptDiffered) and event.turn == turn for event in self._session.journal.events)

    def _report(self, turn: int, diff: str) -> None:
        folder = self._session.folder / "replay"
        folder.mkdir(exist_ok=True)
        (folder / f"turn_{turn}.diff").write_text(diff, encoding="utf-8", errors="replace")
        self._session.record(PromptDiffered(turn, diff))
