"""Taps a stream for what litellm's line-reading providers (DeepSeek, Anthropic and others) lose.

They skip an event that is not JSON, which leaves a gap in the reply; they end the stream at any line that contains
`[DONE]`, even in the model's own text; they drop the usage that DeepSeek sends, cache hits included; and they turn an
error event into a `KeyError`.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Iterator
from typing import Any


class ErrorEvent(Exception):
    """The server reported an error inside a successful response. `body` is the error as it came."""

    def __init__(self, body: dict[str, Any]) -> None:
        super().__init__(json.dumps(body))
        self.body = body


class StreamTap:
    """Sits between litellm and the lines of one stream, where litellm reads the lines itself; for providers that use
    OpenAI's client, which reads strictly, it only closes the stream.

    Must be closed: if the garbage collector closes a response in the middle of another request, httpcore deadlocks on
    a lock that it already holds.
    """

    def __init__(self, given_up: threading.Event, stream: Any) -> None:
        from litellm.llms.anthropic.chat.handler import ModelResponseIterator
        from litellm.llms.base_llm.base_model_iterator import BaseModelResponseIterator

        self.usage: dict[str, Any] | None = None  # the last one received, in OpenAI's format
        self._given_up = given_up
        self._source = events = getattr(stream, "completion_stream", None)
        if isinstance(events, (BaseModelResponseIterator, ModelResponseIterator)):
            self._source = events.response_iterator
            events.response_iterator = self._lines(events.response_iterator)

    def close(self) -> None:
        """Close the underlying response."""
        close = getattr(self._source, "close", None)
        if close is not None:
            close()

    def _lines(self, lines: Iterable[Any]) -> Iterator[Any]:
        for line in lines:
            if self._given_up.is_set():
                return
            text = line.decode("utf-8") if isinstance(line, bytes) else line
            data = text[len("data:") :].strip() if text.startswith("data:") else ""
            if not data or data == "[DONE]":
                yield line
                continue
            self._look_at(json.loads(data))
            yield text.replace("[DONE]", "[\\u0044ONE]")  # the same JSON string, without the word

    def _look_at(self, event: Any) -> None:
        if not isinstance(event, dict):
            return
        error = event.get("error")
        if error:
            raise ErrorEvent(error if isinstance(error, dict) else {"message": str(error)})
        usage = event.get("usage")
        if isinstance(usage, dict) and isinstance(usage.get("prompt_tokens"), int):
            self.usage = usage
