"""Parses a reply with every edit format: its edits, in the order of the reply, and its prose.

The built-in formats are SEARCH/REPLACE blocks, patches from `*** Begin Patch` to `*** End Patch`, unified diffs (a
```diff fence with `---` and `+++` lines, or with a file's name above it), and whole files (a fence with the file's name
above it, in its info string or as its first line, and no markers inside). Anything else, shell commands above all, is
ignored. Other packages can add formats (`docs/extending.md`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache

from ai_sci.agent.edits.announcing import announced_edit
from ai_sci.agent.edits.blocks import SearchReplaceBlocks
from ai_sci.agent.edits.formats import Edit, EditFormat
from ai_sci.agent.edits.patch_envelope import PatchEnvelopes
from ai_sci.agent.edits.reasoning import fenced_drafts, part_reasoning
from ai_sci.agent.edits.scan import COMPLETED, Fence, Scan, name_above, scan_reply
from ai_sci.agent.edits.unified_diff import UnifiedDiffs
from ai_sci.agent.edits.whole_file import WholeFiles
from ai_sci.experiment.base import ConfigError, installed_plugins, make_plugin

_OURS: tuple[EditFormat, ...] = (SearchReplaceBlocks(), PatchEnvelopes(), UnifiedDiffs(), WholeFiles())


@cache
def load_edit_formats() -> tuple[EditFormat, ...]:
    """All formats; plugins (`ai_sci.edit_formats`) first, since ours read whatever looks like a file.

    Raises ConfigError when a plugin cannot be loaded or constructed, or is not an EditFormat.
    """
    installed = []
    for entry in installed_plugins("ai_sci.edit_formats").values():
        made = make_plugin(entry)
        if not isinstance(made, EditFormat):
            raise ConfigError(
                f"{entry.value} ({entry.group}: {entry.name}) is not an EditFormat: see docs/extending.md"
            )
        installed.append(made)
    return (*installed, *_OURS)


@cache  # also a failure, which would be repeated for every reply of a journal
def _formats_for_reading() -> tuple[EditFormat, ...]:
    """All formats, or ours alone where a plugin is broken: a report needs none of them."""
    try:
        return load_edit_formats()
    except ConfigError:
        return _OURS


def edit_instructions(render: Callable[[str], str]) -> str:
    """How to write edits, for the prompt; `render("NAME")` is the text of prompts/NAME.md."""
    ours_first = sorted(load_edit_formats(), key=lambda one: not isinstance(one, SearchReplaceBlocks))
    return "\n\n".join(text for one in ours_first if (text := one.instructions(render)))


@dataclass(frozen=True)
class Parsed:
    """`problems`: a sentence for everything ambiguous."""

    edits: list[Edit]
    problems: list[str]


def parse_reply(text: str, editable: Sequence[str], cut_off: bool = False) -> Parsed:
    """The edits of a reply, if any, none from its reasoning. `cut_off`: the model reached its output limit."""
    parted = part_reasoning(text)
    scan = scan_reply(parted.text)
    edits = [edit for one in load_edit_formats() for edit in one.parse(scan, editable)]
    scan.problems += fenced_drafts(scan)
    if parted.doubt and (edits or _says_completed(scan)):
        scan.problems.append(parted.doubt)
    if cut_off:
        scan.problems += _cut_problems(scan, editable)
    if edits and not scan.problems and (said := announced_edit(scan, editable, cut_off)):
        scan.problems.append(f"The reply ends with `{said[-80:]}`, and the edit that this announces is missing.")
    edits = [replace(edit, number=number) for number, edit in enumerate(sorted(edits, key=lambda edit: edit.line), 1)]
    return Parsed(edits, scan.problems)


def all_completed(text: str) -> bool:
    """Whether the reply says `ALL_COMPLETED` on a line of its own, outside blocks and reasoning; or alone in a code
    fence that no sentence leads to, such as `At the end I write:`."""
    return _says_completed(scan_reply(part_reasoning(text).text))


def _says_completed(scan: Scan) -> bool:
    if any(COMPLETED.match(scan.lines[index].strip()) for index in scan.free):
        return True
    return any(_is_completed_fence(scan, fence) for fence in scan.fences)


def _is_completed_fence(scan: Scan, fence: Fence) -> bool:
    body = "\n".join(scan.lines[fence.open + 1 : fence.close])
    if fence.taken or not COMPLETED.match(body.strip()):
        return False
    above = "\n".join(scan.lines[: fence.open]).rstrip()
    return not re.search(r"[\w:,]$", above)


def _cut_problems(scan: Scan, editable: Sequence[str]) -> list[str]:
    """Why a truncated reply may have lost an edit: it ends inside a fence or announces a block."""
    last = max((index for index, line in enumerate(scan.lines) if line.strip()), default=None)
    if last is None:
        return []
    is_open = bool(scan.fences) and scan.fences[-1].close is None
    announces = name_above(scan.lines, last + 1, last - 1, editable).path is not None
    if is_open or announces or scan.lines[last].lstrip().startswith("<<<<"):
        return ["The reply was cut off inside a block or a code fence, so an edit may be missing."]
    return []


def prose_of(text: str, most: int) -> str:
    """The reply without its edits and code fences, cut between words to `most` characters."""
    scan = scan_reply(text)
    prose = re.sub(r"\n{3,}", "\n\n", "\n".join(scan.lines[index] for index in _prose(scan)).strip())
    return prose if len(prose) <= most else f"{prose[:most].rsplit(None, 1)[0]} …"


def edits_of(text: str) -> str:
    """The opposite of `prose_of`: the edits and code fences of the reply, verbatim."""
    scan = scan_reply(text)
    prose = set(_prose(scan))
    return "\n".join(line for index, line in enumerate(scan.lines) if index not in prose).strip()


def _prose(scan: Scan) -> list[int]:
    markup = {index for one in _formats_for_reading() for index in one.markup(scan)}
    return [index for index in scan.free if index not in markup]
