"""A strict server for Anthropic's /v1/messages."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tests.servers.answers import Answer, tokens
from tests.servers.loopback import LoopbackServer, Recorded, to_json
from tests.servers.openai_strict import refuse_order

_BODY_KEYS = {"model", "messages", "max_tokens", "system", "stream", "metadata"}
_STOP_REASONS = {"stop": "end_turn", "length": "max_tokens", "content_filter": "refusal"}
_ERROR_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    500: "api_error",
    529: "overloaded_error",
}


class AnthropicServer(LoopbackServer):
    """Refuses what Anthropic refuses: no max_tokens, empty text, an assistant message last (the newest models), a first
    message not from the user, more than four cache marks; and, stricter than Anthropic, two same roles in a row."""

    def refuse(self, request: Recorded) -> tuple[int, str] | None:
        if request.path != "/v1/messages":
            return 404, f"no such path: {request.path}"
        if not request.headers.get("x-api-key"):
            return 401, "x-api-key header is required"
        if not request.headers.get("anthropic-version"):
            return 400, "anthropic-version: header is required"
        body = request.body
        if body is None:
            return 400, "the request is not a JSON object"
        problem = _refuse_body(body) or _refuse_messages(body.get("messages"), body.get("system"))
        return (400, problem) if problem else None

    def events(self, answer: Answer, request: Recorded) -> Iterator[bytes]:
        message = {**self._message(request), "content": [], "stop_reason": None}
        yield _event("message_start", message=message)
        yield _event("ping")
        index = 0
        if answer.reasoning:
            yield _event("content_block_start", index=index, content_block={"type": "thinking", "thinking": ""})
            for piece in self.pieces(answer.reasoning):
                yield _event("content_block_delta", index=index, delta={"type": "thinking_delta", "thinking": piece})
            yield _event("content_block_delta", index=index, delta={"type": "signature_delta", "signature": "c2ln"})
            yield _event("content_block_stop", index=index)
            index += 1
        if answer.text:
            yield _event("content_block_start", index=index, content_block={"type": "text", "text": ""})
            for piece in self.pieces(answer.text):
                yield _event("content_block_delta", index=index, delta={"type": "text_delta", "text": piece})
            yield _event("content_block_stop", index=index)
        yield _event(
            "message_delta",
            delta={"stop_reason": _STOP_REASONS.get(answer.finish_reason, answer.finish_reason), "stop_sequence": None},
            usage={"output_tokens": _spoken(answer)},
        )
        yield _event("message_stop")

    def whole(self, answer: Answer, request: Recorded) -> Mapping[str, Any]:
        message = self._message(request)
        content: list[dict[str, str]] = []
        if answer.reasoning:
            content.append({"type": "thinking", "thinking": answer.reasoning, "signature": "c2ln"})
        if answer.text:
            content.append({"type": "text", "text": answer.text})
        usage = {**message["usage"], "output_tokens": _spoken(answer)}
        return {
            **message,
            "content": content,
            "stop_reason": _STOP_REASONS.get(answer.finish_reason, answer.finish_reason),
            "usage": usage,
        }

    def without_choices(self) -> Mapping[str, Any]:
        return {"type": "message", "id": "msg_1", "role": "assistant"}

    def error(self, status: int, message: str, code: str | None = None) -> Mapping[str, Any]:
        kind = code or _ERROR_TYPES.get(status, "invalid_request_error" if status < 500 else "api_error")
        return {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_1"}

    def error_event(self, status: int, message: str) -> bytes:
        return b"event: error\ndata: " + to_json(self.error(status, message)) + b"\n\n"

    def _message(self, request: Recorded) -> dict[str, Any]:
        prompt, written, read = self._prompt_tokens(request)
        return {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "model": (request.body or {}).get("model"),
            "stop_sequence": None,
            "usage": {
                "input_tokens": prompt,
                "cache_creation_input_tokens": written,
                "cache_read_input_tokens": read,
                "output_tokens": 1,
            },
        }

    def _prompt_tokens(self, request: Recorded) -> tuple[int, int, int]:
        """Tokens beyond the last cache mark, written to the cache, and read from it: a prefix is cached only up to a
        mark, and read when an earlier request had a mark at the same place after the same text."""
        text = "".join(block for block, _ in _blocks(request))
        marks = _marked_prefixes(request)
        known = {
            prefix
            for other in self.requests
            if other is not request and other.status == 200
            for prefix in _marked_prefixes(other)
        }
        ends = _prefixes(request)
        read = max((len(end) for end in ends if end in known), default=0)
        cached = max((len(mark) for mark in marks), default=0)
        return tokens(text[cached:]), tokens(text[read:cached]), tokens(text[:read])


def _blocks(request: Recorded) -> list[tuple[str, bool]]:
    """The prompt as (text with its role, carries a cache mark)."""
    blocks: list[tuple[str, bool]] = []
    for message in request.messages:
        content = message["content"]
        parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
        blocks += [(f"<{message['role']}>{part['text']}", "cache_control" in part) for part in parts]
    return blocks


def _prefixes(request: Recorded) -> list[str]:
    text, prefixes = "", []
    for block, _ in _blocks(request):
        text += block
        prefixes.append(text)
    return prefixes


def _marked_prefixes(request: Recorded) -> list[str]:
    return [prefix for prefix, (_, marked) in zip(_prefixes(request), _blocks(request), strict=True) if marked]


def _refuse_body(body: dict[str, Any]) -> str | None:
    extra = set(body) - _BODY_KEYS
    if extra:
        return f"{sorted(extra)[0]}: Extra inputs are not permitted"
    if not isinstance(body.get("max_tokens"), int) or body["max_tokens"] < 1:
        return "max_tokens: Field required"
    if not isinstance(body.get("model"), str) or "/" in body["model"]:
        return f"model: bad name {body.get('model')!r}"
    return None


def _refuse_messages(messages: Any, system: Any) -> str | None:
    if not isinstance(messages, list) or not messages:
        return "messages: at least one message is required"
    marks = 0
    for index, message in enumerate(messages):
        if set(message) != {"role", "content"}:
            return f"messages.{index}: Extra inputs are not permitted"
        if message["role"] not in ("user", "assistant"):
            return f"messages.{index}: unexpected role {message['role']!r}"
        content = message["content"]
        parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
        if not parts:
            return f"messages.{index}: all messages must have non-empty content"
        for part in parts:
            if set(part) - {"type", "text", "cache_control"} or part.get("type") != "text":
                return f"messages.{index}.content: Extra inputs are not permitted"
            if not part["text"].strip():
                return "messages: text content blocks must contain non-whitespace text"
            marks += "cache_control" in part
    if isinstance(system, list):
        marks += sum("cache_control" in part for part in system)
    if marks > 4:
        return f"A maximum of 4 blocks with cache_control may be provided. Found {marks}."
    if messages[-1]["role"] != "user":
        return "This model does not support assistant message prefill. The conversation must end with a user message."
    return refuse_order([message["role"] for message in messages])


def _event(kind: str, **fields: Any) -> bytes:
    return f"event: {kind}\n".encode() + b"data: " + to_json({"type": kind, **fields}) + b"\n\n"


def _spoken(answer: Answer) -> int:
    return tokens(answer.text or "") + tokens(answer.reasoning)
