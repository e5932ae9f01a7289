"""Reads patches between `*** Begin Patch` and `*** End Patch`, which some models are trained to write."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ai_sci.agent.edits.formats import Edit, EditFormat, lone_names
from ai_sci.agent.edits.scan import Scan
from ai_sci.agent.edits.unified_diff import hunk_edits

BEGIN = re.compile(r"(?P<indent>\s*)\*\*\*\s?Begin Patch\s*$", re.IGNORECASE)
END = re.compile(r"\s*\*\*\*\s?End Patch\s*$", re.IGNORECASE)
SECTION = re.compile(r"\*\*\*\s?(?P<what>Add|Update|Delete) File: *(?P<path>.*\S)\s*$")
END_OF_FILE = "*** End of File"


class PatchEnvelopes(EditFormat):
    """Patches in a code fence or without one. The prompt does not ask for them."""

    def parse(self, reply: Scan, editable: Sequence[str]) -> list[Edit]:
        """An edit for each hunk, and one for each new file."""
        edits: list[Edit] = []
        for begin, end in find_envelopes(reply):
            for fence in reply.fences:
                fence.taken |= fence.open < begin < (fence.close or len(reply.lines))
            if end is None:
                reply.problems.append(f"The patch at line {begin + 1} of the reply is not closed by `*** End Patch`.")
            else:
                edits += _patch_edits(reply, begin, end)
        return edits

    def markup(self, reply: Scan) -> set[int]:
        """The lines of each patch."""
        ends = ((begin, len(reply.lines) if end is None else end + 1) for begin, end in find_envelopes(reply))
        return lone_names(reply) | {index for begin, end in ends for index in range(begin, end)}


def find_envelopes(reply: Scan) -> list[tuple[int, int | None]]:
    """(first line, last line) of each patch outside SEARCH/REPLACE blocks; the last is None where none closes it."""
    inside = {index for block in reply.blocks for index in range(block.head, block.end)}
    found: list[tuple[int, int | None]] = []
    for index, line in enumerate(reply.lines):
        if BEGIN.match(line) and index not in inside:
            found.append((index, None))
        elif found and found[-1][1] is None and END.match(line):
            found[-1] = (found[-1][0], index)
    return found


def _patch_edits(reply: Scan, begin: int, end: int) -> list[Edit]:
    """The edits of one patch."""
    found = BEGIN.match(reply.lines[begin])
    indent = found["indent"] if found else ""  # as in a list
    body = [line.removeprefix(indent) for line in reply.lines[:end]]
    heads = [index for index in range(begin + 1, end) if SECTION.match(body[index])]
    edits: list[Edit] = []
    if not heads:
        reply.problems.append(f"The patch at line {begin + 1} of the reply names no file (`*** Update File: NAME`).")
    for head, stop in zip(heads, [*heads[1:], end], strict=False):
        section = SECTION.match(body[head])
        assert section is not None
        lines = [line for line in body[head + 1 : stop] if line.rstrip() != END_OF_FILE]
        path = section["path"].strip("`").removeprefix("./")
        moves = bool(lines) and lines[0].startswith("*** Move to:")
        if section["what"] == "Delete" or moves:
            reply.problems.append(
                f"Line {head + 1} of the reply removes or renames `{path}`; only texts can be changed."
            )
        elif section["what"] == "Add":
            edits.append(Edit("hunk", path, "", "".join(f"{line.removeprefix('+')}\n" for line in lines), head + 1))
        else:
            edits += hunk_edits(path, head + 1, lines, reply.problems)
    return edits
