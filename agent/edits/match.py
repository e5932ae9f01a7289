"""Finds the one place in a file that a SEARCH text means, or says why there is none.

Matching is tried exactly, then ignoring white space at line ends, then with the whole text's indentation shifted. The
first way that finds anything has to find exactly one place; nothing fuzzier is tried. aider's own matcher takes the
first of several places, and corrupts a REPLACE line that is indented less than its SEARCH part: SEARCH `    foo()`,
REPLACE `bar()` on a file with `foo()` gives `fobar()`. So places are found here, and aider's function only replaces.
"""

from __future__ import annotations

import difflib
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from ai_sci.agent.edits.aider_parts import line_replacer
from ai_sci.agent.edits.formats import lines_of

MOST_SHOWN = 12  # lines of a file in one refusal
MOST_COMPARED = 2000  # lines of a SEARCH text compared to find the nearest place
MOST_REPEATS = 20  # a line more frequent than this in the file does not help to locate a place


class NoLocation(Exception):
    """The text is not in the file, or more than once. `lines`: the nearest lines of the file, numbered."""

    def __init__(self, message: str, lines: str = "") -> None:
        super().__init__(message)
        self.lines = lines


@dataclass(frozen=True)
class Location:
    """Lines `start` to `stop` (indices, `stop` exclusive) of a file, and the lines that replace them."""

    start: int
    stop: int
    lines: list[str]


def split_ends(text: str) -> tuple[list[str], list[str]]:
    """The lines of a text and their ends: LF, CR LF, or nothing for a last line without one."""
    lines, ends = [], []
    for line in text.split("\n"):
        carriage = line.endswith("\r")
        lines.append(line[:-1] if carriage else line)
        ends.append("\r\n" if carriage else "\n")
    last = lines.pop() + ("\r" if ends.pop() == "\r\n" else "")
    if last:
        lines.append(last)
        ends.append("")
    return lines, ends


def replace_once(text: str, search: str, new: str, path: str) -> str:
    """`text` with the one place that `search` means replaced; all other lines stay the same, line ends included.

    Raises NoLocation.
    """
    lines, ends = split_ends(text)
    place = _find_location(lines, lines_of(search), lines_of(new), path)
    old = [line + end for line, end in zip(lines, ends, strict=True)]
    line_end = ends[place.start] or Counter(ends).most_common(1)[0][0] or "\n"
    put = [line + line_end for line in place.lines]
    if put and ends[place.stop - 1] == "":
        put[-1] = place.lines[-1]
    return line_replacer()(old, old[place.start : place.stop], put)


def _find_location(lines: Sequence[str], search: Sequence[str], new: Sequence[str], path: str) -> Location:
    """The one place that `search` means, with `new` indented to match the file. Raises NoLocation."""
    size = len(search)
    for clean in (str, str.rstrip):
        starts = runs([clean(line) for line in lines], [clean(line) for line in search])
        if starts:
            return Location(_only(starts, path), starts[0] + size, list(new))
    aligned = runs([line.strip() for line in lines], [line.strip() for line in search])
    shifts = {start: _shift(lines[start : start + size], search) for start in aligned}
    starts = [start for start, found in shifts.items() if found is not None]
    if not starts:
        raise _nowhere(lines, search, aligned, path)
    start = _only(starts, path)
    shifted = _shift_lines(new, *(shifts[start] or ("", "")))
    if shifted is None:
        raise NoLocation(
            f"is indented more than lines {start + 1}-{start + size} of {path}, which it matches, and what replaces it "
            "is not: indent both as the file does."
        )
    return Location(start, start + size, shifted)


def runs(lines: Sequence[str], part: Sequence[str]) -> list[int]:
    """The indices at which `part` starts in `lines`, overlaps included."""
    size = len(part)
    return [
        start
        for start in range(len(lines) - size + 1)
        if lines[start] == part[0] and list(lines[start : start + size]) == list(part)
    ]


def _only(starts: Sequence[int], path: str) -> int:
    """The single element of `starts`. Raises NoLocation when there are several."""
    if len(starts) > 1:
        places = ", ".join(str(start + 1) for start in starts[:10]) + (", …" if len(starts) > 10 else "")
        raise NoLocation(
            f"means {len(starts)} places in {path}, at lines {places}: add lines around it until there is one."
        )
    return starts[0]


def _shift(lines: Sequence[str], search: Sequence[str]) -> tuple[str, str] | None:
    """(white space to remove, white space to add) that turns every line of `search` into the file's."""
    found: set[tuple[str, str]] = set()
    for line, wanted in zip(lines, search, strict=True):
        if not wanted.strip():
            continue
        here, there = _indent(line), _indent(wanted)
        if here.endswith(there):
            found.add(("", here[: len(here) - len(there)]))
        elif there.endswith(here):
            found.add((there[: len(there) - len(here)], ""))
        else:
            return None
    return found.pop() if len(found) == 1 else None


def _indent(line: str) -> str:
    """The white space that the line starts with."""
    return line[: len(line) - len(line.lstrip())]


def _shift_lines(lines: Sequence[str], take: str, put: str) -> list[str] | None:
    """The lines with `take` removed and `put` added at the start; None when one does not start with `take`."""
    if any(line.strip() and not line.startswith(take) for line in lines):
        return None
    return [put + line[len(take) :] if line.strip() else line for line in lines]


def _nowhere(lines: Sequence[str], search: Sequence[str], aligned: Sequence[int], path: str) -> NoLocation:
    """Why the text was not found, with the nearest lines of the file."""
    if aligned:
        start, stop = aligned[0], aligned[0] + len(search)
        return NoLocation(
            f"is not in {path}: lines {start + 1}-{stop} have the same text with other indentation (tabs, spaces?).",
            _shown(lines, search, start),
        )
    filled = [line.rstrip() for line in lines if line.strip()]
    if runs(filled, [line.rstrip() for line in search if line.strip()]):
        why = f"is not in {path}: it differs in a blank line. Leave blank lines at its edges out, and keep all others."
        return NoLocation(why, _shown(lines, search, _nearest(lines, search) or 0))
    known = {line.strip() for line in lines}
    strange = next((index for index, line in enumerate(search) if line.strip() and line.strip() not in known), None)
    why = "" if strange is None else f": its line {strange + 1}, `{search[strange].strip()[:80]}`, is nowhere there"
    start = _nearest(lines, search)
    if start is None:
        return NoLocation(f"is not in {path}{why}.")
    return NoLocation(
        f"is not in {path}{why}.", f"  Nearest lines there (█: not in the SEARCH part):\n{_shown(lines, search, start)}"
    )


def _nearest(lines: Sequence[str], search: Sequence[str]) -> int | None:
    """The start where most lines of `search` match; if none does, where its longest line is on a similar one."""
    places: dict[str, list[int]] = defaultdict(list)
    for index, line in enumerate(lines):
        places[line.strip()].append(index)
    votes: Counter[int] = Counter()
    for index, line in enumerate(search[:MOST_COMPARED]):
        text = line.strip()
        if text and len(places.get(text, ())) <= MOST_REPEATS:
            for place in places.get(text, ()):
                votes[place - index] += min(len(text), 40)
    if votes:
        best = max(votes.values())
        return min(offset for offset, count in votes.items() if count == best)
    longest = max(range(len(search)), key=lambda index: len(search[index].strip()))
    texts = [line.strip()[:200] for line in lines if line.strip()]
    alike = difflib.get_close_matches(search[longest].strip()[:200], list(dict.fromkeys(texts))[:MOST_COMPARED], n=1)
    if not alike:
        return None
    return next(index for index, line in enumerate(lines) if line.strip()[:200] == alike[0]) - longest


def _shown(lines: Sequence[str], search: Sequence[str], start: int) -> str:
    """Numbered lines of the file around the first one that is not in `search`; `█` marks those lines."""
    wanted = {line.rstrip() for line in search}
    first, last = max(start, 0), min(start + len(search), len(lines))
    other = [index for index in range(first, last) if lines[index].rstrip() not in wanted]
    if last - first > MOST_SHOWN:
        first = min(max(first, (other[0] if other else first) - MOST_SHOWN // 2), last - MOST_SHOWN)
        last = first + MOST_SHOWN
    rows = [f"  {index + 1:4}{'█' if index in other else '│'}{lines[index][:200]}" for index in range(first, last)]
    return "\n".join(rows)
