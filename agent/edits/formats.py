"""The seam for ways of writing an edit: what one is, and what it makes of a reply."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from ai_sci.agent.edits.scan import Scan, lone_names


@dataclass(frozen=True)
class Edit:
    """One change that a reply asks for: `search` becomes `replace`, or the whole file becomes `replace`."""

    kind: str  # "block", "hunk" or "whole"
    path: str | None  # None: the reply names no file, so the text has to tell
    search: str
    replace: str
    line: int  # of the reply, counting from 1
    number: int = 0  # among the edits of the reply, counting from 1

    @property
    def label(self) -> str:
        """How a refusal calls it."""
        return f"{LABELS[self.kind]} {self.number} (line {self.line} of the reply)"


LABELS = {"block": "Block", "hunk": "Hunk", "whole": "File"}


class EditFormat(Protocol):
    """A way of writing edits. Its edits are checked and applied like all others, so it only has to read them."""

    def instructions(self, render: Callable[[str], str]) -> str:
        """How to write such an edit, for the prompt; "" where the model is not told, and it is read all the same.

        `render("NAME")` is the text of prompts/NAME.md.
        """
        return ""

    def parse(self, reply: Scan, editable: Sequence[str]) -> list[Edit]:
        """The edits of the reply that are written this way.

        It sets `taken` of the fences that it has read, so that no other format reads them, and adds a sentence to
        `reply.problems` for what it cannot read for certain, which refuses the reply. It never raises.
        """
        ...

    def markup(self, reply: Scan) -> set[int]:
        """Which of the lines outside fences and blocks belong to edits (indices): the others are prose."""
        return lone_names(reply)


def lines_of(text: str) -> list[str]:
    """The lines of a text, without their ends; splits at nothing but line feeds."""
    lines = text.split("\n")
    if lines[-1] == "":
        lines.pop()
    return lines
