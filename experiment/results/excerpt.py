"""Digest of a failed attempt: what a person would want to read, in at most 4,000 characters."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from pathlib import Path

from ai_sci.experiment.base import Verdict, clean_output
from ai_sci.experiment.results.tracebacks import Traceback, find_stacks, find_tracebacks, render

MOST = 4_000  # characters of the whole digest
_MOST_REASON = 800
_MOST_TRACEBACK = 2_200
_MOST_TAIL = 1_500
_NOISE = ("Extension modules:",)


def failure_excerpt(
    verdict: Verdict | str, reason: str, output: str, session_files: Collection[str], folders: Sequence[Path] = ()
) -> str:
    """Verdict and reason, the last traceback with the session's own frames, then the end of the output.

    `session_files` are names relative to the session, such as `experiment.py`. `output` is untrusted. Paths below
    `folders` (inner folders first) are made relative, so that a failure reads the same wherever the session is.
    """
    for folder in folders:
        reason, output = _relative(reason, folder), _relative(output, folder)
    clean = clean_output(output)
    lines = [line for line in clean.lines if not line.startswith(_NOISE)]
    tracebacks, stacks = find_tracebacks(lines), find_stacks(lines)
    parts = [f"Verdict: {verdict}\nReason: {_cut(' '.join(reason.split()), _MOST_REASON)}"]

    if tracebacks:
        parts.append(_chain(tracebacks, session_files))
    elif stacks:
        frames = _cut_lines(render(stacks[-1], session_files), _MOST_TRACEBACK)
        parts.append("\n".join(["Where it was, most recent call first:", *frames]))
    if clean.progress:
        parts.append(f"Last progress: {_cut(clean.progress, 200)}")

    room = min(_MOST_TAIL, MOST - len("\n\n".join(parts)) - 60)
    tail = _last_lines(_outside(lines, [*tracebacks, *stacks]), room)
    if tail:
        parts.append("\n".join(["Last lines of the output:", *tail]))
    elif not tracebacks and not stacks:
        parts.append("It printed nothing.")
    return "\n\n".join(parts)[:MOST]


def _relative(text: str, folder: Path) -> str:
    place = re.escape(str(folder))
    return re.sub(rf"{place}(?![\w.-])", ".", re.sub(rf"{place}/(?=[\w.-])", "", text))


def _chain(tracebacks: list[Traceback], session_files: Collection[str]) -> str:
    """The last traceback, and as many of those that led to it as fit."""
    blocks: list[str] = []
    room = _MOST_TRACEBACK
    for one in reversed(tracebacks):
        lines = _cut_lines(["Traceback (most recent call last):", *render(one, session_files)], room)
        blocks.insert(0, "\n".join(lines))
        room -= len(blocks[0]) + len(one.link) + 4
        if not one.link or room < 300:
            break
        blocks.insert(0, one.link)
    if blocks[0] and not blocks[0].startswith("Traceback"):
        blocks.pop(0)
    return "\n\n".join(blocks)


def _outside(lines: list[str], blocks: list[Traceback]) -> list[str]:
    """The lines outside tracebacks and the phrases that join them.

    Except in the last block, only the first line of a message counts as part of it: the rest may be other output.
    """
    inside: set[int] = set()
    for block in blocks:
        beyond = 0 if block is blocks[-1] else max(0, len(block.message) - 1)
        inside |= set(range(block.start, block.end - beyond))
    links = {block.link for block in blocks if block.link}
    return [line for number, line in enumerate(lines) if number not in inside and line.strip() not in links]


def _last_lines(lines: list[str], room: int) -> list[str]:
    kept: list[str] = []
    for line in reversed([line for line in lines if line.strip()]):
        line = _cut(line, 300)
        room -= len(line) + 1
        if room < 0:
            break
        kept.append(line)
    return kept[::-1]


def _cut_lines(lines: list[str], room: int) -> list[str]:
    """The lines unchanged if they fit; else the first three and as many of the last as fit."""
    if sum(len(line) + 1 for line in lines) <= room:
        return lines
    first = [_cut(line, 200) for line in lines[:3]]
    last: list[str] = []
    room -= sum(len(line) + 1 for line in first) + 10
    for line in reversed(lines[3:]):
        line = _cut(line, 300)
        room -= len(line) + 1
        if room < 0:
            break
        last.append(line)
    return [*first, "  […]", *last[::-1]]


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
