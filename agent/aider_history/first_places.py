"""Says in a block which of several places it means, as aider took it: the first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ai_sci.agent.edits import Edit, NoLocation, parse_reply, replace_once, scan_reply


def at_first_places(reply: str, files: Mapping[str, str]) -> str:
    """The reply, with lines of the file added above each SEARCH part that is in it more than once. `files` are the
    texts that the reply finds."""
    texts, scan = dict(files), scan_reply(reply)
    blocks = {block.head: block for block in scan.blocks}
    added: dict[int, list[str]] = {}  # by the index of the line that they follow
    for edit in parse_reply(reply, list(files)).edits:
        block = blocks.get(edit.line - 1)
        if block is None or edit.path not in texts or not edit.search.strip():
            continue
        above = _lines_above(texts[edit.path].split("\n"), edit)
        if above:
            added |= {block.head: above, block.divider: above}
        texts[edit.path] = _applied(texts[edit.path], edit, above)
    return "\n".join("\n".join([line, *added.get(index, [])]) for index, line in enumerate(scan.lines))


def _lines_above(lines: Sequence[str], edit: Edit) -> list[str]:
    """The fewest lines above the first place that tell it from the others; none if there is one place, or no way."""
    search = edit.search.removesuffix("\n").split("\n")
    places = _places(lines, search)
    if len(places) < 2:
        return []
    first = places[0]
    for begin in range(first - 1, -1, -1):
        above = list(lines[begin:first])
        if len(_places(lines, [*above, *search])) == 1:
            return above
    return []


def _places(lines: Sequence[str], search: Sequence[str]) -> list[int]:
    return [i for i in range(len(lines) - len(search) + 1) if list(lines[i : i + len(search)]) == list(search)]


def _applied(text: str, edit: Edit, above: Sequence[str]) -> str:
    """The text after the edit, for those below it; unchanged where it will be refused."""
    before = "".join(f"{line}\n" for line in above)
    try:
        return replace_once(text, before + edit.search, before + edit.replace, edit.path or "")
    except NoLocation:
        return text
