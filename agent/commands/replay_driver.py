"""Drives a session that replays a recorded one: the usual loop, compared with the recording at every request."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

from ai_sci.agent import interrupts
from ai_sci.agent.commands.replay_comparison import compare, prompt_difference
from ai_sci.agent.journal import ConversationRebuilt, Message, PromptDiffered, ResumeReplayed, SessionStarted, Status
from ai_sci.agent.loop import Editor, SessionContext, step
from ai_sci.agent.models import BeforeTry, CallFailure, ModelUnavailable, OnDelta, OnFailure, Reply, unlimited
from ai_sci.agent.session import Recording, Session, load_recording, position_of
from ai_sci.experiment.base import ConfigError
from ai_sci.keys import mask_keys


def recorded_origin(started: SessionStarted) -> Recording | None:
    """The session that `started` was made from; None when there is none or it is gone."""
    if not started.origin:
        return None
    try:
        return load_recording(Path(started.origin))
    except ConfigError:
        return None  # a replay that a live model has continued can be resumed without it


def replays(model: Editor, started: SessionStarted) -> bool:
    """Whether `model` plays the replies of the session's origin."""
    return bool(started.origin) and model.name == f"replay:{started.origin}"


def follow(context: SessionContext, recording: Recording) -> Status:
    """Drives the session with the recorded replies until it ends, then records the comparison."""
    session, state = context.session, context.state
    context = dataclasses.replace(context, editor=_Compared(context.editor, session, recording))
    while state.status is Status.running:
        interrupts.check()
        _repeat_resumes(session, recording)
        step(context)
    compared = compare(recording, Recording(session.folder, session.journal.entries))
    session.record(compared)
    return state.status


def _repeat_resumes(session: Session, recording: Recording) -> None:
    """Repeats the resumes of the recorded session: they may have changed `max_runs` or the window, hence prompts."""
    events = session.journal.events
    repeated = sum(isinstance(event, ResumeReplayed) for event in events)
    for place, resume in recording.resumes[repeated:]:
        if any(now < then for now, then in zip(position_of(events), place)):
            return
        asked_for = session.started.max_runs != recording.started.max_runs  # by the user, for this replay
        session.record(dataclasses.replace(resume, max_runs=session.state.max_runs) if asked_for else resume)


class _Compared:
    """An editor that compares each request with the recording and reports differences, without stopping."""

    def __init__(self, model: Editor, session: Session, recording: Recording) -> None:
        self.name = model.name
        self.context_window = model.context_window
        self._model, self._session, self._recording = model, session, recording

    def propose(
        self,
        files: Mapping[str, str],
        editable: Sequence[str],
        messages: Sequence[Message],
        *,
        turn: int,
        on_delta: OnDelta,
        on_failure: OnFailure,
        before_try: BeforeTry = unlimited,
    ) -> Reply:
        """The editor's reply, after the comparison. Raises ModelUnavailable where the recorded request was refused."""
        if turn < len(self._recording.replies):
            self._refuse_as_recorded(turn + 1)
            diff = prompt_difference(self._recording, turn + 1, messages)
            if diff and not self._reported(turn + 1):
                self._report(turn + 1, diff)
        return self._model.propose(
            files,
            editable,
            messages,
            turn=turn,
            on_delta=on_delta,
            on_failure=on_failure,
            before_try=before_try,
        )

    def worst_case_cost(self, messages: Sequence[Message]) -> float | None:
        """The editor's, in USD."""
        return self._model.worst_case_cost(messages)

    def worst_case_tokens(self, messages: Sequence[Message], window: int | None) -> int | None:
        """The editor's."""
        return self._model.worst_case_tokens(messages, window)

    def _refuse_as_recorded(self, turn: int) -> None:
        """Raises ModelUnavailable where the server found this request too long, so that a rebuild follows again."""
        reason, last = self._recording.refusal(turn), self._session.state.last
        if reason and not isinstance(last, ConversationRebuilt):
            raise ModelUnavailable(reason, CallFailure(None, "context_window", reason))

    def _reported(self, turn: int) -> bool:
        return any(isinstance(event, PromptDiffered) and event.turn == turn for event in self._session.journal.events)

    def _report(self, turn: int, diff: str) -> None:
        folder = self._session.folder / "replay"
        folder.mkdir(exist_ok=True)
        (folder / f"turn_{turn}.diff").write_text(mask_keys(diff), encoding="utf-8", errors="replace")
        self._session.record(PromptDiffered(turn, diff))
