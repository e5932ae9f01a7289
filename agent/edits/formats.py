"""The interface of an edit format: what an edit is, and how a format reads edits from a reply."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from ai_sci.agent.edits.scan import Scan, lone_names


@dataclass(frozen=True)
class Edit:
    """One change that a reply asks for: `search` becomes `replace`, or the whole file becomes `replace`."""

    kind: str  # "block", "hunk" or "whole"
    path: str | None  # None: the reply names no file; `search` decides
    search: str
    replace: str
    line: int  # of the reply, counting from 1
    number: int = 0  # among the edits of the reply, counting from 1
    doubled: bool = False  # a block with a second divider directly above its end
    name_line: str = ""  # the first line of a fence that names its file there; "" where the name stands above

    @property
    def label(self) -> str:
        """How a refusal refers to it."""
        return f"{LABELS[self.kind]} {self.number} (line {self.line} of the reply)"


LABELS = {"block": "Block", "hunk": "Hunk", "whole": "File"}


@runtime_checkable
class EditFormat(Protocol):
    """A way of writing edits. A format only reads them; they are checked and applied like all others."""

    def instructions(self, render: Callable[[str], str]) -> str:
        """How to write such an edit, for the prompt; "" for a format that is read but not advertised.

        `render("NAME")` is the text of prompts/NAME.md.
        """
        return ""

    def parse(self, reply: Scan, editable: Sequence[str]) -> list[Edit]:
        """The edits of the reply that are written this way.

        Sets `taken` on the fences that it reads, so that no other format reads them, and adds a sentence to
        `reply.problems` for anything ambiguous, which refuses the reply. Never raises.
        """
        ...

    def markup(self, reply: Scan) -> set[int]:
        """Indices of lines outside fences and blocks that belong to edits; the others are prose."""
        return lone_names(reply)


def lines_of(text: str) -> list[str]:
    """The lines of a text without their ends; splits only at line feeds."""
    lines = text.split("\n")
    if lines[-1] == "":
        lines.pop()
    return lines
