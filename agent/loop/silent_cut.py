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
    counts, added, counts_all = _so_far(events)
    if counts and count <= added and not counts_all and count != counts[-1]:
        return None
    return max([count, *counts])


def _fewest_tokens(messages: Sequence[Message]) -> float:
    words = sum(len(_WORD.findall(message.content)) for message in messages)
    return min(words, sum(len(message.content) for message in messages) / _CHARACTERS_PER_TOKEN)


def _so_far(events: Sequence[Event]) -> tuple[list[int], float, bool]:
    """The counts since the last rebuild or resume, the most tokens that this request can have added to the one before,
    and whether a count was larger than what its request had added."""
    counts: list[int] = []
    added, counts_all = 0, False
    for event in events:
        if isinstance(event, (ConversationRebuilt, Resumed)):
            counts = []
        elif isinstance(event, Told):
            added += len(event.text.encode())
        elif isinstance(event, Replied):
            counts_all |= bool(counts) and event.prompt_tokens > added / _BYTES_PER_TOKEN
            counts.append(event.prompt_tokens)
            added = len(event.text.encode())
    return counts, added / _BYTES_PER_TOKEN, counts_all
