"""Turns a reply into the edits it asks for, in the order it asks for them.

Three ways of writing an edit are read: SEARCH/REPLACE blocks, unified diffs (a ```diff fence with `---` and `+++`
lines, or with a file's name above it), and whole files (a fence with the file's name above it, or in its info string,
and no markers inside). Anything else, shell commands above all, is talk. aider's own readers take the texts out of
blocks and diffs; they see one block at a time, with the lines that they would misread put out of their sight.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ai_sci.agent.edits.aider_parts import block_reader
from ai_sci.agent.edits.base import Edit, EditRefused, name_list
from ai_sci.agent.edits.file_names import Named, is_file_like, name_above
from ai_sci.agent.edits.scan import DIVIDER, END, HEAD, Block, Fence, Scan, scan_reply
from ai_sci.agent.edits.unified_diff import diff_edits, is_diff

SHELL = {"bash", "sh", "shell", "zsh", "console", "shell-session", "cmd", "bat", "batch", "powershell", "ps1", "fish"}
NOT_A_FILE = SHELL | {"output", "log", "traceback", "pytb"}
NOT_PYTHON = NOT_A_FILE | {"text", "txt", "plaintext", "plain", "json", "markdown", "md", "toml", "yaml"}
MASK = "\ue000"  # a private-use character at the start of a line that stands for another line


def parse_reply(text: str, editable: Sequence[str], cut_off: bool = False) -> list[Edit]:
    """The edits of a reply; none when it holds no edit. `cut_off`: the model reached its output limit.

    Raises EditRefused, with every reason that could be found, when any part of it cannot be read for certain.
    """
    scan = scan_reply(text)
    problems = list(scan.problems)
    edits = block_edits(scan, editable, problems) + fence_edits(scan, editable, problems)
    if cut_off:
        problems += cut_problems(scan, editable)
    edits = [replace(edit, number=number) for number, edit in enumerate(sorted(edits, key=lambda edit: edit.line), 1)]
    problems += [
        f"{edit.label} has characters that no file can have." for edit in edits if not is_storable(edit.replace)
    ]
    problems += [foreign(edit, editable) for edit in edits if edit.path is not None and edit.path not in editable]
    if problems:
        raise EditRefused(problems)
    return edits


def foreign(edit: Edit, editable: Sequence[str]) -> str:
    return f"{edit.label} is for `{edit.path}`, which may not be edited. Editable: {name_list(tuple(editable))}."


def is_storable(text: str) -> bool:
    """No lone surrogates (JSON can carry them, UTF-8 cannot) and no NUL, which ends a file for Python."""
    return "\0" not in text and not any("\ud800" <= char <= "\udfff" for char in text)


def block_edits(scan: Scan, editable: Sequence[str], problems: list[str]) -> list[Edit]:
    edits: list[Edit] = []
    floor = -1
    for block in scan.blocks:
        named = name_above(scan.lines, block.head, floor, editable)
        search, new = read_block(scan.lines, block)
        path = block_path(named, edits[-1].path if edits else None, editable)
        edits.append(Edit("block", path, search, new, block.head + 1))
        if new.count("```") % 2 and not search.count("```") % 2 and stray_fence(new):
            problems.append(
                f"The block at line {block.head + 1} of the reply closes its code fence before `>>>>>>> REPLACE`."
            )
        floor = block.end
    return edits


def stray_fence(text: str) -> bool:
    return text.rstrip().rsplit("\n", 1)[-1].strip() == "```"


def block_path(named: Named, previous: str | None, editable: Sequence[str]) -> str | None:
    """A block without a name goes on with the file of the block before it, unless the text above speaks of another."""
    if named.path is not None:
        return named.path
    if previous is not None and all(name == previous for name in named.mentions):
        return previous
    return editable[0] if len(editable) == 1 else None


def read_block(lines: Sequence[str], block: Block) -> tuple[str, str]:
    """The SEARCH and the REPLACE text, by aider's reader, which takes a row of `=` for the divider and splits lines at
    form feeds and the like: lines in danger are masked for it."""
    masked: list[str] = []

    def hide(line: str) -> str:
        if not is_doubtful(line):
            return line
        masked.append(line)
        return f"{MASK}{len(masked) - 1}"

    def show(text: str) -> str:
        shown = (masked[int(line[1:])] if line.startswith(MASK) else line for line in text.split("\n"))
        return "\n".join(shown)

    search = [hide(line) for line in lines[block.head + 1 : block.divider]]
    new = [hide(line) for line in lines[block.divider + 1 : block.end]]
    plain = ["file.txt", "```", "<<<<<<< SEARCH", *search, "=======", *new, ">>>>>>> REPLACE", "```", ""]
    ((_, found_search, found_new),) = block_reader()("\n".join(plain), ("```", "```"), ["file.txt"])
    return show(found_search), show(found_new)


def is_doubtful(line: str) -> bool:
    """Whether aider's reader could take the line for a marker, for two lines, or we for a mask."""
    if line.startswith(MASK) or (line and line.splitlines() != [line]):
        return True
    return any(pattern.match(line.strip()) for pattern in (HEAD, DIVIDER, END))


def fence_edits(scan: Scan, editable: Sequence[str], problems: list[str]) -> list[Edit]:
    """Diffs and whole files."""
    edits: list[Edit] = []
    for fence in scan.fences:
        if fence.has_block:
            continue
        body = scan.lines[fence.open + 1 : fence.close]
        named = name_above(scan.lines, fence.open + 1, floor_above(scan, fence), editable)
        if is_diff(fence.info, body):
            edits += diff_edits(fence, body, named.path, problems)
        elif named.path is not None and may_be_file(fence.info, named.path, editable):
            if fence.close is None:
                problems.append(f"The code fence of {named.path} at line {fence.open + 1} of the reply is not closed.")
            else:
                problems += inner_fence(scan, fence, named.path)
                edits.append(Edit("whole", named.path, "", "".join(f"{line}\n" for line in body), fence.open + 1))
    return edits


def floor_above(scan: Scan, fence: Fence) -> int:
    """The last line of what stands before the fence: a name further up is not its name."""
    blocks = [block.end for block in scan.blocks if block.end < fence.open]
    fences = [other.close for other in scan.fences if other.close is not None and other.close < fence.open]
    return max(blocks + fences, default=-1)


def may_be_file(info: str, path: str, editable: Sequence[str]) -> bool:
    """Whether a fence below a file's name can hold that file, going by the fence's language.

    A name that is not editable counts only for Python in a Python fence (a module that the model wants to add, which is
    to be refused, not overlooked); results and logs are often quoted below their names.
    """
    language = info.split()[0].lower() if info.split() else ""
    if path not in editable:
        return path.endswith(".py") and language in ("python", "py", "python3")
    if is_file_like(language):
        return True
    return language not in (NOT_PYTHON if path.endswith(".py") else NOT_A_FILE)


def inner_fence(scan: Scan, fence: Fence, path: str) -> list[str]:
    """A file with code fences in it, in a fence that is no longer than they are, ends at the first of them.

    Python needs no such look: what is left of it would not parse.
    """
    if path.endswith(".py") or fence.close is None:
        return []
    opens_inside = any(line.strip().startswith(fence.mark) for line in scan.lines[fence.open + 1 : fence.close])
    goes_on = bool("".join(scan.lines[fence.close + 1 : fence.close + 2]).strip())
    if not opens_inside and not goes_on:
        return []
    return [
        f"It cannot be told where `{path}`, given at line {fence.open + 1} of the reply, ends: it seems to hold code "
        f"fences of its own. Put a longer fence ({fence.mark}{fence.mark[0]}) around it, with a blank line below."
    ]


def cut_problems(scan: Scan, editable: Sequence[str]) -> list[str]:
    """What shows that a reply that was cut off lost an edit: it ends inside a fence or announces a block."""
    last = max((index for index, line in enumerate(scan.lines) if line.strip()), default=None)
    if last is None:
        return []
    is_open = bool(scan.fences) and scan.fences[-1].close is None
    announces = name_above(scan.lines, last + 1, last - 1, editable).path is not None
    if is_open or announces or scan.lines[last].lstrip().startswith("<<<<"):
        return ["The reply was cut off inside a block or a code fence, so an edit may be missing."]
    return []
