"""What a replay plays of a session: the replies with the edits that aider applied, up to the writing-up, and the
notes.txt that they found.

A session of AI-Scientist's and one of ours go through the same phases, but they count otherwise: a reply that it
answered with a lint report or a traceback may be accepted here. So the limits are raised to what the replies need, and
the end of its experiments is told in the word that we know.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from dataclasses import dataclass

from ai_sci.agent.aider_history.ai_scientist import Phase, phases, run_reports, task_of
from ai_sci.agent.aider_history.tool_lines import has_added_files
from ai_sci.agent.aider_history.turns import HistorySession, HistoryTurn, TurnKind
from ai_sci.agent.edits import (
    Edit,
    NoLocation,
    all_completed,
    lone_names,
    parse_reply,
    replace_once,
    scan_reply,
)

_NOTES = "notes.txt"
_FILES = ("experiment.py", "plot.py", _NOTES)  # those of every session of AI-Scientist's
_MODULE = re.compile(r"[A-Za-z_]\w*\.py")
_WINDOWS_NAME = re.compile(r"^[\w.-]+(?:\\[\w.-]+)+(?=\n(?:```|~~~|<\w+>))", re.MULTILINE)  # above a fence
_COMPLETED = "ALL_COMPLETED"


@dataclass(frozen=True)
class Playback:
    """`notes`: the notes.txt at the start, "" if none was written. `created`: the modules that the replies create.
    `max_runs` and `max_failures`: the least that lets all replies be played, None for a chat without AI-Scientist.
    `left_out`: the turns of the writing-up."""

    turns: tuple[HistoryTurn, ...]
    notes: str = ""
    created: tuple[str, ...] = ()
    max_runs: int | None = None
    max_failures: int | None = None
    left_out: tuple[HistoryTurn, ...] = ()


def playback_of(session: HistorySession) -> Playback:
    """What to play of the session."""
    following = dict(zip(session.turns, session.turns[1:]))
    replies = [turn for turn in session.replies if not _is_superseded(turn, following.get(turn))]
    task, of = task_of(session), phases(session)
    if task is None:
        turns = tuple(map(_as_applied, replies))
        return Playback(turns, _notes("", turns), _created(turns))
    experiments = [_as_applied(turn) for turn in replies if of[turn.number] is Phase.experiments]
    closing = [_as_applied(turn) for turn in replies if of[turn.number] in (Phase.plots, Phase.notes)]
    turns = (*_with_end(experiments, has_ended=len(experiments) < len(replies)), *closing)
    return Playback(
        turns,
        _notes(task.notes, turns),
        _created(turns),
        sum(bool(turn.blocks or turn.applied) for turn in experiments) + 1,
        max(_longest_series(session, experiments), len(closing)) + 1,
        tuple(turn for turn in replies if of[turn.number] is Phase.write_up),
    )


def _is_superseded(turn: HistoryTurn, following: HistoryTurn | None) -> bool:
    """Whether aider edited nothing and asked again, with files that the reply mentions added to the chat."""
    again = following is not None and following.kind is TurnKind.reflection and bool(following.reply)
    return again and bool(turn.blocks) and not (turn.has_edited or turn.refused) and has_added_files(turn.tools)


def _with_end(experiments: Sequence[HistoryTurn], has_ended: bool) -> list[HistoryTurn]:
    """The replies up to the end of the experiments, which AI-Scientist finds in any text, or decides itself."""
    if not experiments:
        return []
    last = experiments[-1]
    if not has_ended and _COMPLETED not in last.reply or (all_completed(last.reply) and not last.blocks):
        return list(experiments)
    return [*experiments, HistoryTurn(last.number, TurnKind.user, "", _COMPLETED)]


def _longest_series(session: HistorySession, experiments: Sequence[HistoryTurn]) -> int:
    """The most replies between two runs that were completed."""
    ends = [report.turn.number for report in run_reports(session) if report.outcome == "completed"]
    places = [sum(end <= turn.number for end in ends) for turn in experiments]
    return max((places.count(place) for place in places), default=0)


def _as_applied(turn: HistoryTurn) -> HistoryTurn:
    """The turn without the blocks that aider refused while it applied others of the same reply; files with `/`."""
    turn = dataclasses.replace(turn, reply=_WINDOWS_NAME.sub(lambda name: name[0].replace("\\", "/"), turn.reply))
    if not turn.applied_beside:
        return turn
    refused = {_fingerprint(edit) for edit in _blocks("\n".join(turn.tools)).values()}
    scan = scan_reply(turn.reply)
    edits, names = _blocks(turn.reply), lone_names(scan)
    gone: set[int] = set()
    for block in scan.blocks:
        edit = edits.get(block.head)
        if edit is None or _fingerprint(edit) not in refused:
            continue
        first, last = block.head, block.end
        if any(fence.open == first - 1 and fence.close == last + 1 for fence in scan.fences):
            first, last = first - 1, last + 1
            first -= first - 1 in names
        gone |= set(range(first, last + 1))
    return dataclasses.replace(turn, reply="\n".join(line for i, line in enumerate(scan.lines) if i not in gone))


def _blocks(text: str) -> dict[int, Edit]:
    """The blocks of a text, by the index of their first line."""
    return {edit.line - 1: edit for edit in parse_reply(text, _FILES).edits if edit.kind == "block"}


def _fingerprint(edit: Edit) -> tuple[str, str]:
    """What identifies a block however its blanks were changed."""
    return "".join(edit.search.split()), "".join(edit.replace.split())


def _notes(start: str, turns: Sequence[HistoryTurn]) -> str:
    """notes.txt as it was before the chat: what AI-Scientist writes, and whatever else applied blocks found in it."""
    written = start
    for edit in (edit for turn in turns for edit in _notes_edits(turn)):
        if not edit.search.strip():
            written += edit.replace
            continue
        try:
            written = replace_once(written, edit.search, edit.replace, _NOTES)
        except NoLocation:
            if edit.search.strip() not in written:  # else there are several places
                start, written = start + edit.search, written + edit.replace
    return start


def _created(turns: Sequence[HistoryTurn]) -> tuple[str, ...]:
    """The Python files beside experiment.py that aider was allowed to create."""
    names: list[str] = []
    for turn in turns:
        new = {edit.path for edit in _blocks(turn.reply).values() if not edit.search.strip()}
        names += [name for name in turn.applied if name in new and _MODULE.fullmatch(name)]
    return tuple(dict.fromkeys(names))


def _notes_edits(turn: HistoryTurn) -> list[Edit]:
    """The turn's edits of notes.txt, unless aider did not apply them."""
    if turn.is_cut or turn.is_interrupted or (turn.refused and not turn.applied_beside):
        return []
    return [edit for edit in _blocks(turn.reply).values() if edit.path == _NOTES]
