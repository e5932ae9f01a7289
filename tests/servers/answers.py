"""What a model of a test server says, apart from the protocol that carries it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Answer:
    """One reply of the model. `text=None` is JSON null where the protocol has a place for it."""

    text: str | None = ""
    reasoning: str = ""
    finish_reason: str = "stop"  # in OpenAI's words: stop, length, content_filter; or a word of the provider's own


REASONING_ONLY = Answer("", reasoning="Let me think about the sparsity penalty.")
NULL = Answer(None)
EMPTY = Answer("")
WHITESPACE = Answer(" \n\t\n ")
REFUSAL = Answer("I can't help with that.", finish_reason="content_filter")


def tokens(text: str) -> int:
    """The test servers' tokenizer: four characters a token, rounded up."""
    return (len(text) + 3) // 4


def shared_prefix(earlier: str, later: str) -> int:
    """How many leading characters two requests share, as a provider's prefix cache sees it."""
    low, high = 0, min(len(earlier), len(later))
    while low < high:
        middle = (low + high + 1) // 2
        if earlier[:middle] == later[:middle]:
            low = middle
        else:
            high = middle - 1
    return low
