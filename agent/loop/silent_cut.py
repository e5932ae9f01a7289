"""Notices a server that drops the start of a prompt without a word, as Ollama does beyond its window.

Only the server's own count of the prompt gives it away. It has to be impossible, not merely low:

- No tokenizer in use joins two words, nor a word and a number, into one token, so a prompt has at least as many tokens
  as runs of letters and runs of digits. (GPT-4's has 1.4 times as many in prose, and 1.9 times in code.) A server that
  only estimates is given six characters a token, where four to five are usual.
- A count that leaves out what came from a cache is no cut. Cached tokens that are reported are added, which is the
  total in one way of counting and more than that in the other. A server may also leave them out and not say so; then it
  counts no more than what this request added. So a count of that size is believed only from a server that has counted
  more before, or that gives the very same number again.

So a cut is noticed once a third to a half of the prompt is gone, and not before.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from ai_sci.agent.journal import ConversationRebuilt, Event, Message, Replied, Resumed, Told
from ai_sci.agent.models import Usage

_WORD = re.compile(r"[^\W\d_]+|\d+")
_CHARACTERS_PER_TOKEN = 6.0
_BYTES_PER_TOKEN = 2.0  # at the least, of what one request added
_SMALLEST = 256  # tokens; fewer are a number that somebody made up


def window_of_cut(messages: Sequence[Message], usage: Usage, events: Sequence[Event]) -> int | None:
    """The server's window in tokens if it cut this request; None otherwise. `events` led to the request."""
    count = usage.prompt_tokens + usage.cached_tokens
    if not usage.reported or count < _SMALLEST or count >= _fewest_tokens(messages):
        return None
    before = _Before.request(events)
    if before.last is not None and count <= before.added and not before.counts_all and count != before.last:
        return None
    return max(count, before.largest)


def _fewest_tokens(messages: Sequence[Message]) -> float:
    words = sum(len(_WORD.findall(message.content)) for message in messages)
    return min(words, sum(len(message.content) for message in messages) / _CHARACTERS_PER_TOKEN)


@dataclass
class _Before:
    """What earlier requests say about how this server counts, in tokens."""

    last: int | None = None  # the count of the last one
    largest: int = 0  # of all since the last resume
    added: float = 0.0  # the most that the present request can have added to it
    counts_all: bool = False  # a count was larger than what its request had added
    model: str = ""

    @classmethod
    def request(cls, events: Sequence[Event]) -> _Before:
        """Before the request that `events` led to."""
        before = cls()
        for event in events:
            match event:
                case Resumed(model=model) if model != before.model:
                    before = cls(added=before.added)
                case Resumed():
                    before.largest = 0
                case ConversationRebuilt(text=text):
                    before.added = _most_tokens(text)  # the instructions before it have been sent
                case Told(text=text):
                    before.added += _most_tokens(text)
                case Replied(text=text, prompt_tokens=count, model=model):
                    before.counts_all |= before.last is not None and count > before.added
                    before.last, before.largest, before.model = count, max(before.largest, count), model
                    before.added = _most_tokens(text)
                case _:
                    pass
        return before


def _most_tokens(text: str) -> float:
    return len(text.encode()) / _BYTES_PER_TOKEN
