"""Counts what was sent: tokens of all requests of a session, and the share that repeats the request before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

Wire = list[dict[str, str]]


@dataclass(frozen=True)
class Sent:
    requests: int
    tokens: int
    repeated: int  # tokens of the longest common prefix with the previous request

    @property
    def repeated_share(self) -> float:
        """Of all tokens sent after the first request, which can repeat nothing."""
        return self.repeated / self.tokens if self.tokens else 0.0


def count_sent(requests: Sequence[Wire]) -> Sent:
    """Tokens by cl100k_base, the same for every peer, of each request's roles and contents."""
    import litellm

    tokens = repeated = 0
    before: list[int] = []
    for messages in requests:
        text = "".join(f"<|{message['role']}|>{message['content']}" for message in messages)
        now = list(litellm.encode(model="gpt-4", text=text))
        tokens += len(now)
        repeated += _common_prefix(before, now)
        before = now
    return Sent(len(requests), tokens, repeated)


def _common_prefix(one: Sequence[int], other: Sequence[int]) -> int:
    for index, (a, b) in enumerate(zip(one, other)):
        if a != b:
            return index
    return min(len(one), len(other))
