"""Reads unified diffs: each hunk becomes an edit placed by its text, since models get line numbers wrong."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ai_sci.agent.edits.aider_parts import diff_reader
from ai_sci.agent.edits.formats import Edit, EditFormat
from ai_sci.agent.edits.scan import Fence, Scan, fence_name

DIFF = {"diff", "patch", "udiff"}
GIT_HEADER = re.compile(
    r"(?:diff --git |index [0-9a-f]{4,}|(?:old|new|new file|deleted file) mode |similarity index |rename )"
)
NOTHING = "/dev/null"


class UnifiedDiffs(EditFormat):
    """Code fences with a diff. The prompt does not ask for them, but some models write nothing else."""

    def parse(self, reply: Scan, editable: Sequence[str]) -> list[Edit]:
        """An edit for each hunk of each diff."""
        edits: list[Edit] = []
        for fence in reply.fences:
            body = reply.lines[fence.open + 1 : fence.close]
            if not fence.taken and _is_diff(fence.info, body):
                fence.taken = True
                edits += _diff_edits(fence, body, fence_name(reply, fence, editable), reply.problems)
        return edits


def _is_diff(info: str, body: Sequence[str]) -> bool:
    """Whether a fence holds a diff to apply. A ```diff fence without file header and `@@` only illustrates."""
    language = info.split()[0].lower() if info.split() else ""
    first = next((index for index, line in enumerate(body) if line.strip() and not GIT_HEADER.match(line)), None)
    if first is not None and _is_header(body, first):
        return language in DIFF or not language
    return language in DIFF and any(line.startswith("@@") for line in body)


def _is_header(lines: Sequence[str], index: int) -> bool:
    """Whether a `---` line and a `+++` line start at `index`."""
    return index + 1 < len(lines) and lines[index].startswith("--- ") and lines[index + 1].startswith("+++ ")


def _diff_edits(fence: Fence, body: Sequence[str], name_above: str | None, problems: list[str]) -> list[Edit]:
    """The hunks of one fence. `name_above`: the file of a diff without `---` and `+++` lines."""
    where = f"The diff at line {fence.open + 1} of the reply"
    if fence.close is None:
        problems.append(f"{where} is not closed: the reply ends inside its code fence.")
        return []
    edits: list[Edit] = []
    for start, old, new, lines in _sections(body):
        path = _target(old, new) if new else name_above
        if path is None:
            problems.append(f"{where} names no file, or removes or renames one; it needs `--- a/NAME`, `+++ b/NAME`.")
            continue
        edits += hunk_edits(path, fence.open + 1 + start, lines, problems)
    return edits


def hunk_edits(path: str, start: int, lines: Sequence[str], problems: list[str]) -> list[Edit]:
    """An edit for each hunk in the lines, which start at index `start` of the reply."""
    edits: list[Edit] = []
    for offset, hunk in _hunks(lines):
        line = start + offset + 1
        before_after = _read_hunk(hunk)
        if before_after is None:
            problems.append(
                f"The hunk at line {line} of the reply cannot be read for certain. Its lines have to start with a "
                "space, `+` or `-`; a SEARCH/REPLACE block always works."
            )
        elif before_after[0] != before_after[1]:
            edits.append(Edit("hunk", path, *before_after, line))
    return edits


def _sections(body: Sequence[str]) -> list[tuple[int, str, str, list[str]]]:
    """(index of the first line, old name, new name, lines) for each file; the names are "" without a header."""
    heads = [index for index in range(len(body)) if _is_header(body, index) and _starts_file(body, index)]
    found = []
    if not heads or any(line.strip() and not GIT_HEADER.match(line) for line in body[: heads[0]]):
        found.append((0, "", "", list(body[: heads[0]] if heads else body)))
    for head, stop in zip(heads, [*heads[1:], len(body)], strict=False):
        found.append((head + 2, body[head][4:], body[head + 1][4:], list(body[head + 2 : stop])))
    return found


def _starts_file(body: Sequence[str], index: int) -> bool:
    """Whether a header is real: a removed `-- x` above an added `++ y` looks the same, but has text above it and no
    `@@` below."""
    nothing_above = not any(line.strip() and not GIT_HEADER.match(line) for line in body[:index])
    return nothing_above or "".join(body[index + 2 : index + 3]).startswith("@@")


def _target(old: str, new: str) -> str | None:
    """The file that `--- old` and `+++ new` name; None when it is removed or renamed."""
    old, new = _file_name(old), _file_name(new)
    return new if new != NOTHING and old in (new, NOTHING) else None


def _file_name(header: str) -> str:
    """The name in a header line, without quotes, time stamp and git's `a/` or `b/`."""
    name = header.split("\t")[0].strip().strip('`"')
    if name[:2] in ("a/", "b/"):
        name = name[2:]
    return name[2:] if name.startswith("./") else name


def _hunks(lines: Sequence[str]) -> list[tuple[int, list[str]]]:
    """(index of the first line, lines) of each hunk, without the `@@` line and trailing blank lines."""
    starts = [index for index, line in enumerate(lines) if line.startswith("@@")]
    if not starts or any(line.strip() and not GIT_HEADER.match(line) for line in lines[: starts[0]]):
        starts.insert(0, -1)
    found = []
    for start, stop in zip(starts, [*starts[1:], len(lines)], strict=True):
        hunk = [line for line in lines[start + 1 : stop] if not GIT_HEADER.match(line)]
        while hunk and not hunk[-1]:
            hunk.pop()
        if hunk:
            found.append((start + 1, hunk))
    return found


def _read_hunk(hunk: Sequence[str]) -> tuple[str, str] | None:
    """The text before and after; None when a line is neither context nor change, or aider's parser disagrees."""
    hunk = [line for line in hunk if not line.startswith("\\")]
    if any(line and (line[0] not in " +-" or line.splitlines() != [line]) for line in hunk):
        return None
    if any(
        line.startswith("+++ ") and (not index or hunk[index - 1].startswith("--- ")) for index, line in enumerate(hunk)
    ):
        return None  # aider's parser would take it for the next file
    before = "".join(f"{line[1:]}\n" for line in hunk if line[:1] != "+")
    after = "".join(f"{line[1:]}\n" for line in hunk if line[:1] != "-")
    if before == after:
        return before, after
    find_diffs, hunk_to_before_after = diff_reader()
    found = find_diffs("\n".join(["```diff", "--- a/file", "+++ b/file", "@@ @@", *hunk, "```", ""]))
    if [hunk_to_before_after(lines) for _, lines in found] != [(before, after)]:
        return None
    return before, after
