"""Compares a replay with its recording: prompts byte by byte, edits and verdicts turn by turn.

Different prompts are not reported when another version of ai-sci, or other prompt texts, made the recorded ones.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from itertools import zip_longest

from ai_sci.agent.journal import (
    AttemptFinished,
    BaselineMeasured,
    EditApplied,
    Message,
    PhaseGivenUp,
    PlotsFinished,
    ReplayCompared,
    ReplyRejected,
    RunClosed,
    prompt_hash,
)
from ai_sci.agent.session import EditEvent, Outcome, Recording

_MOST = 20  # differences that are listed


def prompt_difference(recording: Recording, turn: int, messages: Sequence[Message]) -> str:
    """A unified diff from the recorded request of `turn` (counted from 1) to `messages`.

    Empty when they are equal, or when another version wrote the recorded prompts.
    """
    if recording.other_author or _is_recorded(recording, turn, messages):
        return ""
    recorded = recording.messages(turn)
    if recorded != messages:
        return _diff(recorded, messages, turn)
    return (
        f"The journal of {recording.folder.name} yields this same request, but the one sent then had another hash: "
        "the journal has been changed since, or its version of ai-sci built requests differently.\n"
    )


def _is_recorded(recording: Recording, turn: int, messages: Sequence[Message]) -> bool:
    sent = recording.replies[turn - 1].prompt_hash
    return recording.messages(turn) == messages and sent in ("", prompt_hash(messages))


def _diff(recorded: Sequence[Message], messages: Sequence[Message], turn: int) -> str:
    return "".join(
        difflib.unified_diff(_lines(recorded), _lines(messages), f"recorded/turn_{turn}", f"now/turn_{turn}")
    )


def _lines(messages: Sequence[Message]) -> list[str]:
    """Splits at newlines only, since texts may contain other line separators."""
    lines: list[str] = []
    for number, message in enumerate(messages, start=1):
        lines += [f"message {number}, {message.role}\n"]
        lines += [f"  {line}\n" for line in message.content.split("\n")]
    return lines


def compare(recording: Recording, replayed: Recording) -> ReplayCompared:
    """How many prompts, edits and verdicts of `recording` were reproduced, and a list of the differences."""
    differences: list[str] = []
    prompts, prompts_by = 0, recording.other_author
    for turn in range(1, len(recording.replies) + 1):
        if turn > len(replayed.replies):
            differences.append(f"turn {turn} and what follows it were not reached")
            break
        if _is_recorded(recording, turn, replayed.messages(turn)):
            prompts += 1
        elif not prompts_by:
            differences.append(f"turn {turn}: another prompt")
    if prompts == len(recording.replies):
        prompts_by = ""  # all of them match anyway
    edits = edits_recorded = verdicts = verdicts_recorded = 0
    then, now = recording.turns(), replayed.turns()
    for turn, (before, after) in enumerate(zip(then, now)):
        is_last = (
            turn == len(then) - 1
        )  # the recording may stop in the middle of its last turn, where the replay continues
        edits += _alike(before.edits, after.edits, is_last, turn, differences)
        verdicts += _alike(before.outcomes, after.outcomes, is_last, turn, differences)
    for before in then:
        edits_recorded += len(before.edits)
        verdicts_recorded += len(before.outcomes)
    if len(differences) > _MOST:
        differences[_MOST:] = [f"and {len(differences) - _MOST} more"]
    return ReplayCompared(
        prompts, len(recording.replies), edits, edits_recorded, verdicts, verdicts_recorded, differences, prompts_by
    )


def _alike(
    then: Sequence[EditEvent | Outcome],
    now: Sequence[EditEvent | Outcome],
    only_recorded: bool,
    turn: int,
    differences: list[str],
) -> int:
    """How many were reproduced; the others are added to `differences`."""
    alike = 0
    for one, other in zip_longest(then, now[: len(then)] if only_recorded else now):
        if one is None or other is None or _key(one) != _key(other):
            differences.append(f"turn {turn}: {_words(one)} is recorded, now {_words(other)}")
            continue
        alike += 1
        if changed := _changed_metrics(one, other):
            differences.append(f"turn {turn}: {_words(one)} with other metrics: {changed}")
    return alike


def _key(event: EditEvent | Outcome) -> tuple[object, ...]:
    if isinstance(event, EditApplied):
        return (event.files, event.blocks, event.code_hash)
    return (_words(event),)


def _words(event: EditEvent | Outcome | None) -> str:
    match event:
        case None:
            return "nothing"
        case EditApplied(files=files):
            return f"an edit of {', '.join(files)}"
        case BaselineMeasured(verdict=verdict):
            return f"baseline {verdict}"
        case AttemptFinished(run=run, attempt_kind=kind, verdict=verdict):
            return f"run {run} ({kind}) {verdict}"
        case RunClosed(run=run, status=status):
            return f"run {run} closed with {status}"
        case PlotsFinished(verdict=verdict, files=files):
            return f"plots {verdict} ({', '.join(files) or 'none'})"
        case PhaseGivenUp(verdict=verdict):
            return f"given up after {verdict}"
        case ReplyRejected(verdict=verdict):
            return verdict


def _changed_metrics(one: EditEvent | Outcome, other: EditEvent | Outcome) -> str:
    if not isinstance(one, (AttemptFinished, BaselineMeasured)):
        return ""
    then, now = one.metrics, getattr(other, "metrics", {})
    changed = [name for name in {**then, **now} if then.get(name) != now.get(name)]
    shown = [f"{name} {then.get(name)} → {now.get(name)}" for name in changed[:3]]
    return ", ".join(shown) + (f" and {len(changed) - 3} more" if len(changed) > 3 else "")
