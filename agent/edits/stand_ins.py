"""Whether an edit replaces code by a line that only refers to it, such as `# (rest of the loop unchanged)`.

Decided by what the edit does: code is deleted, and in its place stands a comment, dots or something in brackets. How
plainly that line has to refer to left-out code depends on what else is put there: alone in place of several lines, or
below a few that come for many, any short comment stands for them that says no reason and is not about the code below
it; where as much code comes, a comment has to speak of little else. A line that was there before passes, and so does
one in whose place nothing is deleted, or only moved.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from ai_sci.agent.edits.formats import lines_of
from ai_sci.agent.edits.references import Reference, is_code, names_left_out, reference


@dataclass(frozen=True)
class StandIn:
    """A line that stands for deleted code. `index`: among the lines of the new text; `lost`: the first deleted one."""

    index: int
    text: str
    lost: str


@dataclass(frozen=True)
class _Change:
    """Lines that go, and the indices of the lines that come in their place."""

    gone: list[str]
    come: list[int]


def find_stand_in(old: str, new: str, path: str, whole: bool = False) -> StandIn | None:
    """The first line of `new` that stands for code which is in `old` and no longer in `new`.

    `whole`: `new` is to be all of the file, so that dots which name what is left out need not replace anything.
    """
    after = lines_of(new)
    before = {line.strip() for line in lines_of(old)}
    fresh = [index for index, line in enumerate(after) if line.strip() not in before]
    code = {line for line in before if is_code(line, path)}
    fresh = [index for index in fresh if after[index].strip(" \t#/") not in code]  # such as `# import os`
    found = {index: level for index in fresh if (level := reference(after, index, path))}
    if not found:
        return None
    changes = _changes(lines_of(old), after)
    moved = {after[index].strip() for change in changes for index in change.come}
    lost = [line for change in changes for line in change.gone if is_code(line, path)]
    gained = sum(is_code(after[index], path) for change in changes for index in change.come)
    for change in changes:
        deleted = [line for line in change.gone if is_code(line, path) and line not in moved]
        inserted = sum(is_code(after[index], path) for index in change.come)
        for index in change.come:
            least = _least_reference(len(deleted), inserted, len(change.come), index == change.come[-1])
            if not deleted and len(lost) > gained:  # the code stood elsewhere in what is replaced
                deleted, least = lost, Reference.plain
            if deleted and found.get(index, Reference.none) >= least:
                return StandIn(index, after[index].strip(), deleted[0].strip())
    named = [index for index in found if whole and names_left_out(after[index])]
    return StandIn(named[0], after[named[0]].strip(), "") if named else None


def _least_reference(deleted: int, inserted: int, come: int, is_last: bool) -> Reference:
    """How plainly a line has to refer to code where so many lines of code go, and of code and in all come."""
    if is_last and deleted - inserted > 2:
        return Reference.heading
    if inserted:
        return Reference.ambiguous if inserted < deleted else Reference.likely
    return Reference.label if deleted > 1 and come == 1 else Reference.possible


def _changes(before: Sequence[str], after: Sequence[str]) -> list[_Change]:
    """The places where the texts differ; blank lines are ignored."""
    old = [line.strip() for line in before if line.strip()]
    indices = [index for index, line in enumerate(after) if line.strip()]
    codes = SequenceMatcher(None, old, [after[index].strip() for index in indices]).get_opcodes()
    return [_Change(old[i1:i2], indices[j1:j2]) for tag, i1, i2, j1, j2 in codes if tag != "equal"]
