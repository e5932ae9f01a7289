"""A strict server that speaks as api.deepseek.com does for deepseek-reasoner."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tests.servers.answers import Answer
from tests.servers.loopback import Recorded
from tests.servers.openai_strict import StrictServer, cached_tokens, refuse_messages

# Documented as unsupported by the reasoner: some raise an error, the others are silently without effect.
_UNSUPPORTED = ("temperature", "top_p", "presence_penalty", "frequency_penalty", "logprobs", "top_logprobs")


class DeepSeekServer(StrictServer):
    """Besides what the base class refuses: `reasoning_content` in messages and sampling parameters. It sends reasoning
    before text, keep-alive comments while it thinks, and usage with its own names for cached tokens."""

    base_path = ""

    def refuse(self, request: Recorded) -> tuple[int, str] | None:
        body = request.body or {}
        for name in _UNSUPPORTED:
            if name in body:
                return 400, f"deepseek-reasoner does not support the parameter `{name}`"
        if any(isinstance(message, dict) and "reasoning_content" in message for message in body.get("messages", [])):
            return 400, "The reasoning_content field must not be in the input messages"
        roles = [message.get("role") for message in body.get("messages", []) if isinstance(message, dict)]
        for index, (one, two) in enumerate(zip(roles, roles[1:], strict=False)):
            if one == two:
                return 400, (
                    "deepseek-reasoner does not support successive user or assistant messages "
                    f"(messages[{index}] and messages[{index + 1}] in your input). "
                    "You should interleave the user/assistant messages in the message sequence."
                )
        if refuse_messages(body.get("messages")) is None and body.get("model") not in (
            "deepseek-reasoner",
            "deepseek-chat",
        ):
            return 400, "Model Not Exist"
        return super().refuse(request)

    def events(self, answer: Answer, request: Recorded) -> Iterator[bytes]:
        yield b": keep-alive\n\n"
        yield from super().events(answer, request)

    def error(self, status: int, message: str, code: str | None = None) -> Mapping[str, Any]:
        kind = "invalid_request_error" if status < 500 else "server_error"
        return {"error": {"message": message, "type": kind, "param": None, "code": code or kind}}

    def _usage(self, answer: Answer, request: Recorded) -> dict[str, Any]:
        usage = super()._usage(answer, request)
        cached = cached_tokens(self, request) // 64 * 64  # DeepSeek caches in blocks of 64 tokens
        usage["prompt_tokens_details"] = {"cached_tokens": cached}
        usage["prompt_cache_hit_tokens"] = cached
        usage["prompt_cache_miss_tokens"] = usage["prompt_tokens"] - cached
        usage["completion_tokens_details"] = {"reasoning_tokens": (len(answer.reasoning) + 3) // 4}
        return usage
