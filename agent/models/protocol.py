"""What the loop needs of a model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

from ai_sci.agent.models.reply import CallFailure, Reply
from ai_sci.agent.models.retrying import BeforeTry, unlimited

if TYPE_CHECKING:
    from ai_sci.agent.journal import Message

OnDelta = Callable[[str], None]
OnFailure = Callable[[CallFailure], None]


class Answerer(Protocol):
    """Anything that answers a conversation and knows what that may cost."""

    @property
    def name(self) -> str:
        """As given to `--model`; journalled with every reply."""
        ...

    @property
    def context_window(self) -> int | None:
        """Tokens, None when unknown."""
        ...

    def worst_case_cost(self, messages: Sequence[Message]) -> float | None:
        """US dollars that one try can cost at most; None when the price is unknown."""
        ...

    def worst_case_tokens(self, messages: Sequence[Message], window: int | None) -> int | None:
        """Tokens that one try can take at most, sent and received; None when the longest reply is unknown. `window` is
        the model's context window where it is known."""
        ...


class Model(Answerer, Protocol):
    """A language model."""

    def complete(
        self,
        messages: Sequence[Message],
        *,
        turn: int,
        on_delta: OnDelta,
        on_failure: OnFailure,
        before_try: BeforeTry = unlimited,
    ) -> Reply:
        """The reply to `messages`; `turn` is the number of replies in the journal so far, which live models ignore.

        `on_delta` gets the reply's text as it streams, without the reasoning; `on_failure` gets every failed try, which
        voids what was streamed before it. `before_try` is called before each try and returns the seconds left; whatever
        it raises ends the call. Raises ModelUnavailable when no reply can be had.
        """
        ...
