"""Whole files: a fence below a file's name, and whether it is that file or only a piece of it.

A piece mistaken for the file would silently delete the rest of the code. So a fence counts as the whole file only when
it has at least half as many lines and none that stands for omitted ones, and, for Python, when it parses and still has
the imports and the `__main__` part that the file has. A fence that repeats lines of the file is a quotation.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence

from ai_sci.agent.edits.formats import Edit, EditFormat, lines_of
from ai_sci.agent.edits.match import runs
from ai_sci.agent.edits.quiet import without_warnings
from ai_sci.agent.edits.scan import Fence, Scan, fence_name, is_file_like, name_in_first_line
from ai_sci.agent.edits.stand_ins import find_stand_in

SHELL = {"bash", "sh", "shell", "zsh", "console", "shell-session", "cmd", "bat", "batch", "powershell", "ps1", "fish"}
NOT_A_FILE = SHELL | {"output", "log", "traceback", "pytb"}
NOT_PYTHON = NOT_A_FILE | {"text", "txt", "plaintext", "plain", "json", "markdown", "md", "toml", "yaml"}

OTHER_MARKER = re.compile(r"^<{5,} ?\w.*", re.MULTILINE)
LEAST_SHARE = 0.5


class WholeFiles(EditFormat):
    """Code fences with a whole file. The prompt does not ask for them, but some models write nothing else."""

    def parse(self, reply: Scan, editable: Sequence[str]) -> list[Edit]:
        """An edit for each fence that may be a file; `is_quotation` and `why_not_whole` judge it later."""
        edits: list[Edit] = []
        for fence in reply.fences:
            if fence.taken:
                continue
            above = fence_name(reply, fence, editable)
            path = above or name_in_first_line(reply, fence, editable)
            if path is None or not _may_be_file(fence.info, path, editable):
                continue
            inner = _inner_fence(reply, fence, path)
            if not above and (fence.close is None or inner):
                continue  # perhaps only an example
            fence.taken = True
            if fence.close is None:
                reply.problems.append(f"The code fence of {path} at line {fence.open + 1} of the reply is not closed.")
                continue
            reply.problems += inner
            name_line = "" if above else reply.lines[fence.open + 1]
            body = reply.lines[fence.open + 1 + bool(name_line) : fence.close]
            text = "".join(f"{line}\n" for line in body)
            edits.append(Edit("whole", path, "", text, fence.open + 1, name_line=name_line))
        return edits


def _may_be_file(info: str, path: str, editable: Sequence[str]) -> bool:
    """Whether a fence below a file's name can hold that file, going by the fence's language.

    A name that is not editable counts only for Python in a Python fence: a module that the model wants to add should be
    refused, not ignored, but results and logs are often quoted below their names.
    """
    language = info.split()[0].lower() if info.split() else ""
    if path not in editable:
        return path.endswith(".py") and language in ("python", "py", "python3")
    if is_file_like(language):
        return True
    return language not in (NOT_PYTHON if path.endswith(".py") else NOT_A_FILE)


def _inner_fence(scan: Scan, fence: Fence, path: str) -> list[str]:
    """The problem, if any, with a file that contains code fences: in a fence no longer than they are, it ends at the
    first of them. Python is exempt, since the rest of it would not parse.
    """
    if path.endswith(".py") or fence.close is None:
        return []
    opens_inside = any(line.strip().startswith(fence.mark) for line in scan.lines[fence.open + 1 : fence.close])
    goes_on = bool("".join(scan.lines[fence.close + 1 : fence.close + 2]).strip())
    if not opens_inside and not goes_on:
        return []
    return [
        f"It cannot be told where `{path}`, given at line {fence.open + 1} of the reply, ends: it seems to hold code "
        f"fences of its own. Put a longer fence ({fence.mark}{fence.mark[0]}) around it, with a blank line below."
    ]


def is_quotation(text: str, current: str) -> bool:
    """Whether the text only repeats consecutive lines of the file, and not all of them."""
    part, whole = _stripped(text), _stripped(current)
    if not part:
        return True
    return len(part) < len(whole) and bool(runs(whole, part))


def why_not_whole(path: str, text: str, current: str | None) -> str | None:
    """Why the text is not the whole file; None when it may be."""
    stand_in = find_stand_in(current or "", text, path, whole=True)
    if stand_in:
        return f"it leaves lines out (`{stand_in.text[:80]}`, its line {stand_in.index + 1})"
    marker = OTHER_MARKER.search(text)
    if marker and marker[0] not in (current or ""):
        return f"`{marker[0][:60]}` is a marker other than `<<<<<<< SEARCH`, `=======` and `>>>>>>> REPLACE`"
    syntax = _parse_error(text) if path.endswith(".py") else None
    if syntax:
        return f"it does not parse ({syntax})"
    if not (current or "").strip():
        return None
    here, there = len(_stripped(text)), len(_stripped(current or ""))
    if here < LEAST_SHARE * there:
        return f"it has {here} lines that are not blank, the file has {there}"
    if path.endswith(".py"):
        return _missing_part(text, current or "")
    return None


def _missing_part(text: str, current: str) -> str | None:
    """Which of imports and `__main__` part the file has and the text does not."""
    for pattern, part in (
        (r"^(?:import|from)\s", "imports"),
        (r"^if\s+__name__\s*==", '`if __name__ == "__main__"` part'),
    ):
        if re.search(pattern, current, re.MULTILINE) and not re.search(pattern, text, re.MULTILINE):
            return f"the file's {part} {'are' if part == 'imports' else 'is'} missing from it"
    return None


def _parse_error(text: str) -> str | None:
    """Why Python cannot parse the text."""
    try:
        with without_warnings():
            ast.parse(text)
    except SyntaxError as error:
        return f"line {error.lineno}: {error.msg}"
    except (ValueError, RecursionError, MemoryError) as error:
        return type(error).__name__
    return None


def _stripped(text: str) -> list[str]:
    """The lines that are not blank, without trailing white space."""
    return [line.rstrip() for line in lines_of(text) if line.strip()]
