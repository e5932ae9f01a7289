"""Splits an aider chat history into pieces: headers, user messages, tool lines, text. Total: any text has pieces.

    session := "\\n# aider chat started at TIME\\n\\n" …
    user    := ("#### " TEXT "  \\n")+
    tool    := ("> " TEXT "  \\n")+
    text    := anything else: what the model wrote, and blank lines

The two trailing blanks distinguish a user's or a tool's line from a heading or a quotation in the model's Markdown,
outside code fences. In some long tool messages aider marks only the first line.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from itertools import groupby


class Kind(str, Enum):
    """Who wrote a piece; see the grammar above."""

    header = "header"
    user = "user"
    tool = "tool"
    text = "text"


@dataclass(frozen=True)
class Piece:
    """Consecutive lines of one kind, `raw` as in the file: all pieces joined give the file."""

    kind: Kind
    raw: str

    @property
    def is_blank(self) -> bool:
        """Whether it is only white space."""
        return not self.raw.strip()

    @property
    def lines(self) -> list[str]:
        """The lines without markers and line ends."""
        return [_bare(self.kind, line) for line in split_lines(self.raw)]

    @property
    def text(self) -> str:
        """`lines`, joined."""
        return "\n".join(self.lines)


_HEADER = re.compile(r"# aider chat started at (.*)")
_MARKER = {Kind.user: "####", Kind.tool: ">"}
_OPENING = re.compile(r"[ \t]*(`{3,}|~{3,})([^`]*)")
# Lines that only aider writes: no code fence of a reply extends past them.
_AIDERS_OWN = re.compile(
    r"(Tokens: \S+ sent|Applied edit to |Commit [0-9a-f]{6,}|(litellm|openai)\.\w+|Retrying in |Attempt to fix |"
    r"Run shell command\?|Add .*\? \(Y\)|The LLM did not conform|# \d+ SEARCH/REPLACE|\^C|Empty response received|"
    r"Model .* has hit a token limit|# Fix any errors below|Only \d+ reflections)"
)


def is_aiders_own(line: str) -> bool:
    """Whether a tool line (without its marker) is one of aider's messages, not a quotation in a reply."""
    return _AIDERS_OWN.match(line) is not None


def split_lines(text: str) -> list[str]:
    """The lines with their ends, split only at line feeds: a progress bar's carriage returns stay inside a line."""
    lines = text.split("\n")
    return [line + "\n" for line in lines[:-1]] + ([lines[-1]] if lines[-1] else [])


def scan_history(text: str) -> list[Piece]:
    """The pieces in order; their `raw` joined is `text`. Never raises."""
    lines = split_lines(text)
    kinds = _Scan(lines).kinds
    runs = groupby(zip(kinds, lines, range(len(lines))), key=lambda item: item[0])
    pieces: list[Piece] = []
    for kind, run in runs:
        if kind is Kind.header:  # each header is a piece of its own
            pieces += [Piece(kind, line) for _, line, _ in run]
        else:
            pieces.append(Piece(kind, "".join(line for _, line, _ in run)))
    return pieces


class _Scan:
    def __init__(self, lines: list[str]) -> None:
        self._lines = lines
        self._bodies = [_body(line) for line in lines]
        # Some editors and hooks strip trailing blanks; if no marked line has any, this happened.
        marked = [body for body in self._bodies if body.startswith(("#### ", "> "))]
        self._stripped = not any(body.endswith("  ") for body in marked)
        self._marks = [self._mark(index) for index in range(len(lines))]
        self._endless_until = 0  # no tool message that starts before this line has an end
        self.kinds: list[Kind] = []
        self._classify()

    def _mark(self, index: int) -> Kind | None:
        """The kind of the line, judged on its own."""
        body = self._bodies[index]
        if _HEADER.fullmatch(body) and (index == 0 or not self._bodies[index - 1].strip()):
            return Kind.header
        cut = not self._lines[index].endswith("\n")  # the file ends inside this line
        for kind, marker in _MARKER.items():
            if body.startswith(f"{marker} ") and (body.endswith("  ") or cut or self._stripped):
                return kind
            if body == marker and self._stripped:
                return kind
        return None

    def _classify(self) -> None:
        kinds, lines = self.kinds, self._lines
        no_fence_until = 0  # up to here an unclosed fence does not count, nor do fences inside it
        while len(kinds) < len(lines):
            index = len(kinds)
            mark = self._marks[index]
            if mark is not None:
                kinds.append(mark)
            elif kinds and kinds[-1] is Kind.tool and self._bodies[index].strip():
                kinds += [Kind.tool] * (self._tool_message_end(index) - index)
            elif index >= no_fence_until and (opening := _OPENING.fullmatch(self._bodies[index])):
                end, closed = self._fence_end(index, opening[1])
                if closed:
                    kinds += [Kind.text] * (end - index)
                else:
                    no_fence_until = end
                    kinds.append(Kind.text)
            else:
                kinds.append(Kind.text)

    def _fence_end(self, start: int, mark: str) -> tuple[int, bool]:
        """The index after the closing line, or where to stop looking for one."""
        seen_marker = False
        for index in range(start + 1, len(self._lines)):
            body, kind = self._bodies[index], self._marks[index]
            if kind is Kind.header or (kind is Kind.tool and is_aiders_own(body[2:])):
                return index, False
            seen_marker = seen_marker or kind is not None
            fence = _OPENING.fullmatch(body)
            if fence is None or fence[1][0] != mark[0]:
                continue
            if not fence[2].strip() and len(fence[1]) >= len(mark):
                return index + 1, True
            if seen_marker:  # this opens the next reply's fence, so the previous reply was cut off
                return index, False
        return len(self._lines), False

    def _tool_message_end(self, start: int) -> int:
        """The index after a tool message that continues below its marked line. It ends at a line with two trailing
        blanks or, if there is none, at the next blank line."""
        paragraph = start
        while paragraph < len(self._lines) and self._marks[paragraph] is None and self._bodies[paragraph].strip():
            paragraph += 1
        if not self._bodies[start].startswith("> ") or start < self._endless_until:
            return paragraph
        for index in range(start, len(self._lines)):
            self._endless_until = index
            if self._marks[index] in (Kind.header, Kind.user):
                break
            if self._marks[index] is Kind.tool and is_aiders_own(self._bodies[index][2:]):
                break
            followed = index + 1 < len(self._lines) and self._bodies[index + 1].strip()
            if self._bodies[index].endswith("  ") and (not followed or self._marks[index + 1] is not None):
                self._endless_until = 0
                return index + 1
        return paragraph


def _body(line: str) -> str:
    return line.removesuffix("\n").removesuffix("\r")


def _bare(kind: Kind, line: str) -> str:
    body = _body(line)
    if kind is Kind.header:
        return body.removeprefix("# aider chat started at ")
    if kind is Kind.text:
        return body
    marker = _MARKER[kind]
    if body != marker and not body.startswith(f"{marker} "):
        return body  # a tool message in which only the first line is marked
    body = body.removesuffix("  ") if len(body) > len(marker) + 2 else body.rstrip(" ")
    return body[len(marker) + 1 :]
