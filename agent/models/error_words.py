"""The words that a person can use in what a server sent with an error."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from typing import Any


def one_line(text: str, limit: int = 300) -> str:
    """The words in an error body: dug out of JSON or HTML, without litellm's prefixes, on one line, keys hidden."""
    text = _dug_out(text)
    if "<" in text and re.search(r"<(html|body|head|!doctype)", text, re.IGNORECASE):
        text = re.sub(r"(?s)<(script|style).*?</\1>|<[^>]*>", " ", text)
    text = re.split(r"\s*Traceback \(most recent call last\)|\s*Handle with `litellm", text)[0]
    text = re.sub(r"^(\s*(litellm\.)?\w*(Error|Exception):\s*|\s*\w+Exception - )+", "", text)
    text = " ".join(text.split())
    for name, value in os.environ.items():
        if name.endswith(("_KEY", "_TOKEN", "_SECRET")) and len(value) >= 8:
            text = text.replace(value, "***")
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def _dug_out(text: str) -> str:
    """The message in a JSON error body of any provider; the text itself when it is no such thing."""
    start = min((at for at in (text.find("{"), text.find("[")) if at >= 0), default=-1)
    if start < 0:
        return text
    try:
        value, _ = json.JSONDecoder().raw_decode(text[start:])
        return _message_in(value) or text
    except (ValueError, RecursionError):
        return text


def _message_in(value: Any) -> str:
    if isinstance(value, list) and value:
        return _message_in(value[0])
    if isinstance(value, str):
        return value
    if not isinstance(value, Mapping):
        return ""
    for key in ("error", "message", "detail", "msg"):
        found = _message_in(value.get(key))
        if found:
            code = value.get("code")
            told = isinstance(code, str) and not code.endswith("_error") and code not in found and key == "message"
            return f"{found} [{code}]" if told else found
    return ""
