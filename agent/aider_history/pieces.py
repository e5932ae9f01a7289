"""Splits an aider chat history into pieces: headers, user messages, tool lines, text. Total: any text has pieces.

    session := "\\n# aider chat started at TIME\\n\\n" …
    user    := ("#### " TEXT "  \\n")+
    tool    := ("> " TEXT "  \\n")+ | "> " TEXT "\\n" (TEXT "\\n")* TEXT "  \\n"
    text    := anything else: what the model wrote, and blank lines

The two trailing blanks distinguish a user's or a tool's line from a heading or a quotation in the model's Markdown,
outside code fences. Of a tool message with several lines aider often marks only the first. A question of its own with
the answer to it, and an empty message, are a tool's even where they stand behind "####".
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from itertools import accumulate, groupby

from ai_sci.agent.aider_history.tool_lines import QUESTION, is_aiders_own


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
_NOTHING = "<blank>"  # what aider notes when nothing was typed
_TAGS = "source|code|pre|codeblock|sourcecode"  # aider's fences for files that hold backticks
_OPENING = re.compile(rf"[ \t]*(`{{3,}}|~{{3,}})([^`]*)|<({_TAGS})>\w*\s*")
_CLOSING_TAG = re.compile(rf"</({_TAGS})>\s*")


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
        self._headers = [self._is_header(index) for index in range(len(lines))]
        self._stripped = self._find_stripped()
        self._marks = [self._mark(index) for index in range(len(lines))]
        self._next_mark = self._find_next_marks()
        self._endless_until = 0  # no tool message that starts before this line has an end
        self.kinds: list[Kind] = []
        self._classify()

    def _is_header(self, index: int) -> bool:
        return bool(_HEADER.fullmatch(self._bodies[index])) and (index == 0 or not self._bodies[index - 1].strip())

    def _find_stripped(self) -> list[bool]:
        """For each line whether trailing blanks were stripped from its session, as some editors and hooks do: then no
        marked line has any."""
        sessions = list(accumulate(self._headers, lambda session, header: session + header, initial=0))[1:]
        marked = [body.startswith(("#### ", "> ")) for body in self._bodies]
        whole = {sessions[i] for i, body in enumerate(self._bodies) if marked[i] and body.endswith("  ")}
        return [session not in whole for session in sessions]

    def _mark(self, index: int) -> Kind | None:
        """The kind of the line, judged on its own."""
        body, stripped = self._bodies[index], self._stripped[index]
        if self._headers[index]:
            return Kind.header
        cut = not self._lines[index].endswith("\n")  # the file ends inside this line
        for kind, marker in _MARKER.items():
            if body.startswith(f"{marker} ") and (body.endswith("  ") or cut or stripped):
                return Kind.tool if kind is Kind.user and self._is_aiders(index) else kind
            if body == marker and stripped:
                return kind
        return None

    def _is_aiders(self, index: int) -> bool:
        """Whether a line behind "####" is not the user's: it stands alone, and is a question of aider's or empty."""
        around = self._bodies[max(0, index - 1) : index] + self._bodies[index + 1 : index + 2]
        return _is_not_said(self._bodies[index]) and not any(body.startswith("####") for body in around)

    def _find_next_marks(self) -> list[int]:
        """For each line the index of the first marked one from there on."""
        following, nearest = [0] * len(self._lines), len(self._lines)
        for index in range(len(self._lines) - 1, -1, -1):
            if self._marks[index] is not None:
                nearest = index
            following[index] = nearest
        return following

    def _classify(self) -> None:
        kinds, lines = self.kinds, self._lines
        no_fence_until = 0  # up to here an unclosed fence does not count, nor do fences inside it
        while len(kinds) < len(lines):
            index = len(kinds)
            mark = self._marks[index]
            if mark is not None:
                kinds.append(mark)
            elif self._continues_tool(index):
                kinds += [Kind.tool] * (self._tool_message_end(index) - index)
            elif index >= no_fence_until and (opening := _OPENING.fullmatch(self._bodies[index])):
                end, closed = self._fence_end(index, opening)
                if closed:
                    kinds += [Kind.text] * (end - index)
                else:
                    no_fence_until = end
                    kinds.append(Kind.text)
            else:
                kinds.append(Kind.text)

    def _continues_tool(self, index: int) -> bool:
        """Whether the line, which is not marked, goes on with a tool message, or begins one of several lines: those
        stand below a header or a marked line, where a reply has a blank line above it."""
        if index == 0 or not self._bodies[index]:
            return False
        before = self.kinds[index - 1]
        if not self._bodies[index].strip():  # aider pads the lines of commands that it asks about to one width
            return before is Kind.tool and self._question_ahead(index) is not None
        if before is Kind.tool:
            return True
        below_header = index > 1 and not self._bodies[index - 1].strip() and self.kinds[index - 2] is Kind.header
        return self._bodies[index].startswith("> ") and (before in (Kind.user, Kind.header) or below_header)

    def _question_ahead(self, index: int) -> int | None:
        """The index of the next marked line, if that is a question of aider's."""
        ahead = self._next_mark[index]
        return ahead if ahead < len(self._lines) and QUESTION.fullmatch(_said(self._bodies[ahead])) else None

    def _fence_end(self, start: int, opening: re.Match[str]) -> tuple[int, bool]:
        """The index after the closing line, or where to stop looking for one."""
        seen_marker = False
        mark, tag = opening[1] or "", opening[3]
        for index in range(start + 1, len(self._lines)):
            body, kind = self._bodies[index], self._marks[index]
            if kind is Kind.header or (kind is Kind.tool and is_aiders_own(body[2:])):
                return index, False
            seen_marker = seen_marker or kind is not None
            if tag and (closing := _CLOSING_TAG.fullmatch(body)) and closing[1] == tag:
                return index + 1, True
            fence = _OPENING.fullmatch(body)
            if fence is None or (fence[1] or "")[:1] != mark[:1] or tag:
                continue
            if not fence[2].strip() and len(fence[1]) >= len(mark):
                return index + 1, True
            if seen_marker:  # this opens the next reply's fence, so the previous reply was cut off
                return index, False
        return len(self._lines), False

    def _tool_message_end(self, start: int) -> int:
        """The index after a tool message that continues below its marked line. It ends at a line with two trailing
        blanks or, if there is none, at the next blank line; what aider asks about ends at the question."""
        if (question := self._question_ahead(start)) is not None:
            return question
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


def _said(body: str) -> str:
    """A tool's line without its marker."""
    return body[2:].rstrip() if body.startswith("> ") else body.removeprefix("####").strip()


def _is_not_said(body: str) -> bool:
    """Whether a line behind "####" is a question of aider's, or empty."""
    said = body.removeprefix("####").strip()
    return body.startswith("####") and (said in ("", _NOTHING) or QUESTION.fullmatch(said) is not None)


def _bare(kind: Kind, line: str) -> str:
    body = _body(line)
    if kind is Kind.header:
        return body.removeprefix("# aider chat started at ")
    if kind is Kind.text:
        return body
    marker = "####" if kind is Kind.tool and _is_not_said(body) else _MARKER[kind]
    if body != marker and not body.startswith(f"{marker} "):
        return body  # a tool message in which only the first line is marked
    body = body.removesuffix("  ") if len(body) > len(marker) + 2 else body.rstrip(" ")
    return body[len(marker) + 1 :]
