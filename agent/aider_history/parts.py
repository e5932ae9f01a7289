"""Joins the parts of an answer that was longer than the model's output limit.

aider has the model go on, and writes each part by itself: without the white space at its ends, and with two blank lines
between. Two blank lines in a file are nothing unusual, so parts are joined only where the text cannot be meant as it
is: inside a block's marker, or in Python inside a block where a line cannot begin, or a line cannot end.
"""

from __future__ import annotations

import re

from ai_sci.agent.edits import name_above, scan_reply

_GAP = re.compile(r"(?<=\S)\n\n\n(?=\S)")
_MARKERS = ("<<<<<<< SEARCH", "=======", ">>>>>>> REPLACE")
_GOES_ON = re.compile(r"[=,)\]}.:+*/%|&<>!-](?!>>>>|<<<<|======|-)")  # begins no statement
_OPERATOR = re.compile(r"[=+*/%|&<>!-]")
_FRAGMENT = re.compile(r"\s+\w+")  # alone on its line, this is no statement that anybody writes
_OPENS = (":", "(", "[", "{", ",", "\\")  # at a line's end: the next may be indented
_STATEMENT = re.compile(r"(?:pass|break|continue|return|raise|else|try|finally)\b")


def join_parts(reply: str) -> str:
    """The reply with its parts joined; itself where it is in one piece or nothing says where it is not."""
    for found in reversed(list(_GAP.finditer(reply))):
        above, below = reply[: found.start()], reply[found.end() :]
        joint = _joint(above, below)
        if joint is not None:
            reply = above + joint + below
    return reply


def _joint(above: str, below: str) -> str | None:
    """What stood between the two, or None where they may well be what they seem."""
    last, first = above.rsplit("\n", 1)[-1], below.split("\n", 1)[0]
    for joint in ("", " "):
        whole = f"{last}{joint}{first}".strip()
        if whole in _MARKERS and last.strip() not in _MARKERS and first.strip() not in _MARKERS:
            return joint
    if not last.startswith((" ", "\t")) or not _is_in_python(above):
        return None
    if _GOES_ON.match(first):
        return " " if _OPERATOR.match(first) else ""
    following = below.split("\n", 2)[1:2]
    is_indented = bool(following) and following[0].startswith((" ", "\t"))
    if not is_indented or first.rstrip().endswith(_OPENS) or first.startswith(("#", "@", '"', "'")):
        return None
    if _FRAGMENT.fullmatch(last) and not _STATEMENT.match(last.strip()):
        return ""
    return "\n" + last[: len(last) - len(last.lstrip())]


def _is_in_python(above: str) -> bool:
    """Whether a text ends inside a block for a Python file."""
    lines = scan_reply(above).lines
    head = next((i for i in range(len(lines) - 1, -1, -1) if lines[i].strip() in (_MARKERS[0], _MARKERS[2])), None)
    if head is None or lines[head].strip() != _MARKERS[0]:
        return False
    named = name_above(lines, head, -1, ())
    return named.path is not None and named.path.endswith(".py")
