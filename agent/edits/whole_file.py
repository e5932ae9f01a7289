"""Decides whether a fence below a file's name is that file or only a piece of it.

A piece taken for the file would throw the rest of the code away without a word. So a fence counts as the whole of a
file only when it has at least half as many lines, none that stands for lines left out, and, for Python, when it parses
and still has imports and the `__main__` part where the file has them. A fence that repeats lines of the file is a
quotation.
"""

from __future__ import annotations

import ast
import re

from ai_sci.agent.edits.base import lines_of, without_warnings
from ai_sci.agent.edits.match import runs

LEAST_SHARE = 0.5
LEFT_OUT = re.compile(
    r"^\s*(?:#|//)?\s*(?:\.{3}|…)\s*\(?.*\b(?:rest|unchanged|remain\w*|omitted|existing|same as|as before|previous)\b"
    r"|^\s*#\s*\(?(?:the )?(?:rest of|remaining|existing) (?:the )?"
    r"(?:code|file|class|function|implementation|methods?)\b.*(?:unchanged|same|\.{3}|…|here)",
    re.IGNORECASE,
)


def left_out(text: str) -> str | None:
    """The first line that stands for lines left out, such as `# ... rest of the code remains the same`."""
    return next((line.strip() for line in lines_of(text) if LEFT_OUT.search(line)), None)


def is_quotation(text: str, current: str) -> bool:
    """Whether the fence only repeats lines of the file, and not all of them."""
    part, whole = stripped(text), stripped(current)
    if not part:
        return True
    return len(part) < len(whole) and bool(runs(whole, part))


def why_not_whole(path: str, text: str, current: str | None) -> str | None:
    """What shows that the text is not the whole of the file; None when it can be."""
    elided = left_out(text)
    if elided and elided not in (current or ""):
        return f"it leaves lines out (`{elided[:80]}`)"
    syntax = parse_error(text) if path.endswith(".py") else None
    if syntax:
        return f"it does not parse ({syntax})"
    if not (current or "").strip():
        return None
    here, there = len(stripped(text)), len(stripped(current or ""))
    if here < LEAST_SHARE * there:
        return f"it has {here} lines that are not blank, the file has {there}"
    if path.endswith(".py"):
        return missing_part(text, current or "")
    return None


def missing_part(text: str, current: str) -> str | None:
    for pattern, part in (
        (r"^(?:import|from)\s", "imports"),
        (r"^if\s+__name__\s*==", '`if __name__ == "__main__"` part'),
    ):
        if re.search(pattern, current, re.MULTILINE) and not re.search(pattern, text, re.MULTILINE):
            return f"the file's {part} {'are' if part == 'imports' else 'is'} missing from it"
    return None


def parse_error(text: str) -> str | None:
    try:
        with without_warnings():
            ast.parse(text)
    except SyntaxError as error:
        return f"line {error.lineno}: {error.msg}"
    except (ValueError, RecursionError, MemoryError) as error:
        return type(error).__name__
    return None


def stripped(text: str) -> list[str]:
    """The lines that are not blank, without white space at their ends."""
    return [line.rstrip() for line in lines_of(text) if line.strip()]
