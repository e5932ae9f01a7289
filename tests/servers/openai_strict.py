"""A strict server for OpenAI's chat completions, as vLLM or llama.cpp with an unforgiving chat template would be."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tests.servers.answers import Answer, shared_prefix, tokens
from tests.servers.loopback import Fault, LoopbackServer, Recorded, Replies, to_json

_BODY_KEYS = {"model", "messages", "stream", "stream_options", "max_tokens", "max_completion_tokens"}


class StrictServer(LoopbackServer):
    """Refuses with 400: two same roles in a row, empty content, extra keys, last message not user, first non-system
    message not user, more than one system message or one that is not first; with 401 a request without a key.

    `usage=False` never gives usage; `stream_options=False` refuses that parameter, as older servers do.
    """

    base_path = "/v1"

    def __init__(
        self,
        replies: Replies = (),
        faults: Sequence[Fault | None] = (),
        *,
        piece: int = 64,
        usage: bool = True,
        stream_options: bool = True,
    ) -> None:
        super().__init__(replies, faults, piece=piece)
        self.usage = usage
        self.stream_options = stream_options

    def refuse(self, request: Recorded) -> tuple[int, str] | None:
        if not request.path.endswith("/chat/completions"):
            return 404, f"no such path: {request.path}"
        if len(request.headers.get("authorization", "")) <= len("Bearer "):
            return 401, "you did not provide an API key"
        if request.body is None:
            return 400, "the request is not a JSON object"
        if not self.stream_options and "stream_options" in request.body:
            return 400, "unknown parameter: stream_options"
        extra = set(request.body) - _BODY_KEYS
        if extra:
            return 400, f"unknown parameters: {sorted(extra)}"
        model = request.body.get("model")
        if not isinstance(model, str) or not model or model.startswith("openai/"):
            return 400, f"bad model name: {model!r}"
        problem = refuse_messages(request.body.get("messages"))
        return (400, problem) if problem else None

    def events(self, answer: Answer, request: Recorded) -> Iterator[bytes]:
        yield self._event({"role": "assistant", "content": ""})
        for piece in self.pieces(answer.reasoning):
            yield self._event({"reasoning_content": piece})
        if answer.text is None:
            yield self._event({"content": None})
        for piece in self.pieces(answer.text or ""):
            yield self._event({"content": piece})
        yield self._event({}, answer.finish_reason)
        options = (request.body or {}).get("stream_options") or {}
        if self.usage and options.get("include_usage"):
            yield self._data(
                {**self._head("chat.completion.chunk"), "choices": [], "usage": self._usage(answer, request)}
            )
        yield b"data: [DONE]\n\n"

    def whole(self, answer: Answer, request: Recorded) -> Mapping[str, Any]:
        message: dict[str, Any] = {"role": "assistant", "content": answer.text}
        if answer.reasoning:
            message["reasoning_content"] = answer.reasoning
        body = self._head("chat.completion")
        body["choices"] = [{"index": 0, "message": message, "finish_reason": answer.finish_reason}]
        if self.usage:
            body["usage"] = self._usage(answer, request)
        return body

    def without_choices(self) -> Mapping[str, Any]:
        return {**self._head("chat.completion"), "choices": []}

    def error(self, status: int, message: str, code: str | None = None) -> Mapping[str, Any]:
        kind = "invalid_request_error" if status < 500 else "server_error"
        return {"error": {"message": message, "type": kind, "param": None, "code": code}}

    def _event(self, delta: dict[str, Any], finish_reason: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
        return self._data({**self._head("chat.completion.chunk"), "choices": [choice]})

    def _data(self, body: Mapping[str, Any]) -> bytes:
        return self.framed(to_json(body))

    def _head(self, kind: str) -> dict[str, Any]:
        return {"id": "chatcmpl-1", "object": kind, "created": 1_760_000_000, "model": "strict"}

    def _usage(self, answer: Answer, request: Recorded) -> dict[str, Any]:
        prompt = tokens(prompt_text(request))
        completion = tokens(answer.text or "") + tokens(answer.reasoning)
        return {
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "total_tokens": prompt + completion,
            "prompt_tokens_details": {"cached_tokens": min(prompt, cached_tokens(self, request))},
        }


def cached_tokens(server: LoopbackServer, request: Recorded) -> int:
    """Tokens that an earlier request had as its prefix already, in full blocks of 16, as vLLM caches."""
    text = prompt_text(request)
    earlier = [prompt_text(other) for other in server.requests if other is not request and other.status == 200]
    best = max((shared_prefix(other, text) for other in earlier), default=0)
    return best // 4 // 16 * 16


def prompt_text(request: Recorded) -> str:
    return "".join(f"<{message['role']}>{message['content']}" for message in request.messages)


def refuse_messages(messages: Any) -> str | None:
    """Why an unforgiving chat template refuses these messages; None when it takes them."""
    if not isinstance(messages, list) or not messages:
        return "messages must be a non-empty list"
    for index, message in enumerate(messages):
        if not isinstance(message, dict) or set(message) != {"role", "content"}:
            return f"messages[{index}]: extra or missing keys: {sorted(message)}"
        if message["role"] not in ("system", "user", "assistant"):
            return f"messages[{index}]: unknown role {message['role']!r}"
        if not isinstance(message["content"], str) or not message["content"].strip():
            return f"messages[{index}]: empty content"
        if message["role"] == "system" and index > 0:
            return f"messages[{index}]: only the first message may be a system message"
    return refuse_order([message["role"] for message in messages])


def refuse_order(roles: list[str]) -> str | None:
    talk = [role for role in roles if role != "system"]
    offset = len(roles) - len(talk)
    if not talk or talk[0] != "user":
        return "the first message after the system message must be from the user"
    for index, (one, two) in enumerate(zip(talk, talk[1:], strict=False), start=offset):
        if one == two:
            # The words of litellm's own repair are avoided: it would ask again behind the adapter's back.
            return f"messages[{index}] and messages[{index + 1}] are both from the {one}"
    if talk[-1] != "user":
        return "the last message must be from the user"
    return None
