"""Computes the editable files after a reply: all of its edits are applied or, with reasons, none. Touches no file.

`plan_edits` and `plan_files` decide what is refused. Parsing, matching and checking report each fault as a sentence,
and a single one refuses the whole reply. The rules, for every edit format:
- Only editable files, by their exact names. A block without a name continues the previous block's file; if it is the
  first, it is for the only editable file that contains its SEARCH part, once.
- Edits are applied in the order of the reply, each to the result of those before it.
- A SEARCH part has to mean one place (match.py); an empty one starts a file that is missing or empty.
- A file cannot be emptied, and cannot be given both whole and in pieces in one reply.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ai_sci.agent.edits.files import EditRefused
from ai_sci.agent.edits.formats import Edit, lines_of
from ai_sci.agent.edits.match import NoLocation, replace_once, runs, split_ends
from ai_sci.agent.edits.parse import parse_reply
from ai_sci.agent.edits.references import PROSE
from ai_sci.agent.edits.stand_ins import find_stand_in
from ai_sci.agent.edits.whole_file import is_quotation, why_not_whole

BYTE_ORDER_MARK = "\ufeff"


@dataclass(frozen=True)
class EditPlan:
    """`new_files`: the changed texts, if any. `blocks`: how many edits the reply has."""

    new_files: dict[str, str]
    blocks: int


def plan_edits(reply: str, files: Mapping[str, str], editable: Sequence[str], cut_off: bool = False) -> EditPlan:
    """Apply the edits of a reply to the texts of the existing editable files, in memory.

    `cut_off`: the model reached its output limit. Raises EditRefused with a reason for every edit that fails.
    """
    parsed = parse_reply(reply, editable, cut_off)
    _refuse_if(parsed.problems + _unstorable(parsed.edits) + _foreign(parsed.edits, editable))
    edits = [edit for edit in parsed.edits if not _is_quoted(edit, files)]
    edits = [edit for edit in edits if not _is_excerpt(edit, edits, files)]
    texts, reasons = _apply_edits(edits, files, editable)
    _refuse_if(_mixed(edits) + reasons + _emptied(texts, files))
    changed = _changed(texts, files)
    _refuse_if(_left_out(changed, files) if len(edits) > 1 else [])
    return EditPlan(changed, len(edits))


def plan_files(new_files: Mapping[str, str], files: Mapping[str, str], editable: Sequence[str]) -> EditPlan:
    """The plan for an editor that returns whole files instead of edits. Raises EditRefused."""
    _refuse_if(_not_text(new_files))
    new = _changed(new_files, files)
    reasons = [f"`{name}` may not be edited. Editable: {_name_list(editable)}." for name in new if name not in editable]
    for name, text in new.items():
        added = "".join(set(text) - set(files.get(name, "")))  # a file that is not UTF-8 may keep the bytes it has
        reasons += [] if _is_storable(added) else [f"{name} has characters that no file can have."]
        stand_in = find_stand_in(files.get(name, ""), text, name)
        reasons += [f"{name} leaves lines out (`{stand_in.text[:80]}`). Write them all."] if stand_in else []
    _refuse_if(reasons + _emptied(new, files))
    return EditPlan(new, len(new))


def _refuse_if(reasons: list[str]) -> None:
    """Raise EditRefused if there is any reason to."""
    if reasons:
        raise EditRefused(reasons)


def _apply_edits(
    edits: Sequence[Edit], files: Mapping[str, str], editable: Sequence[str]
) -> tuple[dict[str, str], list[str]]:
    """All texts after the edits, and a reason for each edit that could not be applied."""
    texts, reasons = dict(files), []
    for edit in edits:
        try:
            path = edit.path or _only_file(edit, texts, editable)
            texts[path] = _applied(edit, path, texts.get(path))
        except NoLocation as reason:
            below = _hint(edit, files, texts) or reason.lines
            reasons.append(f"{edit.label}: {reason}" + (f"\n{below}" if below else ""))
    return texts, reasons


def _changed(texts: Mapping[str, str], files: Mapping[str, str]) -> dict[str, str]:
    """The texts that differ from `files`."""
    return {name: text for name, text in texts.items() if text != files.get(name, "")}


# --- what is wrong with edits -----------------------------------------------------------------------------------------


def _unstorable(edits: Sequence[Edit]) -> list[str]:
    """A reason for each edit with characters that cannot be written."""
    return [f"{edit.label} has characters that no file can have." for edit in edits if not _is_storable(edit.replace)]


def _not_text(new_files: Mapping[str, object]) -> list[str]:
    """A reason for each file whose new content is not text: the journal holds whatever an editor returned."""
    return [f"The new {name} is not text." for name, text in new_files.items() if not isinstance(text, str)]


def _is_storable(text: str) -> bool:
    """No lone surrogates (valid in JSON, not in UTF-8) and no NUL, which Python does not accept in source."""
    return "\0" not in text and not any("\ud800" <= char <= "\udfff" for char in text)


def _foreign(edits: Sequence[Edit], editable: Sequence[str]) -> list[str]:
    """A reason for each edit of a file that is not editable."""
    others = [edit for edit in edits if edit.path is not None and edit.path not in editable]
    return [
        f"{edit.label} is for `{edit.path}`, which may not be edited. Editable: {_name_list(editable)}."
        for edit in others
    ]


def _emptied(texts: Mapping[str, str], files: Mapping[str, str]) -> list[str]:
    """A reason for each file that would lose all of its text."""
    names = [name for name, text in texts.items() if not text.strip() and files.get(name, "").strip()]
    return [f"The edits leave nothing of {name}." for name in names]


def _left_out(changed: Mapping[str, str], files: Mapping[str, str]) -> list[str]:
    """A reason for each file in which one edit deletes code and another puts a line there that stands for it."""
    found = {path: find_stand_in(files.get(path, ""), text, path) for path, text in changed.items()}
    return [
        f"The edits leave lines of {path} out. A line of theirs, `{stand_in.text[:80]}`, would take the place of code "
        f"such as `{stand_in.lost[:80]}`. Write all of the code, or leave that line out."
        for path, stand_in in found.items()
        if stand_in
    ]


def _name_list(names: Sequence[str]) -> str:
    """The names for a message."""
    return ", ".join(names) if names else "(none)"


def _is_quoted(edit: Edit, files: Mapping[str, str]) -> bool:
    """Whether a fence read as a whole file only quotes the file."""
    return edit.kind == "whole" and is_quotation(edit.replace, files.get(edit.path or "", ""))


def _is_excerpt(edit: Edit, edits: Sequence[Edit], files: Mapping[str, str]) -> bool:
    """Whether a fence that names a file in its first line is only a piece of it, or of what is edited elsewhere."""
    if not edit.name_line:
        return False
    others = any(other.path == edit.path for other in edits if other is not edit)
    return others or why_not_whole(edit.path or "", edit.replace, files.get(edit.path or "")) is not None


def _mixed(edits: Sequence[Edit]) -> list[str]:
    """A reason for each file given whole and then again, whole or in pieces: which one is meant is ambiguous."""
    reasons = []
    for path in dict.fromkeys(edit.path for edit in edits if edit.kind == "whole"):
        count = sum(edit.path == path for edit in edits)
        if count > 1:
            reasons.append(f"The reply gives {path} whole and edits it {count - 1} more times: send one or the other.")
    return reasons


def _only_file(edit: Edit, texts: Mapping[str, str], editable: Sequence[str]) -> str:
    """The file of a block that names none: the only one that contains its SEARCH part, once. Raises NoLocation."""
    search = lines_of(edit.search)
    counts = {name: len(runs(split_ends(texts.get(name, ""))[0], search)) if search else 0 for name in editable}
    found = [name for name, count in counts.items() if count]
    if len(found) == 1 and counts[found[0]] == 1:
        return found[0]
    names = _name_list(editable)
    raise NoLocation(f"no file is named. Put one of these names alone on the line before its fence: {names}.")


def _applied(edit: Edit, path: str, text: str | None) -> str:
    """The file's text after the edit; `text` is None for a missing file. Raises NoLocation."""
    if text and text.startswith(BYTE_ORDER_MARK):
        return BYTE_ORDER_MARK + _applied(edit, path, text.removeprefix(BYTE_ORDER_MARK))
    part = "its SEARCH part" if edit.kind == "block" else "its old part"
    if edit.kind == "whole":
        why = why_not_whole(path, edit.replace, text)
        if why:
            raise NoLocation(f"this is not the whole of {path}: {why}. Send SEARCH/REPLACE blocks, or all of the file.")
        keeps_name = bool(edit.name_line) and (text or "").startswith(edit.name_line)
        return _with_ends_of(f"{edit.name_line}\n{edit.replace}" if keeps_name else edit.replace, text)
    if not edit.search.strip():
        if text is None or not text.strip():
            return _with_ends_of(edit.replace, text)
        if edit.kind == "hunk":
            raise NoLocation(f"it only adds lines, with none around them that tell where in {path} they belong.")
        raise NoLocation(f"{part} is empty, which only starts a new file, and {path} has {len(lines_of(text))} lines.")
    if text is None:
        raise NoLocation(f"{path} does not exist yet, so that its SEARCH part has to be empty.")
    if edit.doubled and (path.endswith(PROSE) or any(line.strip() == "=======" for line in lines_of(text))):
        raise NoLocation(
            "it has `=======` 2 times, so where its SEARCH part ends cannot be told. Leave such lines of the file out "
            "of the block, or send the whole file."
        )
    stand_in = find_stand_in(edit.search, edit.replace, path)
    if stand_in:
        raise NoLocation(
            f"what replaces it leaves lines out. Its line {stand_in.index + 1}, `{stand_in.text[:80]}`, would take the "
            f"place of code such as `{stand_in.lost[:80]}`. Write all of the code, or keep it out of the {edit.kind}."
        )
    try:
        return replace_once(text, edit.search, edit.replace, path)
    except NoLocation as reason:
        raise NoLocation(f"{part} {reason}", reason.lines) from None


def _with_ends_of(new: str, text: str | None) -> str:
    """The new text, with CR LF line ends if the old text has them."""
    return new.replace("\n", "\r\n") if text and "\r\n" in text else new


def _hint(edit: Edit, files: Mapping[str, str], texts: Mapping[str, str]) -> str:
    """Where a SEARCH part was or is instead, when it was not found where it should be; "" if nowhere."""
    search, new = lines_of(edit.search), lines_of(edit.replace)
    if edit.kind == "whole" or not edit.search.strip() or edit.path is None:
        return ""
    now, before = split_ends(texts.get(edit.path, ""))[0], split_ends(files.get(edit.path, ""))[0]
    if runs(now, search):
        return ""
    if runs(before, search):
        return (
            "  It was there before the edits above it in this reply: each edit is applied to what those before it left."
        )
    if edit.replace.strip() and len(there := runs(now, new)) == 1:
        return f"  What should replace it is already there, at line {there[0] + 1}."
    others = [name for name, text in texts.items() if name != edit.path and runs(split_ends(text)[0], search)]
    return f"  It is in {_name_list(others)}." if others else ""
