"""Lints edited files with aider's linter, at a twentieth of its cost when they are clean.

The report is the one that aider shows a model: errors that would end a run (syntax, undefined names, ...), then the
code around them with `█` at the lines meant. aider starts flake8 as a process for every file, 0.18 s of CPU each, and
looks for errors with tree-sitter also where the compiler finds none. Here flake8's checker runs in this process
(lint_flake8.py), and aider's part is loaded when there is something to report.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterable
from pathlib import Path

from ai_sci.agent.edits.base import without_warnings

LONGEST_LINE, LONGEST_REPORT = 2_000, 12_000  # characters


def lint_report(folder: Path, files: Iterable[str]) -> str | None:
    """The report on those of the files that are Python; None when they are clean. `files`: names inside `folder`."""
    reports = [report for name in files if name.endswith(".py") and (report := lint_file(folder, name))]
    return "\n".join(reports) or None


def lint_file(folder: Path, name: str) -> str | None:
    from ai_sci.agent.edits.lint_flake8 import compiles, fatal_errors

    path = folder / name
    if path.is_symlink() or not path.is_file():
        return None
    code = path.read_text(encoding="utf-8-sig", errors="replace")
    if compiles(code, name) and not fatal_errors(code, name):
        return None

    from ai_sci.agent.edits.lint_aider import InProcessLinter

    try:
        with without_warnings(), contextlib.redirect_stdout(io.StringIO()):  # it prints what it cannot read
            report = InProcessLinter(encoding="utf-8-sig", root=str(folder)).lint(str(path))
    except RecursionError:  # aider walks the syntax tree by recursion, and some expressions are too deep for it
        report = f"# Fix any errors below, if possible.\n\n{fatal_errors(code, name)}"
    return shortened(report) if report else None


def shortened(report: str) -> str:
    """A line of a megabyte is an error that can be told without showing it three times."""
    lines = [line if len(line) <= LONGEST_LINE else f"{line[:LONGEST_LINE]}…" for line in report.split("\n")]
    text = "\n".join(lines)
    return text if len(text) <= LONGEST_REPORT else f"{text[:LONGEST_REPORT]}\n… (the report goes on)\n"
