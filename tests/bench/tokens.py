"""Counts what was sent: tokens of all requests of a session, and the share that repeats the request before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

Wire = list[dict[str, str]]
CACHED = 0.1  # what a token that a provider has in its prefix cache costs: a tenth, at Anthropic, DeepSeek and OpenAI


@dataclass(frozen=True)
class Sent:
    requests: int
    tokens: int
    first: int  # tokens of the first request, which can repeat nothing
    repeated: int  # tokens of the longest common prefix with the previous request

    @property
    def share_of_all(self) -> float:
        return self.repeated / self.tokens if self.tokens else 0.0

    @property
    def weighted(self) -> float:
        """Tokens by their price. Replies are left out: both sides have the same, which would hide the difference."""
        return self.tokens - (1 - CACHED) * self.repeated

    @property
    def share_after_first(self) -> float:
        later = self.tokens - self.first
        return self.repeated / later if later else 0.0


def count_sent(requests: Sequence[Wire]) -> Sent:
    """Tokens by cl100k_base, the same for every peer, of each request's roles and contents."""
    import litellm

    tokens = first = repeated = 0
    before: list[int] = []
    for messages in requests:
        text = "".join(f"<|{message['role']}|>{message['content']}" for message in messages)
        now = list(litellm.encode(model="gpt-4", text=text))
        tokens += len(now)
        first = first or len(now)
        repeated += _common_prefix(before, now)
        before = now
    return Sent(len(requests), tokens, first, repeated)


def _common_prefix(one: Sequence[int], other: Sequence[int]) -> int:
    for index, (a, b) in enumerate(zip(one, other)):
        if a != b:
            return index
    return min(len(one), len(other))
