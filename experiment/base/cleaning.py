"""Turns raw terminal output into lines worth reading: no colour codes, no progress bars, no endless repetition."""

from __future__ import annotations

import re
from dataclasses import dataclass

LONGEST_LINE = 400  # characters
_LONGEST_RAW = 2_000  # cap on what the patterns below see: a 100 MB line must stay cheap
_ESCAPES = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?|\x1b[PX^_][^\x1b]*(?:\x1b\\)?|\x1b.?|\x9b[0-?]*[@-~]?"
)
_CONTROLS = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029]")
_NO_TEXT = re.compile("\ufffd{4,}")
# tqdm: `Training:  45%|████▌     | 45/100 [00:01<00:02, 30.1it/s, loss=0.3]` and `45it [00:01, 30.1it/s]`
_BAR = re.compile(
    r"^[^|]*?\d{1,3}%\|[^|]*\|[^\[]{0,80}\[[^\]]{0,200}\]?|^.{0,200}?\d[\d.]*[kMGT]?\w{0,8} \[\d+:\d\d[^\]]{0,200}\]"
)
_DRAWN_BAR = re.compile(r"[━█▏▎▍▌▋▊▉░▒▓╸]{5,}|\d{1,3}%\s*$")
_GRAPH = re.compile(r"\|[^|]*\|")
_GLUED = re.compile(r"(?<=[^\n\r ])(?=Traceback \(most recent call last\):)")
_EXCEPTION = re.compile(
    r"(?:\[rank\d+\]: )?(?:Fatal Python error: |(?:\w+\.)*\w*(?:Error|Exception|Interrupt|Exit|Group)\b(?:: |$))"
)


@dataclass(frozen=True)
class CleanOutput:
    """`lines` without progress bars; `progress` is the final state of the last bar as text, or empty."""

    lines: list[str]
    progress: str


def clean_output(text: str) -> CleanOutput:
    """The readable lines of `text`; of a line overwritten with `\\r`, its final state."""
    text = _GLUED.sub("\n", text.replace("\r\n", "\n"))
    lines: list[str] = []
    progress = ""
    for raw in text.split("\n"):
        line, bar = _final_state(raw)
        progress = bar or progress
        if line is not None:
            lines.append(line)
    return CleanOutput(_without_repetition(lines), progress)


def _final_state(raw: str) -> tuple[str | None, str]:
    """(final text of one line, None if it held only progress; the last progress bar on it)."""
    shown, bar = "", ""
    for segment in raw.rsplit("\r", 200)[-200:] if "\r" in raw else [raw]:
        segment = _NO_TEXT.sub("\ufffd…", _CONTROLS.sub("", _ESCAPES.sub("", _shortened(segment, _LONGEST_RAW))))
        match = _BAR.match(segment)
        if match:
            bar = _GRAPH.sub(" ", match[0])
            segment = segment[match.end() :]
        elif "\r" in raw and _DRAWN_BAR.search(segment):
            bar, segment = re.sub(r"[━█▏▎▍▌▋▊▉░▒▓╸]+", "", segment), ""
        shown = segment if segment.strip() else shown
    if not shown and bar:
        return None, " ".join(bar.split())
    return _shortened(shown.rstrip(), LONGEST_LINE), " ".join(bar.split())


def _shortened(line: str, most: int) -> str:
    if len(line) <= most:
        return line
    mark = f" […{len(line) - most:,} characters…] "
    return line[: most // 2] + mark + line[len(line) - most // 2 :]


def _without_repetition(lines: list[str]) -> list[str]:
    kept: list[str] = []
    again = 0
    for line in [*lines, None]:
        if line is not None and kept and line == kept[-1]:
            again += 1
            continue
        if again and kept[-1]:  # blank lines just collapse into one
            kept.append(f"[the line above {again} more time{'s' if again > 1 else ''}]")
        again = 0
        if line is not None:
            kept.append(line)
    while kept and not kept[-1]:
        kept.pop()
    return kept


def printable(text: str) -> str:
    """`text` without escape sequences and control characters (line ends stay), safe to print in a terminal."""
    lines = text.expandtabs().split("\n")
    return "\n".join(_CONTROLS.sub("", _ESCAPES.sub("", line)) for line in lines)


def last_error_line(text: str) -> str:
    """The last line that names an exception, else the last line of `text`; empty when there is none."""
    end = "\n".join(text.rsplit("\n", 60)[-60:])  # lines, not characters: an exception message may be long
    lines = [line.strip() for line in clean_output(end).lines if line.strip()]
    named = [line for line in lines if _EXCEPTION.match(line)]
    return (named or lines or [""])[-1][:300]
