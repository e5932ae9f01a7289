"""Finds the SEARCH/REPLACE blocks and the code fences of a reply, and the names of files above them.

The markers are aider's, parsed more strictly, because a misread block becomes a wrong edit that nobody notices: there
is one divider, exactly `=======`, indented like the block's first line. A shorter or longer row of `=` is content,
unless it is as long as the block's first marker and there is no other divider. A second divider is refused, since
either could end the SEARCH part; one directly above the end is left to the planner, which knows the file. File names
have to be exact; no similar name is guessed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

# As in aider.coders.editblock_coder; a test compares them.
HEAD = re.compile(r"^<{5,9} SEARCH>?\s*$")
DIVIDER = re.compile(r"^={5,9}\s*$")
END = re.compile(r"^>{5,9} REPLACE\s*$")
# Malformed markers.
ALMOST_HEAD = re.compile(r"^<{4,}\s*SEARCH", re.IGNORECASE)
ALMOST_END = re.compile(r"^>{4,}\s*REPLACE", re.IGNORECASE)

OPENING = re.compile(r"^\s*(`{3,})([^`]*)$|^\s*(~{3,})(.*)$")
FENCE = re.compile(r"\s*(`{3,}|~{3,})\s*([^`]*)$|\s*<(?:source|code|pre|codeblock|sourcecode)>\s*([\w./-]*)\s*$")
TAG = re.compile(r"\s*<(source|code|pre|codeblock|sourcecode)>\s*([\w./-]*)\s*$")  # aider's other fences
BULLET = re.compile(r"(?:[-+*]|\d{1,3}[.)])\s+")
LABEL = re.compile(r"(?:file ?name|file|path)\s*:\s*", re.IGNORECASE)
# A lone word with one of these extensions names a file; `CustomSAE.encode` above a block does not.
FILE_LIKE = re.compile(
    r"[^\s]*\.(?:py|pyi|ipynb|txt|md|rst|tex|json|jsonl|toml|ya?ml|cfg|ini|csv|tsv|sh|env|lock|c|h|cc|cpp|cu|js|ts|html|css)",
    re.IGNORECASE,
)
LONE_NAME = re.compile(r"[\w./-]+\.\w{1,4}:?")
OUTSIDE = re.compile(r"(?:\.\.[\\/]|/|~/|[A-Za-z]:\\)\S+")
MOST_BLANK_LINES = 2
LONGEST_NAME_LINE = 300
# Also as a heading, a list item, in bold or quotes, or before a token that ends a message (`<|im_end|>`, `</s>`).
COMPLETED = re.compile(
    r"(?:\d{1,3}[.)])?[\s#+*•_`\"'“‘✅-]{0,12}ALL\\?_COMPLETED[\s#*_`\"'”’✅.!\u200b]{0,12}"
    r"(?:\s*(?:<[|｜]?[/\w▁-]+[|｜]?>|\[/?[A-Z]+\]))*$"
)


@dataclass(frozen=True)
class Block:
    """Line indices of a block's three markers. `doubled`: whether another divider stands directly above its end."""

    head: int
    divider: int
    end: int
    doubled: bool = False


@dataclass
class Fence:
    """A code fence: indices of its first and last line; `close` is None when the reply ends inside it."""

    open: int
    mark: str
    info: str
    close: int | None = None
    taken: bool = False  # by the edit format that has read it


@dataclass
class Scan:
    """The parts of a reply. `free`: indices of the lines outside fences and blocks; `problems`: sentences, each
    of which refuses the reply."""

    lines: list[str]
    blocks: list[Block] = field(default_factory=list)
    fences: list[Fence] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    free: list[int] = field(default_factory=list)


def scan_reply(text: str) -> Scan:
    """The blocks and fences of a reply; anything ambiguous is a sentence in `problems`. Never raises."""
    scan = Scan(text.replace("\r\n", "\n").split("\n"))
    fence: Fence | None = None
    last_of_closing_tags = {line.strip(): index for index, line in enumerate(scan.lines) if line.lstrip()[:2] == "</"}
    index = 0
    while index < len(scan.lines):
        line = scan.lines[index]
        marker = line.strip()
        if HEAD.match(marker):
            if fence:
                fence.taken = True
            index = _take_block(scan, index)
            continue
        if ALMOST_HEAD.match(marker):
            scan.problems.append(
                f"Line {index + 1} of the reply reads `{marker[:60]}`: a block starts with `<<<<<<< SEARCH` alone."
            )
        elif ALMOST_END.match(marker):
            scan.problems.append(f"Line {index + 1} of the reply ends a block (`{marker[:60]}`) that was not begun.")
        elif fence is None:
            fence = opened(index, line, last_of_closing_tags)
            if fence:
                scan.fences.append(fence)
            else:
                scan.free.append(index)
        elif closes(line, fence):
            fence.close = index
            fence = None
        index += 1
    return scan


def opened(index: int, line: str, last_of_closing_tags: Mapping[str, int] | None = None) -> Fence | None:
    """The fence that the line opens. A tag opens one only where it is closed as well."""
    tag = TAG.match(line)
    if tag and (last_of_closing_tags or {}).get(f"</{tag[1]}>", -1) > index:
        return Fence(index, f"</{tag[1]}>", tag[2])
    match = OPENING.match(line)
    if not match:
        return None
    return Fence(index, match.group(1) or match.group(3), (match.group(2) or match.group(4) or "").strip())


def closes(line: str, fence: Fence) -> bool:
    """Whether the line is the closing tag, or a closing mark at least as long as the fence's own."""
    mark = line.strip()
    if fence.mark.startswith("<"):
        return mark == fence.mark
    return len(mark) >= len(fence.mark) and mark == fence.mark[0] * len(mark)


def _take_block(scan: Scan, head: int) -> int:
    """Add the block that starts at line index `head`; returns the index of the first line after it."""
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
    dividers = _find_dividers(scan, head, end, where)
    if dividers:
        scan.blocks.append(Block(head, dividers[0], end, doubled=len(dividers) > 1))
    return end + 1


def _find_dividers(scan: Scan, head: int, end: int, where: str) -> list[int]:
    """The index of the block's divider, and of a second one directly above its end; none, with a problem noted, when
    there is no divider or more."""
    lines = scan.lines
    indent = lines[head][: len(lines[head]) - len(lines[head].lstrip())]
    exact = [index for index in range(head + 1, end) if lines[index].rstrip() == f"{indent}======="]
    if not exact:
        row = "=" * lines[head].count("<")
        exact = [index for index in range(head + 1, end) if lines[index].rstrip() == f"{indent}{row}"][:1]
    if len(exact) == 1 or (len(exact) == 2 and exact[1] == end - 1):
        return exact
    if exact:
        places = ", ".join(str(index + 1) for index in exact)
        scan.problems.append(
            f"{where} has `=======` {len(exact)} times (lines {places}), so where its SEARCH part ends cannot be told. "
            "Leave such lines of the file out of the block, or send the whole file."
        )
        return []
    near = [index for index in range(head + 1, end) if DIVIDER.match(lines[index].strip())]
    found = f" Line {near[0] + 1} has {lines[near[0]].rstrip()!r}." if near else ""
    scan.problems.append(f"{where} has no line `=======` between its SEARCH and its REPLACE part.{found}")
    return []


# --- names of files --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Named:
    """What is above a block: a file name as written, or the editable files that a line of prose mentions."""

    path: str | None = None
    mentions: tuple[str, ...] = ()


def _bare_name(line: str) -> str:
    """The line without Markdown: `# **experiment.py**:` becomes `experiment.py`."""
    name, before = line.strip(), None
    if len(name) > LONGEST_NAME_LINE:
        return name
    while name != before:
        before = name
        name = name.lstrip("#").strip().rstrip(":").strip()
        name = LABEL.sub("", BULLET.sub("", name, count=1) if BULLET.match(name) else name, count=1)
        for quote in ("**", "`", "*", '"', "'"):
            if len(name) > 2 * len(quote) and name.startswith(quote) and name.endswith(quote):
                name = name[len(quote) : -len(quote)].strip()
    return name[2:] if name.startswith("./") else name


def is_file_like(name: str) -> bool:
    """Whether the word has a known extension or is a path that leads outside the session's folder."""
    return bool(FILE_LIKE.fullmatch(name) or OUTSIDE.fullmatch(name))


def name_above(lines: Sequence[str], index: int, floor: int, editable: Sequence[str]) -> Named:
    """Search upwards from `index` for a name, past the opening fence and blank lines, down to line `floor` (exclusive).

    Inside a fence that closes before `index` only an exact editable name counts: some models put the name in its own
    fence.
    """
    fences = blanks = 0
    for above in range(index - 1, floor, -1):
        line = lines[above]
        fence = FENCE.match(line)
        if fence:
            fences += 1
            named = _name_in_info(fence.group(2) or fence.group(3) or "", editable) if fences == 1 else None
            if named:
                return Named(named)
            if fences > 2:
                return Named()
        elif not line.strip():
            blanks += 1
            if blanks > MOST_BLANK_LINES:
                return Named()
        else:
            return _read_name(line, editable, only_editable=fences > 1)
    return Named()


def fence_name(scan: Scan, fence: Fence, editable: Sequence[str]) -> str | None:
    """The file that a fence is about, if a name stands between it and the block or fence above."""
    ends = [block.end for block in scan.blocks if block.end < fence.open]
    ends += [other.close for other in scan.fences if other.close is not None and other.close < fence.open]
    return name_above(scan.lines, fence.open + 1, max(ends, default=-1), editable).path


def name_in_first_line(scan: Scan, fence: Fence, editable: Sequence[str]) -> str | None:
    """The editable file that the first line inside a fence names, alone or in a comment."""
    first = "".join(scan.lines[fence.open + 1 : fence.open + 2]) if fence.close != fence.open + 1 else ""
    name = _bare_name(re.sub(r"^\s*(?://|--|%|/\*|<!--)|(?:\*/|-->)\s*$", "", first))
    return name if name in editable else None


def lone_names(scan: Scan) -> set[int]:
    """Indices of the lines outside fences that are only a file name: they belong to the edit below them."""
    return {index for index in scan.free if LONE_NAME.fullmatch(scan.lines[index].strip())}


def _read_name(line: str, editable: Sequence[str], only_editable: bool = False) -> Named:
    """The file that a line names, else the editable files that it mentions."""
    name = _bare_name(line)
    if name in editable or (is_file_like(name) and not only_editable):
        return Named(name)
    if only_editable:
        return Named()
    return Named(mentions=tuple(known for known in editable if _mentions(line, known)))


def _mentions(line: str, name: str) -> bool:
    """Whether the line contains the name as a whole path."""
    return re.search(rf"(?<![\w./\\-]){re.escape(name)}(?![\w/\\-]|\.\w)", line) is not None


def _name_in_info(info: str, editable: Sequence[str]) -> str | None:
    """The file in a fence's info string: ```python experiment.py, ```python:experiment.py, ```experiment.py."""
    for word in re.split(r"[\s:={},]+", info):
        name = _bare_name(word)
        if name in editable or is_file_like(name):
            return name
    return None
