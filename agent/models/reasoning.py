"""Keeps the reasoning that a reply begins with off the screen while the reply streams.

Only for people who watch: what is reasoning is decided when the reply is complete (`edits/reasoning.py`).
"""

from __future__ import annotations

import re

from ai_sci.agent.edits import end_of_reasoning, opens_reasoning

_UNDECIDED = re.compile(r"(?:[<\[◁►&][^>\]▷\n]{0,80}|<\|[^\n]{0,120})?")  # may yet become an opening tag
_LONGEST_TAG = 120


class LiveReply:
    """Feed it content as it streams; it returns what can be shown."""

    def __init__(self) -> None:
        self._held = ""
        self._state = "start"

    def feed(self, content: str) -> str:
        """The part of `content`, and of what was held back, that belongs to the reply."""
        self._held += content
        if self._state == "start":
            begun = self._held.lstrip()
            if end := opens_reasoning(begun):
                self._state, self._held = "thinking", begun[end:]
            elif _UNDECIDED.fullmatch(begun):
                return ""
            else:
                self._state = "text"
        if self._state == "thinking":
            end = end_of_reasoning(self._held)
            if end is None:
                self._held = self._held[-_LONGEST_TAG:]
                return ""
            self._state, self._held = "after", self._held[end:]
        if self._state == "after":
            self._held = self._held.lstrip()
            if not self._held:
                return ""
            self._state = "text"
        text, self._held = self._held, ""
        return text

    def finish(self) -> str:
        """End the stream; returns what was held back and turned out to be text."""
        held, self._held = self._held, ""
        return "" if self._state == "thinking" else held
