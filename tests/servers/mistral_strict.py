"""A strict server that speaks as api.mistral.ai does for its reasoning models: content in parts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tests.servers.answers import Answer
from tests.servers.loopback import Recorded
from tests.servers.openai_strict import StrictServer


class MistralServer(StrictServer):
    """Besides what the base class refuses: `stream_options`. Thoughts and text are parts of one list, text also comes
    as a string, and the last event of a stream has usage, unasked."""

    def refuse(self, request: Recorded) -> tuple[int, str] | None:
        if "stream_options" in (request.body or {}):
            return 422, "stream_options: Extra inputs are not permitted"
        return super().refuse(request)

    def events(self, answer: Answer, request: Recorded) -> Iterator[bytes]:
        yield self._event({"role": "assistant", "content": ""})
        for piece in self.pieces(answer.reasoning):
            yield self._event({"content": [_thinking(piece)]})
        for number, piece in enumerate(self.pieces(answer.text or "")):
            yield self._event({"content": piece if number % 2 else [{"type": "text", "text": piece}]})
        end = {"index": 0, "delta": {"content": ""}, "finish_reason": answer.finish_reason}
        body = {**self._head("chat.completion.chunk"), "choices": [end], "usage": self._usage(answer, request)}
        yield self._data(body)
        yield b"data: [DONE]\n\n"

    def whole(self, answer: Answer, request: Recorded) -> Mapping[str, Any]:
        body = dict(super().whole(Answer(answer.text, finish_reason=answer.finish_reason), request))
        if answer.reasoning:
            half = len(answer.text or "") // 2
            texts = [text for text in ((answer.text or "")[:half], (answer.text or "")[half:]) if text]
            parts = [_thinking(answer.reasoning), *({"type": "text", "text": text} for text in texts)]
            body["choices"][0]["message"]["content"] = parts
        return {**body, "usage": self._usage(answer, request)}

    def error(self, status: int, message: str, code: str | None = None) -> Mapping[str, Any]:
        kind = "invalid_request_error" if status < 500 else "server_error"
        return {"object": "error", "message": message, "type": kind, "param": None, "code": code}


def _thinking(text: str) -> dict[str, Any]:
    return {"type": "thinking", "thinking": [{"type": "text", "text": text}]}
