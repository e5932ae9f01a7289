"""Taps a stream for what litellm loses of it.

Its line-reading providers (DeepSeek, Anthropic, Gemini, Ollama and others) skip an event that is not JSON, which leaves
a gap in the reply; they end the stream at any line that contains `[DONE]`, even in the model's own text; they drop
usage, cache hits included, and reasons for the end; Ollama's removes think tags from the text; and they turn an error
event into a `KeyError`. None of them reads content that is a list of parts.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterable, Iterator
from typing import Any

from ai_sci.agent.models import wire_bodies

_OTHER_FIELD = re.compile(r":|(event|id|retry):")
_INSIDE_A_TAG = re.compile(r"(?<=think)(?=>)")


class ErrorEvent(Exception):
    """The server reported an error inside a successful response. `body` is the error as it came."""

    def __init__(self, body: dict[str, Any]) -> None:
        super().__init__(json.dumps(body))
        self.body = body


class StreamTap:
    """Sits between litellm and what it reads: the lines of a stream, or the chunks of OpenAI's client.

    Must be closed: if the garbage collector closes a response in the middle of another request, httpcore deadlocks on
    a lock that it already holds.
    """

    def __init__(self, given_up: threading.Event, stream: Any) -> None:
        self.usage: dict[str, Any] | None = None  # the last one received, in OpenAI's format
        self.finish_reason: str | None = None  # in the server's word
        self._given_up = given_up
        if getattr(stream, "make_call", None) is not None:
            stream.fetch_sync_stream()  # Gemini's request is only sent now
        events: Any = getattr(stream, "completion_stream", None)
        self._source: Any = events
        if hasattr(events, "response_iterator"):
            holder, name = events, "response_iterator"
            if hasattr(events.response_iterator, "stream_iterator"):
                holder, name = events.response_iterator, "stream_iterator"  # the Responses' lines lie one deeper
            self._source = getattr(holder, name)
            setattr(holder, name, self._lines(self._source))
        elif hasattr(events, "response"):
            stream.completion_stream = self._chunks(events)

    def close(self) -> None:
        """Close the underlying response."""
        close = getattr(self._source, "close", None)
        if close is not None:
            close()

    def _chunks(self, chunks: Iterable[Any]) -> Iterator[Any]:
        """The chunks of OpenAI's client, which reads strictly but takes any content."""
        for chunk in chunks:
            for choice in (getattr(chunk, "choices", None) or [])[:1]:
                self.finish_reason = getattr(choice, "finish_reason", None) or self.finish_reason
                delta: Any = getattr(choice, "delta", None)
                content = getattr(delta, "content", None)
                thought = getattr(delta, "reasoning", None) or getattr(delta, "thinking", None)
                if isinstance(content, (list, dict)):
                    delta.content, delta.reasoning_content = wire_bodies.split_parts(content)
                elif isinstance(thought, str):  # what OpenRouter, vLLM and others call it
                    delta.reasoning_content = thought
            yield chunk

    def _lines(self, lines: Iterable[Any]) -> Iterator[Any]:
        for line in lines:
            if self._given_up.is_set():
                return
            text = line.decode("utf-8") if isinstance(line, bytes) else line
            if not isinstance(text, str):
                yield line
                continue
            data = text.removeprefix("data:").strip()
            if data in ("", "[DONE]") or _OTHER_FIELD.match(text):
                yield line
                continue
            event = json.loads(data)  # litellm's Gemini never comes back from a stream that ends with anything else
            if not isinstance(event, dict):
                yield line
                continue
            prefix = "data: " if text.startswith("data:") else ""
            self._look_at(event)
            for part in _readable(event):
                # The same JSON string, without the word.
                yield prefix + json.dumps(part).replace("[DONE]", "[\\u0044ONE]")

    def _look_at(self, event: dict[str, Any]) -> None:
        error = wire_bodies.error(event)
        if error is not None:
            raise ErrorEvent(error)
        self.usage = wire_bodies.usage(event) or self.usage
        self.finish_reason = wire_bodies.finish_reason(event) or self.finish_reason


def _readable(event: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The event in a form that litellm reads all of: one or several."""
    message = event.get("message")
    if isinstance(message, dict) and "done" in event:  # Ollama: thoughts or text, and no whole tag
        if message.get("thinking") and message.get("content"):
            yield {**event, "message": {**message, "content": ""}, "done": False}
            message = {**message, "thinking": None}
        *pieces, last = _INSIDE_A_TAG.split(message.get("content") or "")
        for piece in pieces:
            yield {**event, "message": {**message, "content": piece}, "done": False}
        yield {**event, "message": {**message, "content": last}}
        return
    for choice in event.get("choices") or []:
        delta = choice.get("delta") if isinstance(choice, dict) else None
        if isinstance(delta, dict) and isinstance(delta.get("content"), (list, dict)):
            delta["content"], delta["reasoning_content"] = wire_bodies.split_parts(delta["content"])
    yield event
