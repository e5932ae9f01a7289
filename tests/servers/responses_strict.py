"""A strict server for OpenAI's /v1/responses, which models such as gpt-5-pro and o3-pro are asked through."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tests.servers.answers import Answer, tokens
from tests.servers.loopback import LoopbackServer, Messages, Recorded, to_json
from tests.servers.openai_strict import cached_tokens, prompt_text, refuse_messages

_BODY_KEYS = {"model", "input", "instructions", "stream"}
_PART_TYPES = {"user": "input_text", "assistant": "output_text"}
_INCOMPLETE = {"length": "max_output_tokens"}


class ResponsesServer(LoopbackServer):
    """Refuses unknown fields, parts of the wrong type, and what an unforgiving chat template refuses. A reply that did
    not end by itself is `incomplete`, with the reason in the answer's words."""

    base_path = "/v1"

    def refuse(self, request: Recorded) -> tuple[int, str] | None:
        if request.path != "/v1/responses":
            return 404, f"no such path: {request.path}"
        if len(request.headers.get("authorization", "")) <= len("Bearer "):
            return 401, "you did not provide an API key"
        body = request.body
        if body is None:
            return 400, "the request is not a JSON object"
        extra = set(body) - _BODY_KEYS
        if extra:
            return 400, f"Unknown parameter: '{sorted(extra)[0]}'."
        if not isinstance(body.get("model"), str) or "/" in body["model"]:
            return 400, f"bad model name: {body.get('model')!r}"
        problem = _refuse_input(body.get("input")) or refuse_messages(request.messages)
        return (400, problem) if problem else None

    def conversation(self, body: Mapping[str, Any]) -> Messages:
        talk: Messages = [{"role": "system", "content": body["instructions"]}] if "instructions" in body else []
        for item in body.get("input", []):
            content = item.get("content", "")
            text = content if isinstance(content, str) else "".join(part.get("text", "") for part in content)
            talk.append({"role": item.get("role"), "content": text})
        return talk

    def events(self, answer: Answer, request: Recorded) -> Iterator[bytes]:
        yield self._event("response.created", response=_response(request, "in_progress"))
        yield self._event("response.in_progress", response=_response(request, "in_progress"))
        if answer.reasoning:
            yield self._event("response.output_item.added", output_index=0, item=_reasoning(""))
            for piece in self.pieces(answer.reasoning):
                yield self._event("response.reasoning_summary_text.delta", **_AT, summary_index=0, delta=piece)
            yield self._event("response.output_item.done", output_index=0, item=_reasoning(answer.reasoning))
        if answer.text:
            yield self._event("response.output_item.added", output_index=1, item=_message("", "in_progress"))
            for piece in self.pieces(answer.text):
                yield self._event("response.output_text.delta", **_AT, content_index=0, delta=piece)
            yield self._event("response.output_text.done", **_AT, content_index=0, text=answer.text)
            yield self._event("response.output_item.done", output_index=1, item=_message(answer.text, "completed"))
        response = self.whole(answer, request)
        yield self._event(f"response.{response['status']}", response=response)

    def whole(self, answer: Answer, request: Recorded) -> Mapping[str, Any]:
        status = "completed" if answer.finish_reason == "stop" else "incomplete"
        output = [_reasoning(answer.reasoning)] if answer.reasoning else []
        output += [_message(answer.text, status)] if answer.text is not None else []
        prompt = tokens(prompt_text(request))
        thoughts, text = tokens(answer.reasoning), tokens(answer.text or "")
        usage = {
            "input_tokens": prompt,
            "input_tokens_details": {"cached_tokens": min(prompt, cached_tokens(self, request))},
            "output_tokens": thoughts + text,
            "output_tokens_details": {"reasoning_tokens": thoughts},
            "total_tokens": prompt + thoughts + text,
        }
        reason = _INCOMPLETE.get(answer.finish_reason, answer.finish_reason)
        details = None if status == "completed" else {"reason": reason}
        return {**_response(request, status), "output": output, "usage": usage, "incomplete_details": details}

    def without_choices(self) -> Mapping[str, Any]:
        return {"type": "response.queued", "id": "resp_1", "object": "response", "created_at": 1, "output": []}

    def error(self, status: int, message: str, code: str | None = None) -> Mapping[str, Any]:
        kind = "invalid_request_error" if status < 500 else "server_error"
        return {"error": {"message": message, "type": kind, "param": None, "code": code}}

    def error_event(self, status: int, message: str) -> bytes:
        return self._event("error", code="server_error" if status >= 500 else str(status), message=message, param=None)

    def _event(self, kind: str, **fields: Any) -> bytes:
        return f"event: {kind}\n".encode() + self.framed(to_json({"type": kind, "sequence_number": 1, **fields}))


def failed(message: str, code: str = "server_error") -> dict[str, Any]:
    """The last event of a stream in which the model failed."""
    response = {**_response(None, "failed"), "error": {"code": code, "message": message}}
    return {"type": "response.failed", "sequence_number": 1, "response": response}


_AT = {"item_id": "item_1", "output_index": 0}


def _response(request: Recorded | None, status: str) -> dict[str, Any]:
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 1_760_000_000,
        "status": status,
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "metadata": {},
        "model": ((request.body if request else None) or {}).get("model"),
        "output": [],
        "parallel_tool_calls": True,
        "temperature": 1.0,
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "usage": None,
    }


def _reasoning(text: str) -> dict[str, Any]:
    summary = [{"type": "summary_text", "text": text}] if text else []
    return {"type": "reasoning", "id": "rs_1", "summary": summary}


def _message(text: str, status: str) -> dict[str, Any]:
    parts = [{"type": "output_text", "text": text, "annotations": [], "logprobs": []}] if text else []
    return {"type": "message", "id": "msg_1", "role": "assistant", "status": status, "content": parts}


def _refuse_input(items: Any) -> str | None:
    if not isinstance(items, list) or not items:
        return "Missing required parameter: 'input'."
    for index, item in enumerate(items):
        if set(item) - {"type", "role", "content"} or item.get("role") not in _PART_TYPES:
            return f"Invalid value: 'input[{index}]'."
        content = item["content"]
        expected = _PART_TYPES[item["role"]]
        if isinstance(content, list) and any(part.get("type") != expected for part in content):
            return f"Invalid value: 'input[{index}].content[0].type'. Supported values are: '{expected}'."
    return None
