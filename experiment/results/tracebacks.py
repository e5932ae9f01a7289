"""Finds Python tracebacks in output and shortens them to the session's own frames."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass

_HEADER = "Traceback (most recent call last):"
_FRAME = re.compile(r'\s+File "(?P<file>[^"]+)", line (?P<line>\d+)(?:,? in (?P<function>.+))?')
_CAUSED = "The above exception was the direct cause of the following exception:"
_LINKS = ("During handling of the above exception, another exception occurred:", _CAUSED)
# from faulthandler: on SIGSEGV and the like, and on the SIGABRT sent on a time-out
_STACK = re.compile(r"(?P<current>Current t|T)hread 0x[0-9a-f]+.*\(most recent call first\):")
_MARKS = re.compile(r"\s*[\^~\s]+")
_LIBRARY = re.compile(r".*(?:/site-packages/|/dist-packages/|/lib/python3\.\d+/)")
MOST_MESSAGE_LINES = 12
MOST_FRAMES = 12


@dataclass(frozen=True)
class Frame:
    """One stack frame; `function` and `source` may be empty."""

    file: str
    line: str
    function: str
    source: tuple[str, ...]


@dataclass(frozen=True)
class Traceback:
    """One traceback at `lines[start:end]`; `link` is the phrase that joins it to the one before, or empty."""

    start: int
    end: int
    frames: tuple[Frame, ...]
    message: tuple[str, ...]
    link: str = ""


def find_tracebacks(lines: list[str]) -> list[Traceback]:
    """All tracebacks, in order. A message has no end mark, so it ends at the first blank line."""
    found: list[Traceback] = []
    position = 0
    while position < len(lines):
        if not lines[position].endswith(_HEADER):
            position += 1
            continue
        one = _read_traceback(lines, position, _link_before(lines, position, found))
        found.append(one)
        position = one.end
    return found


def error_chain(lines: list[str]) -> list[str]:
    """The message of the last traceback, then those that were its direct causes (`raise … from …`)."""
    messages: list[str] = []
    for one in reversed(find_tracebacks(lines)):
        messages.append(" ".join(one.message))
        if not one.link.endswith(_CAUSED):
            break
    return messages


def _link_before(lines: list[str], header: int, found: list[Traceback]) -> str:
    if not found:
        return ""
    between = [line.strip() for line in lines[found[-1].end : header] if line.strip()]
    return between[0] if len(between) == 1 and between[0].endswith(_LINKS) else ""


def _read_traceback(lines: list[str], header: int, link: str) -> Traceback:
    prefix = lines[header][: -len(_HEADER)]  # `[rank0]: ` of torchrun, or the indentation of a nested one
    indent = prefix if not prefix.strip() or prefix.endswith(": ") else ""
    body: list[str] = []
    end = header + 1
    while end < len(lines) and lines[end].startswith(indent) and lines[end][len(indent) :].startswith((" ", "\t")):
        body.append(lines[end][len(indent) :])
        end += 1
    message: list[str] = []
    while end < len(lines) and lines[end].startswith(indent) and lines[end].strip():
        if len(message) == MOST_MESSAGE_LINES or lines[end].endswith(_HEADER):
            break
        message.append(lines[end][len(indent) :])
        end += 1
    return Traceback(header, end, tuple(_frames(body)), tuple(message), link)


def find_stacks(lines: list[str]) -> list[Traceback]:
    """The stacks that faulthandler printed, with the thread that was running at the end of the list."""
    stacks: list[tuple[bool, Traceback]] = []
    for start, line in enumerate(lines):
        match = _STACK.fullmatch(line.strip())
        if not match:
            continue
        end = start + 1
        while end < len(lines) and lines[end].startswith("  "):
            end += 1
        current = match["current"].startswith("C")
        stacks.append((current, Traceback(start, end, tuple(_frames(lines[start + 1 : end])), ())))
    return [stack for _, stack in sorted(stacks, key=lambda item: item[0])]


def _frames(body: list[str]) -> Iterator[Frame]:
    opened: re.Match[str] | None = None
    source: list[str] = []
    for line in [*body, None]:
        match = _FRAME.fullmatch(line) if line is not None else None
        if line is not None and match is None:
            if not _MARKS.fullmatch(line):
                source.append(line.strip())
            continue
        if opened is not None:
            yield Frame(opened["file"], opened["line"], opened["function"] or "", tuple(source[:4]))
        opened, source = match, []


def own_name(file: str, session_files: Collection[str]) -> str:
    """The session file that the path `file` names, wherever the session is; empty if none."""
    if _LIBRARY.match(file):
        return ""
    fitting = [name for name in session_files if name and (file == name or file.endswith(f"/{name}"))]
    return max(fitting, key=len, default="")


def render(traceback: Traceback, session_files: Collection[str]) -> list[str]:
    """The session's own frames with their code; library frames between them are folded into one line."""
    rendered: list[list[str]] = []
    folded: list[Frame] = []
    any_own = any(own_name(frame.file, session_files) for frame in traceback.frames)
    shown = set() if any_own else set(traceback.frames[-3:])
    for frame in [*traceback.frames, None]:
        name = own_name(frame.file, session_files) if frame is not None else ""
        if frame is not None and not name and frame not in shown:
            folded.append(frame)
            continue
        if folded:
            last = folded[-1]
            where = f"{_short(last.file)}, line {last.line}" + (f", in {last.function}" if last.function else "")
            rendered.append([f"  [{len(folded)} library frame{'s' if len(folded) > 1 else ''}, last: {where}]"])
            folded = []
        if frame is not None:
            inside = f", in {frame.function}" if frame.function else ""
            place = f'  File "{name or _short(frame.file)}", line {frame.line}{inside}'
            rendered.append([place, *(f"    {line}" for line in frame.source)])
    if len(rendered) > MOST_FRAMES:  # recursion: show where it started and where it ended
        cut = len(rendered) - MOST_FRAMES
        rendered[4 : 4 + cut] = [[f"  [… {cut} more …]"]]
    return [line for group in rendered for line in group] + list(traceback.message)


def _short(file: str) -> str:
    return _LIBRARY.sub("", file)
