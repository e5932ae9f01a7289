"""SEARCH/REPLACE blocks, the edit format that the prompt asks for."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ai_sci.agent.edits.aider_parts import block_reader
from ai_sci.agent.edits.formats import Edit, EditFormat
from ai_sci.agent.edits.scan import DIVIDER, END, HEAD, Block, Named, Scan, name_above

MASK = "\ue000"  # a private-use character; starts a line that stands for another


class SearchReplaceBlocks(EditFormat):
    """Blocks with aider's markers, each below the name of its file."""

    def instructions(self, render: Callable[[str], str]) -> str:
        """prompts/edit_format.md."""
        return render("edit_format")

    def parse(self, reply: Scan, editable: Sequence[str]) -> list[Edit]:
        """An edit for each block; a code fence that ends inside a block is a problem."""
        edits: list[Edit] = []
        floor = -1
        for block in reply.blocks:
            named = name_above(reply.lines, block.head, floor, editable)
            search, new = _read_block(reply.lines, block)
            path = _block_path(named, edits[-1].path if edits else None, editable)
            edits.append(Edit("block", path, search, new, block.head + 1, doubled=block.doubled))
            if new.count("```") % 2 and not search.count("```") % 2 and _stray_fence(new):
                reply.problems.append(
                    f"The block at line {block.head + 1} of the reply closes its code fence before `>>>>>>> REPLACE`."
                )
            floor = block.end
        return edits


def _stray_fence(text: str) -> bool:
    """Whether the last line of the text is a bare code fence."""
    return text.rstrip().rsplit("\n", 1)[-1].strip() == "```"


def _block_path(named: Named, previous: str | None, editable: Sequence[str]) -> str | None:
    """A block without a name continues the previous block's file, unless the line above it mentions another."""
    if named.path is not None:
        return named.path
    if previous is not None and all(name == previous for name in named.mentions):
        return previous
    return editable[0] if len(editable) == 1 else None


def _read_block(lines: Sequence[str], block: Block) -> tuple[str, str]:
    """The SEARCH and the REPLACE text, from aider's parser. It takes any row of `=` for the divider and splits lines at
    form feeds and the like, so lines that it would misread are masked."""
    masked: list[str] = []

    def hide(line: str) -> str:
        if not _is_doubtful(line):
            return line
        masked.append(line)
        return f"{MASK}{len(masked) - 1}"

    def show(text: str) -> str:
        shown = (masked[int(line[1:])] if line.startswith(MASK) else line for line in text.split("\n"))
        return "\n".join(shown)

    search = [hide(line) for line in lines[block.head + 1 : block.divider]]
    new = [hide(line) for line in lines[block.divider + 1 : block.end - block.doubled]]
    plain = ["file.txt", "```", "<<<<<<< SEARCH", *search, "=======", *new, ">>>>>>> REPLACE", "```", ""]
    ((_, found_search, found_new),) = block_reader()("\n".join(plain), ("```", "```"), ["file.txt"])
    return show(found_search), show(found_new)


def _is_doubtful(line: str) -> bool:
    """Whether aider's parser could take the line for a marker or for two lines, or we could take it for a mask."""
    if line.startswith(MASK) or (line and line.splitlines() != [line]):
        return True
    return any(pattern.match(line.strip()) for pattern in (HEAD, DIVIDER, END))
