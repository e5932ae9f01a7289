"""A strict server for Gemini's REST form: `generateContent`, and `streamGenerateContent` as server-sent events."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from tests.servers.answers import Answer, tokens
from tests.servers.loopback import LoopbackServer, Messages, Recorded, to_json
from tests.servers.openai_strict import cached_tokens, prompt_text, refuse_order

_PATH = re.compile(r"/v1beta/models/gemini-[\w.-]+:(streamGenerateContent\?alt=sse|generateContent)")
_BODY_KEYS = {"contents", "system_instruction", "generationConfig"}
_FINISH_REASONS = {"stop": "STOP", "length": "MAX_TOKENS", "content_filter": "SAFETY"}
_STATUS_WORDS = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}


class GeminiServer(LoopbackServer):
    """Refuses unknown fields, a request without a key, roles other than user and model, and parts without text; and,
    stricter than Gemini, two same roles in a row."""

    base_path = "/v1beta"

    def refuse(self, request: Recorded) -> tuple[int, str] | None:
        if not _PATH.fullmatch(request.path.replace("key=", "").rstrip("?&")):
            return 404, f"no such path: {request.path}"
        if not request.headers.get("x-goog-api-key"):
            return 403, "Method doesn't allow unregistered callers"
        if request.body is None:
            return 400, "Invalid JSON payload received."
        extra = set(request.body) - _BODY_KEYS
        if extra or request.body.get("generationConfig"):
            return 400, f'Invalid JSON payload received. Unknown name "{sorted(extra or {"generationConfig"})[0]}"'
        problem = _refuse_contents(request.body.get("contents"))
        return (400, problem) if problem else None

    def conversation(self, body: Mapping[str, Any]) -> Messages:
        talk = [{"role": "system", **body["system_instruction"]}] if "system_instruction" in body else []
        roles = {"model": "assistant"}
        return [
            {"role": roles.get(role := item.get("role"), role), "content": "".join(map(_text, item.get("parts", [])))}
            for item in [*talk, *body.get("contents", [])]
        ]

    def streams(self, request: Recorded) -> bool:
        return ":streamGenerateContent" in request.path

    def events(self, answer: Answer, request: Recorded) -> Iterator[bytes]:
        for piece in self.pieces(answer.reasoning):
            yield self._event(request, {"text": piece, "thought": True})
        for piece in self.pieces(answer.text or ""):
            yield self._event(request, {"text": piece})
        reason = _FINISH_REASONS.get(answer.finish_reason, answer.finish_reason)
        # A blocked reply has no content at all, any other an empty part at its end.
        candidate = {"content": {"role": "model", "parts": [{"text": ""}]}} if reason == "STOP" else {}
        yield self.framed(
            to_json(self._body({**candidate, "finishReason": reason, "index": 0}, self._usage(request, answer)))
        )

    def whole(self, answer: Answer, request: Recorded) -> Mapping[str, Any]:
        parts = [{"text": answer.reasoning, "thought": True}] if answer.reasoning else []
        parts += [{"text": answer.text}] if answer.text else []
        content = {"content": {"role": "model", "parts": parts}} if parts else {}
        reason = _FINISH_REASONS.get(answer.finish_reason, answer.finish_reason)
        return self._body({**content, "finishReason": reason, "index": 0}, self._usage(request, answer))

    def without_choices(self) -> Mapping[str, Any]:
        return {"modelVersion": "strict", "responseId": "r1"}

    def error(self, status: int, message: str, code: str | None = None) -> Mapping[str, Any]:
        word = code or _STATUS_WORDS.get(status, "UNKNOWN")
        return {"error": {"code": status, "message": message, "status": word}}

    def _event(self, request: Recorded, part: dict[str, Any]) -> bytes:
        candidate = {"content": {"role": "model", "parts": [part]}, "index": 0}
        return self.framed(to_json(self._body(candidate, self._usage(request))))

    def _body(self, candidate: dict[str, Any], usage: dict[str, Any]) -> dict[str, Any]:
        return {"candidates": [candidate], "usageMetadata": usage, "modelVersion": "strict", "responseId": "r1"}

    def _usage(self, request: Recorded, answer: Answer | None = None) -> dict[str, Any]:
        prompt = tokens(prompt_text(request))
        usage: dict[str, Any] = {
            "promptTokenCount": prompt,
            "totalTokenCount": prompt,
            "promptTokensDetails": [{"modality": "TEXT", "tokenCount": prompt}],
        }
        if cached := min(prompt, cached_tokens(self, request)):
            usage["cachedContentTokenCount"] = cached
        if answer is not None:
            thoughts, text = tokens(answer.reasoning), tokens(answer.text or "")
            usage |= {"thoughtsTokenCount": thoughts} if thoughts else {}
            usage |= {"candidatesTokenCount": text} if text else {}
            usage["totalTokenCount"] += thoughts + text
        return usage


def blocked_prompt(reason: str = "PROHIBITED_CONTENT") -> dict[str, Any]:
    """The one event of an answer to a prompt that Gemini blocks."""
    usage = {"promptTokenCount": 9, "totalTokenCount": 9}
    return {"promptFeedback": {"blockReason": reason}, "usageMetadata": usage, "modelVersion": "strict"}


def _text(part: Any) -> str:
    return str(part.get("text", "")) if isinstance(part, dict) else ""


def _refuse_contents(contents: Any) -> str | None:
    if not isinstance(contents, list) or not contents:
        return "* GenerateContentRequest.contents: contents is not specified"
    for index, item in enumerate(contents):
        if not isinstance(item, dict) or set(item) != {"role", "parts"}:
            return f'Invalid JSON payload received. Unknown name at "contents[{index}]"'
        if item["role"] not in ("user", "model"):
            return "Please use a valid role: user, model."
        if not item["parts"] or any(set(part) != {"text"} or not part["text"].strip() for part in item["parts"]):
            return f"* GenerateContentRequest.contents[{index}].parts: must have one initialized field"
    return refuse_order([item["role"] for item in contents])
