"""A strict server for Ollama's own protocol: /api/chat, streamed as one JSON object a line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tests.servers.answers import Answer, tokens
from tests.servers.loopback import LoopbackServer, Messages, Recorded, to_json
from tests.servers.openai_strict import prompt_text, refuse_messages

_BODY_KEYS = {"model", "messages", "stream", "options"}


class OllamaServer(LoopbackServer):
    """Stricter than Ollama: refuses unknown fields, options, and what an unforgiving chat template refuses. It streams
    unless told not to."""

    stream_type = "application/x-ndjson"
    keep_alive = b"\n"

    def refuse(self, request: Recorded) -> tuple[int, str] | None:
        if request.path != "/api/chat":
            return 404, "404 page not found"
        if request.body is None:
            return 400, "unexpected EOF"
        extra = set(request.body) - _BODY_KEYS
        if extra or request.body.get("options"):
            return 400, f"unknown fields: {sorted(extra or {'options'})}"
        if "/" in str(request.body.get("model")):
            return 404, f"model '{request.body.get('model')}' not found"
        problem = refuse_messages(request.messages)
        return (400, problem) if problem else None

    def conversation(self, body: Mapping[str, Any]) -> Messages:
        return [
            {name: value for name, value in message.items() if (name, value) != ("images", [])}
            for message in body.get("messages", [])
        ]

    def framed(self, body: bytes) -> bytes:
        return body + b"\n"

    def streams(self, request: Recorded) -> bool:
        return bool((request.body or {}).get("stream", True))

    def events(self, answer: Answer, request: Recorded) -> Iterator[bytes]:
        for piece in self.pieces(answer.reasoning):
            yield self._event({"content": "", "thinking": piece})
        for piece in self.pieces(answer.text or ""):
            yield self._event({"content": piece})
        yield self._event({"content": ""}, self._end(answer, request))

    def whole(self, answer: Answer, request: Recorded) -> Mapping[str, Any]:
        message = {"content": answer.text or "", **({"thinking": answer.reasoning} if answer.reasoning else {})}
        return _body(message, self._end(answer, request))

    def without_choices(self) -> Mapping[str, Any]:
        return {"model": "strict", "created_at": "2026-01-01T00:00:00Z", "done": False}

    def error(self, status: int, message: str, code: str | None = None) -> Mapping[str, Any]:
        return {"error": f"{message} [{code}]" if code else message}

    def _event(self, message: dict[str, Any], end: Mapping[str, Any] | None = None) -> bytes:
        return self.framed(to_json(_body(message, end or {"done": False})))

    def _end(self, answer: Answer, request: Recorded) -> dict[str, Any]:
        return {
            "done": True,
            "done_reason": answer.finish_reason,
            "total_duration": 1_000_000,
            "prompt_eval_count": tokens(prompt_text(request)),
            "eval_count": tokens(answer.text or "") + tokens(answer.reasoning),
        }


def _body(message: dict[str, Any], end: Mapping[str, Any]) -> dict[str, Any]:
    message = {"role": "assistant", **message}
    return {"model": "strict", "created_at": "2026-01-01T00:00:00.5Z", "message": message, **end}
