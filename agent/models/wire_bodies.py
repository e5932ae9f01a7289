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
        return _word(body.get("done_reason")) or "stop"
    if _object(body, "promptFeedback").get("blockReason"):  # Gemini
        return "prohibited_content"
    if body.get("object") == "response":
        return _end_of_response(body)
    if str(body.get("type")).startswith("response."):
        return _end_of_response(_object(body, "response"))
    anthropic = _object(body, "delta") or body
    reasons = (
        _first(body, "choices").get("finish_reason"),
        _first(body, "candidates").get("finishReason"),
        anthropic.get("stop_reason"),
    )
    return next(filter(None, map(_word, reasons)), None)


def _end_of_response(response: Mapping[str, Any]) -> str | None:
    status = _word(response.get("status"))
    if status in (None, "queued", "in_progress"):
        return None
    return _word(_object(response, "incomplete_details").get("reason")) or status


def usage(body: Mapping[str, Any]) -> dict[str, Any] | None:
    """The tokens of the call in OpenAI's format; None of Anthropic's events, which have them in two halves."""
    if isinstance(body.get("prompt_eval_count"), int):  # Ollama
        return _counted(body["prompt_eval_count"], body.get("eval_count"))
    response = body if body.get("object") == "response" else _object(body, "response")
    if gemini := _object(body, "usageMetadata"):
        prompt = _count(gemini.get("promptTokenCount"))
        completion = max(0, _count(gemini.get("totalTokenCount")) - prompt)  # some count thoughts among the text's
        cached, thought = gemini.get("cachedContentTokenCount"), gemini.get("thoughtsTokenCount")
        return _counted(prompt, completion, cached, thought)
    found = _object(response or body, "usage")
    if isinstance(found.get("prompt_tokens"), int):
        return dict(found)
    prompt, completion = _count(found.get("input_tokens")), found.get("output_tokens")
    if found and response:
        cached = _object(found, "input_tokens_details").get("cached_tokens")
        return _counted(prompt, completion, cached, _object(found, "output_tokens_details").get("reasoning_tokens"))
    if found and body.get("type") == "message":  # Anthropic
        read, written = _count(found.get("cache_read_input_tokens")), _count(found.get("cache_creation_input_tokens"))
        counted = _counted(prompt + read + written, completion, read)
        counted["prompt_tokens_details"]["cache_creation_tokens"] = written
        return counted
    return None


def _counted(prompt: int, completion: Any, cached: Any = 0, thought: Any = 0) -> dict[str, Any]:
    return {
        "prompt_tokens": prompt,
        "completion_tokens": _count(completion),
        "total_tokens": prompt + _count(completion),
        "prompt_tokens_details": {"cached_tokens": _count(cached)},
        "completion_tokens_details": {"reasoning_tokens": _count(thought)},
    }


def _count(value: Any) -> int:
    return value if isinstance(value, int) else 0


def _object(body: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = body.get(name)
    return found if isinstance(found, dict) else {}


def error(body: Mapping[str, Any]) -> dict[str, Any] | None:
    """The error that stands in a body although HTTP was fine."""
    if "error" in (body.get("type"), body.get("object")) and "error" not in body:  # the Responses, Mistral
        return dict(body)
    found = body.get("error") or _object(body, "response").get("error")
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
        return split_parts(_object(_first(body, "candidates"), "content").get("parts"))
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
