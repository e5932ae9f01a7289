"""What one try gives to litellm: the messages and nothing else, no retries but ours, Anthropic's cache marks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ai_sci.agent.journal import Message


def to_wire(messages: Sequence[Message]) -> list[dict[str, Any]]:
    """Nothing but these two keys ever leaves: reasoning sent back is refused by some providers."""
    return [{"role": message.role, "content": message.content} for message in messages]


def common(wire: list[dict[str, Any]]) -> dict[str, Any]:
    # litellm's and the provider library's own retries are off: the loop here is the only one. The messages are a copy,
    # for litellm adds to the list when it thinks that it can repair them.
    return {"messages": [dict(message) for message in wire], "max_retries": 0, "num_retries": 0}


def as_stream(*, usage: bool) -> dict[str, Any]:
    return {"stream": True, "stream_options": {"include_usage": True}} if usage else {"stream": True}


def with_cache_marks(wire: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Anthropic caches a prefix only up to a mark: one after the instructions, which outlive a rebuilt conversation,
    and one at the end, where the next request goes on."""
    marked = [next((i for i, message in enumerate(wire) if message["role"] == "user"), 0), len(wire) - 1]
    return [
        {**message, "content": [{"type": "text", "text": message["content"], "cache_control": {"type": "ephemeral"}}]}
        if index in marked
        else message
        for index, message in enumerate(wire)
    ]
