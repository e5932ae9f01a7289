"""A model that plays recorded replies and then lets a live one go on: `RECORDED then LIVE`."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from agent.reply import CallFailure, Reply

if TYPE_CHECKING:
    from agent.conversation import Message
    from agent.model import Model

# A live model's name holds no blank, so what stands before the last ` then ` is the recording's path, blanks and all.
_THEN = re.compile(r"(?P<recorded>(?:scripted|replay|history):.+) then (?P<live>[^ ]\S*|scripted:.+)", re.DOTALL)


def recorded_then(recorded: str, live: str) -> str:
    """The name under which `live` goes on when the replies of `recorded` are used up, also after a resume."""
    return f"{recorded} then {live}"


def split_recorded_then(name: str) -> tuple[str, str] | None:
    """The two names in `RECORDED then LIVE`; None for any other name."""
    found = _THEN.fullmatch(name)
    return (found["recorded"], found["live"]) if found else None


class RecordedFirst:
    """Answers the first `replies` turns from the recording and all others live. The turn alone decides."""

    def __init__(self, recorded: Model, replies: int, live: Model) -> None:
        self.name = recorded_then(recorded.name, live.name)
        self.context_window = live.context_window
        self._recorded, self._replies, self._live = recorded, replies, live

    def complete(
        self,
        messages: Sequence[Message],
        *,
        turn: int,
        on_delta: Callable[[str], None],
        on_failure: Callable[[CallFailure], None],
    ) -> Reply:
        if turn < self._replies:
            return self._recorded.complete(messages, turn=turn, on_delta=on_delta, on_failure=on_failure)
        # Counted anew, for a script in the live model's place: its 01.md follows the last recorded reply.
        return self._live.complete(messages, turn=turn - self._replies, on_delta=on_delta, on_failure=on_failure)

    def worst_case_cost(self, messages: Sequence[Message]) -> float | None:
        """That of the live model: which of the two will answer is not known here."""
        return self._live.worst_case_cost(messages)
