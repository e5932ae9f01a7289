"""What one JSON body says, an event of a stream or a whole answer, in the protocols that we know: OpenAI's chat and
Responses, Anthropic's, Gemini's, Ollama's. How the reply ended, its tokens, an error, text that comes in parts.

litellm loses some of it: the reason for the end (Gemini, Ollama's whole answers, an incomplete response), the usage
(DeepSeek, Responses), and content that is a list.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_NORMAL = {
    "stop",
    "stop_sequence",
    "stop_token",
    "end",
    "end_turn",
    "eos",
    "eos_token",
    "complete",
    "completed",
    "done",
    "finish",
    "finished",
    "succeeded",
}
_OUT_OF_ROOM = {
    "length",
    "max_tokens",
    "max_output_tokens",
    "max_length",
    "model_length",
    "model_context_window_exceeded",
}
_FILTERED = {
    "safety",
    "recitation",
    "language",
    "blocklist",
    "prohibited_content",
    "spii",
    "image_safety",
    "content_filtered",
}
_THOUGHTS = {
    "thinking",
    "thought",
    "thoughts",
    "redacted_thinking",
    "summary_text",
    "reasoning",
    "reasoning_text",
    "reasoning_content",
}
_TEXT_KEYS = ("text", "thinking", "reasoning", "summary", "content", "refusal")


def ended_normally(finish_reason: str | None) -> bool:
    """Whether the model itself ended the reply. Only models that are no server's leave the reason out."""
    return finish_reason is None or finish_reason.lower() in _NORMAL


def openai_word(finish_reason: str) -> str:
    """The server's reason for the end in OpenAI's words (stop, length, content_filter); any other as it is."""
    word = finish_reason.lower()
    if word in _NORMAL:
        return "stop"
    if word in _OUT_OF_ROOM:
        return "length"
    return "content_filter" if word in _FILTERED else finish_reason


def finish_reason(body: Mapping[str, Any]) -> str | None:
    """Why the reply ended, in the server's own word; None in an event that does not end it."""
    if body.get("done") is True:  # Ollama
        return str(body.get("done_reason") or "stop")
    if isinstance(feedback := body.get("promptFeedback"), dict) and feedback.get("blockReason"):  # Gemini
        return "prohibited_content"
    if body.get("object") == "response" or str(body.get("type")).startswith("response."):
        return _end_of_response(body)
    delta = body.get("delta")
    anthropic = delta if isinstance(delta, dict) else body
    reason = _first(body, "choices").get("finish_reason") or _first(body, "candidates").get("finishReason")
    return _word(reason or anthropic.get("stop_reason"))


def _end_of_response(body: Mapping[str, Any]) -> str | None:
    response = body.get("response", body)
    if not isinstance(response, dict) or response.get("status") in (None, "queued", "in_progress"):
        return None
    details = response.get("incomplete_details")
    return _word(details.get("reason") if isinstance(details, dict) else None) or str(response["status"])


def usage(body: Mapping[str, Any]) -> dict[str, Any] | None:
    """The tokens of the call in OpenAI's format; None of Anthropic's events, which have them in two halves."""
    if isinstance(body.get("prompt_eval_count"), int):  # Ollama
        return _counted(body["prompt_eval_count"], body.get("eval_count"))
    if isinstance(gemini := body.get("usageMetadata"), dict):
        thoughts = gemini.get("thoughtsTokenCount") or 0
        completion = thoughts + (gemini.get("candidatesTokenCount") or 0)
        return _counted(gemini.get("promptTokenCount"), completion, gemini.get("cachedContentTokenCount"), thoughts)
    response = body if body.get("object") == "response" else body.get("response")
    found = (response if isinstance(response, dict) else body).get("usage")
    if not isinstance(found, dict):
        return None
    if isinstance(found.get("prompt_tokens"), int):
        return found
    prompt, completion = found.get("input_tokens"), found.get("output_tokens")
    if isinstance(response, dict):
        cached = _inner(found, "input_tokens_details", "cached_tokens")
        return _counted(prompt, completion, cached, _inner(found, "output_tokens_details", "reasoning_tokens"))
    if body.get("type") != "message":
        return None
    read, written = found.get("cache_read_input_tokens") or 0, found.get("cache_creation_input_tokens") or 0
    counted = _counted((prompt or 0) + read + written, completion, read)
    counted["prompt_tokens_details"]["cache_creation_tokens"] = written
    return counted


def _counted(
    prompt: int | None, completion: int | None, cached: int | None = 0, thought: int | None = 0
) -> dict[str, Any]:
    return {
        "prompt_tokens": prompt or 0,
        "completion_tokens": completion or 0,
        "total_tokens": (prompt or 0) + (completion or 0),
        "prompt_tokens_details": {"cached_tokens": cached or 0},
        "completion_tokens_details": {"reasoning_tokens": thought or 0},
    }


def _inner(body: Mapping[str, Any], outer: str, inner: str) -> Any:
    found = body.get(outer)
    return found.get(inner) if isinstance(found, dict) else None


def error(body: Mapping[str, Any]) -> dict[str, Any] | None:
    """The error that stands in a body although HTTP was fine."""
    if "error" in (body.get("type"), body.get("object")) and "error" not in body:  # the Responses, Mistral
        return dict(body)
    response = body.get("response")
    found = body.get("error") or (response.get("error") if isinstance(response, dict) else None)
    if not found:
        return None
    return found if isinstance(found, dict) else {"message": str(found)}


def reply(body: Mapping[str, Any]) -> tuple[str, str] | None:
    """(text, reasoning) of a whole answer; None of a body that is none, or of another protocol."""
    message = body.get("message") if "done" in body else _first(body, "choices").get("message")
    if isinstance(message, dict):  # Ollama, OpenAI
        text, thoughts = split_parts(message.get("content"))
        known = (message.get(key) for key in ("reasoning_content", "thinking", "reasoning"))
        return text, thoughts or next((_text_in(value) for value in known if value), "")
    if body.get("candidates") or body.get("promptFeedback"):  # Gemini
        content = _first(body, "candidates").get("content")
        return split_parts(content.get("parts") if isinstance(content, dict) else None)
    parts = body.get({"response": "output", "message": "content"}.get(str(body.get("object") or body.get("type")), ""))
    return split_parts(parts) if isinstance(parts, list) else None  # the Responses, Anthropic


def split_parts(content: Any) -> tuple[str, str]:
    """(text, reasoning) of content that is a list of parts, or a string, or nothing."""
    text, reasoning = "", ""
    for part in content if isinstance(content, list) else [content]:
        thought = isinstance(part, dict) and (part.get("type") in _THOUGHTS or part.get("thought") is True)
        reasoning, text = (reasoning + _text_in(part), text) if thought else (reasoning, text + _text_in(part))
    return text, reasoning


def _text_in(part: Any) -> str:
    if isinstance(part, str):
        return part
    if isinstance(part, list):
        return "".join(map(_text_in, part))
    found = (part.get(key) for key in _TEXT_KEYS) if isinstance(part, dict) else ()
    return next((_text_in(value) for value in found if value), "")


def _first(body: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = body.get(name)
    return found[0] if isinstance(found, list) and found and isinstance(found[0], dict) else {}


def _word(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None
