"""Separates a model's reasoning from its reply when the server sends both as content, in `<think>…</think>`."""

from __future__ import annotations

import re

_OPEN, _CLOSE = "<think>", "</think>"
# Some chat templates put the opening tag into the prompt, so only the closing one arrives.
_ONLY_CLOSED = re.compile(r"\A(.*?)^[ \t]*</think>[ \t]*(?:\n|\Z)", re.DOTALL | re.MULTILINE)


class ThinkSplitter:
    """Feed it content as it streams; it returns what belongs to the reply as soon as that is certain."""

    def __init__(self) -> None:
        self._reasoning: list[str] = []
        self._text: list[str] = []
        self._held = ""
        self._state = "start"

    @property
    def reasoning(self) -> str:
        """The reasoning so far, without the tags."""
        return "".join(self._reasoning)

    @property
    def text(self) -> str:
        """The reply so far."""
        return "".join(self._text)

    def feed(self, content: str) -> str:
        """The part of `content`, and of what was held back, that belongs to the reply."""
        self._held += content
        if self._state == "start":
            begun = self._held.lstrip()
            if begun.startswith(_OPEN):
                self._state, self._held = "thinking", begun[len(_OPEN) :]
            elif _OPEN.startswith(begun):
                return ""  # may yet become the tag
            else:
                self._state = "text"
        if self._state == "thinking":
            thought, closed, rest = self._held.partition(_CLOSE)
            if not closed:
                keep = _tail_like(thought, _CLOSE)
                self._reasoning.append(thought[: len(thought) - keep])
                self._held = thought[len(thought) - keep :]
                return ""
            self._reasoning.append(thought)
            self._state, self._held = "after", rest
        if self._state == "after":
            self._held = self._held.lstrip()
            if not self._held:
                return ""
            self._state = "text"
        text, self._held = self._held, ""
        self._text.append(text)
        return text

    def finish(self) -> str:
        """End the stream; returns what was held back and turned out to be text."""
        held, self._held = self._held, ""
        if self._state == "thinking":
            self._reasoning.append(held)
            return ""
        self._text.append(held)
        return held


def split_unopened(text: str) -> tuple[str, str]:
    """(reasoning, text) of a reply that has `</think>` alone on a line and no opening tag before it."""
    found = _ONLY_CLOSED.match(text)
    if found is None or _OPEN in found[1] or "```" in found[1]:
        return "", text
    return found[1].strip(), text[found.end() :].lstrip()


def _tail_like(text: str, tag: str) -> int:
    """How many characters at the end of `text` may be the start of `tag`."""
    return next((size for size in range(min(len(tag) - 1, len(text)), 0, -1) if text.endswith(tag[:size])), 0)
