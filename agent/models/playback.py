"""The models `replay:SESSION` and `history:FILE#N`: play back the recorded replies of a journal, or of the N-th session
in an aider chat history, with their usage and at no cost."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ai_sci.agent.aider_history import HistoryTurn, choose_session, playback_of, read_history
from ai_sci.agent.journal import Replied, read_journal
from ai_sci.agent.models.reply import CallFailure, ModelUnavailable, Reply, Usage
from ai_sci.agent.models.retrying import BeforeTry, unlimited
from ai_sci.experiment.base import ConfigError

if TYPE_CHECKING:
    from ai_sci.agent.journal import Message

USED_UP = "recorded replies ended"


class RecordedModel:
    """Bypasses litellm: a recorded reply must not be split or trimmed a second time."""

    context_window = None

    def __init__(self, name: str, replies: Sequence[Replied]) -> None:
        self.name = name
        self._replies = replies

    def complete(
        self,
        messages: Sequence[Message],
        *,
        turn: int,
        on_delta: Callable[[str], None],
        on_failure: Callable[[CallFailure], None],
        before_try: BeforeTry = unlimited,
    ) -> Reply:
        """The recorded reply of `turn`, with the files that its editor gave; see `Model.complete`."""
        if turn >= len(self._replies):
            count = len(self._replies)
            played = f"{count} {'reply was' if count == 1 else 'replies were'} played"
            message = f"{USED_UP} ({played}): resume with --model NAME to continue with a live model"
            raise ModelUnavailable(message, CallFailure(None, "script_ended", message))
        before_try()
        replied = self._replies[turn]
        on_delta(replied.text)
        cut = replied.cut_to is not None  # it is found again only where it was found before
        usage = Usage(replied.prompt_tokens, replied.completion_tokens, replied.cached_tokens, reported=cut)
        return Reply(replied.text, replied.reasoning, replied.finish_reason, usage, 0.0, replied.files)

    def worst_case_cost(self, messages: Sequence[Message]) -> float | None:
        """Zero: playback is free."""
        return 0.0

    def worst_case_tokens(self, messages: Sequence[Message], window: int | None) -> int | None:
        """Zero: the recorded session has already spent them."""
        return 0


def open_recorded(name: str) -> RecordedModel:
    """The model `replay:SESSION`. Raises ConfigError when there is no such session or it has no reply."""
    session = Path(name.removeprefix("replay:")).expanduser()
    journal = session / "journal.jsonl"
    if not journal.is_file():
        raise ConfigError(f"{session} is not a session: it holds no journal.jsonl")
    replies = [entry.event for entry in read_journal(journal) if isinstance(entry.event, Replied)]
    if not replies:
        raise ConfigError(f"{journal} holds no reply")
    return RecordedModel(name, replies)


def open_history(name: str) -> RecordedModel:
    """The model `history:FILE#N`. Raises ConfigError when there is no such session or it has no reply."""
    file, _, number = name.removeprefix("history:").rpartition("#")
    if not file or not number.isdecimal():
        raise ConfigError(f"{name} does not say which session of the history is meant: write history:FILE#1")
    session = choose_session(Path(file), read_history(Path(file)), int(number))
    turns = playback_of(session).turns
    if not turns:
        raise ConfigError(f"session {number} of {file} holds no reply")
    return RecordedModel(name, [_replied(turn, name) for turn in turns])


def _replied(turn: HistoryTurn, model: str) -> Replied:
    """A history's turn as a journalled reply. aider's token counts are rounded; its costs were paid elsewhere."""
    return Replied(
        text=turn.reply,
        reasoning=turn.reasoning,
        finish_reason="length" if turn.is_cut or turn.is_interrupted else "stop",
        model=model,
        prompt_tokens=turn.usage.sent if turn.usage else 0,
        completion_tokens=turn.usage.received if turn.usage else 0,
        cached_tokens=0,
        cost=None,
        seconds=0.0,
    )
