"""What the readers of a reply and the planner of edits pass to each other."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

_ONE_AT_A_TIME = threading.RLock()


@contextmanager
def without_warnings() -> Iterator[None]:
    """Python's filters and `sys.stdout` are the whole process's: what changes them is one thread's at a time.

    Two sessions in threads of one process would else each put back what the other had set.
    """
    with _ONE_AT_A_TIME, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


class EditRefused(Exception):
    """A reply none of whose edits are applied. Each reason is a sentence, some with lines of the file below it."""

    def __init__(self, reasons: list[str]) -> None:
        super().__init__("\n".join(reasons))
        self.reasons = reasons


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


def lines_of(text: str) -> list[str]:
    """The lines of a text, without their ends; splits at nothing but line feeds."""
    lines = text.split("\n")
    if lines[-1] == "":
        lines.pop()
    return lines


def name_list(names: list[str] | tuple[str, ...]) -> str:
    return ", ".join(names) if names else "(none)"
