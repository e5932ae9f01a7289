"""Tells which file a block or a fence of a reply is about. Names are exact; nothing is guessed from likeness."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

FENCE = re.compile(r"\s*(`{3,}|~{3,})\s*([^`]*)$")
BULLET = re.compile(r"(?:[-+*]|\d{1,3}[.)])\s+")
LABEL = re.compile(r"(?:file ?name|file|path)\s*:\s*", re.IGNORECASE)
# A lone word with one of these endings is meant as a file. `CustomSAE.encode` above a block is not.
FILE_LIKE = re.compile(
    r"[^\s]*\.(?:py|pyi|ipynb|txt|md|rst|tex|json|jsonl|toml|ya?ml|cfg|ini|csv|tsv|sh|env|lock|c|h|cc|cpp|cu|js|ts|html|css)",
    re.IGNORECASE,
)
OUTSIDE = re.compile(r"(?:\.\.[\\/]|/|~/|[A-Za-z]:\\)\S+")
MOST_BLANK_LINES = 2
LONGEST_NAME_LINE = 300


@dataclass(frozen=True)
class Named:
    """What stands above a block: `path` as it is written, `mentions` of editable files in a line of prose."""

    path: str | None = None
    mentions: tuple[str, ...] = ()


def bare_name(line: str) -> str:
    """The line without Markdown's decoration: `# **experiment.py**:` is `experiment.py`."""
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
    return bool(FILE_LIKE.fullmatch(name) or OUTSIDE.fullmatch(name))


def name_above(lines: Sequence[str], index: int, floor: int, editable: Sequence[str]) -> Named:
    """Looks up from `index` for a name, over the opening fence and blank lines, but not past line `floor`.

    A fence that is closed again before `index` is only looked into for a line that is exactly an editable name: some
    models put the name in a fence of its own.
    """
    fences = blanks = 0
    for above in range(index - 1, floor, -1):
        line = lines[above]
        fence = FENCE.match(line)
        if fence:
            fences += 1
            named = name_in_info(fence.group(2), editable) if fences == 1 else None
            if named:
                return Named(named)
            if fences > 2:
                return Named()
        elif not line.strip():
            blanks += 1
            if blanks > MOST_BLANK_LINES:
                return Named()
        else:
            return read_name(line, editable, only_editable=fences > 1)
    return Named()


def read_name(line: str, editable: Sequence[str], only_editable: bool = False) -> Named:
    name = bare_name(line)
    if name in editable or (is_file_like(name) and not only_editable):
        return Named(name)
    if only_editable:
        return Named()
    return Named(mentions=tuple(known for known in editable if mentions(line, known)))


def mentions(line: str, name: str) -> bool:
    return re.search(rf"(?<![\w./\\-]){re.escape(name)}(?![\w/\\-]|\.\w)", line) is not None


def name_in_info(info: str, editable: Sequence[str]) -> str | None:
    """The file in a fence's info string: ```python experiment.py, ```python:experiment.py, ```experiment.py."""
    for word in re.split(r"[\s:={},]+", info):
        name = bare_name(word)
        if name in editable or is_file_like(name):
            return name
    return None
