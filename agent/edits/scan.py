"""Finds the SEARCH/REPLACE blocks and the code fences of a reply, and what is wrong with their markers.

The markers are aider's, read more strictly, because a block that is read wrongly becomes a wrong edit that nobody sees:
the divider is exactly `=======`, as far to the right as the block's first line, and there is one of it. A shorter or
longer row of `=` is content; a second divider is refused, since nothing tells which of the two ends the SEARCH part.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

# As in aider.coders.editblock_coder; a test compares them.
HEAD = re.compile(r"^<{5,9} SEARCH>?\s*$")
DIVIDER = re.compile(r"^={5,9}\s*$")
END = re.compile(r"^>{5,9} REPLACE\s*$")
# Lines that are meant as a marker but are none.
ALMOST_HEAD = re.compile(r"^<{4,}\s*SEARCH", re.IGNORECASE)
ALMOST_END = re.compile(r"^>{4,}\s*REPLACE", re.IGNORECASE)

OPENING = re.compile(r"^\s*(`{3,})([^`]*)$|^\s*(~{3,})(.*)$")
COMPLETED = re.compile(r"^(?:\*\*|`)?ALL_COMPLETED(?:\*\*|`)?[.!]?$")


@dataclass(frozen=True)
class Block:
    """Line indices of a block's three markers."""

    head: int
    divider: int
    end: int


@dataclass
class Fence:
    """A code fence: line indices of its first and last line; `close` is None when the reply ends inside it."""

    open: int
    mark: str
    info: str
    close: int | None = None
    has_block: bool = False


@dataclass
class Scan:
    """What a reply is made of. `free` marks the lines outside fences and blocks."""

    lines: list[str]
    blocks: list[Block] = field(default_factory=list)
    fences: list[Fence] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    free: list[int] = field(default_factory=list)


def scan_reply(text: str) -> Scan:
    """Never raises; what cannot be read for certain is in `problems`, one sentence each."""
    scan = Scan(text.replace("\r\n", "\n").split("\n"))
    fence: Fence | None = None
    index = 0
    while index < len(scan.lines):
        line = scan.lines[index]
        marker = line.strip()
        if HEAD.match(marker):
            if fence:
                fence.has_block = True
            index = take_block(scan, index)
            continue
        if ALMOST_HEAD.match(marker):
            scan.problems.append(
                f"Line {index + 1} of the reply reads `{marker[:60]}`: a block starts with `<<<<<<< SEARCH` alone."
            )
        elif ALMOST_END.match(marker):
            scan.problems.append(f"Line {index + 1} of the reply ends a block (`{marker[:60]}`) that was not begun.")
        elif fence is None:
            fence = opened(index, line)
            if fence:
                scan.fences.append(fence)
            else:
                scan.free.append(index)
        elif closes(line, fence):
            fence.close = index
            fence = None
        index += 1
    return scan


def opened(index: int, line: str) -> Fence | None:
    match = OPENING.match(line)
    if not match:
        return None
    return Fence(index, match.group(1) or match.group(3), (match.group(2) or match.group(4) or "").strip())


def closes(line: str, fence: Fence) -> bool:
    mark = line.strip()
    return len(mark) >= len(fence.mark) and mark == fence.mark[0] * len(mark)


def take_block(scan: Scan, head: int) -> int:
    """Reads the block that starts at line index `head`; returns the index of the first line behind it."""
    lines = scan.lines
    end = head + 1
    while end < len(lines) and not END.match(lines[end].strip()) and not HEAD.match(lines[end].strip()):
        end += 1
    where = f"The block at line {head + 1} of the reply"
    if end == len(lines):
        scan.problems.append(f"{where} is not closed: the reply ends before `>>>>>>> REPLACE`.")
        return end
    if HEAD.match(lines[end].strip()):
        scan.problems.append(
            f"{where} is not closed: the next one starts at line {end + 1}, before a line with `>>>>>>> REPLACE`."
        )
        return end
    divider = find_divider(scan, head, end, where)
    if divider is not None:
        scan.blocks.append(Block(head, divider, end))
    return end + 1


def find_divider(scan: Scan, head: int, end: int, where: str) -> int | None:
    lines = scan.lines
    indent = lines[head][: len(lines[head]) - len(lines[head].lstrip())]
    exact = [index for index in range(head + 1, end) if lines[index].rstrip() == f"{indent}======="]
    if len(exact) == 1:
        return exact[0]
    if exact:
        places = ", ".join(str(index + 1) for index in exact)
        scan.problems.append(
            f"{where} has `=======` {len(exact)} times (lines {places}), so where its SEARCH part ends cannot be told. "
            "Leave such lines of the file out of the block, or send the whole file."
        )
        return None
    near = [index for index in range(head + 1, end) if DIVIDER.match(lines[index].strip())]
    found = f" Line {near[0] + 1} has {lines[near[0]].rstrip()!r}." if near else ""
    scan.problems.append(f"{where} has no line `=======` between its SEARCH and its REPLACE part.{found}")
    return None


def all_completed(text: str) -> bool:
    """Whether the reply says `ALL_COMPLETED` on a line of its own, outside code fences and blocks."""
    scan = scan_reply(text)
    return any(COMPLETED.match(scan.lines[index].strip()) for index in scan.free)
