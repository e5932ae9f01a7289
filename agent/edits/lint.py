"""Lints edited files with aider's linter, at a twentieth of its cost when they are clean.

The report is the one that aider shows a model, except for flake8's command line and the file names: errors that would
end a run (syntax, undefined names, ...), then the code around them with `█` at the faulty lines. aider starts a flake8
process for every file, 0.18 s of CPU each, and runs tree-sitter even where the compiler finds no error. Here flake8's
checker runs in this process with only pyflakes plugged in, since most of a flake8 process's time goes into style checks
whose results are discarded. aider's part is loaded only when there is something to report.

Importing this module takes 0.1 s.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import io
from collections.abc import Iterable
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

from flake8.checker import FileChecker
from flake8.exceptions import PluginExecutionFailed
from flake8.plugins.finder import Checkers, LoadedPlugin, Plugin
from flake8.plugins.pyflakes import FlakesChecker
from flake8.processor import FileProcessor
from flake8.violation import Violation

from ai_sci.agent.edits.quiet import without_warnings

# What aider selects, in aider.linter.Linter.flake8_lint; a test compares the reports.
FATAL = ("E9", "F821", "F823", "F831", "F406", "F407", "F701", "F702", "F704", "F706")
COMMAND = f"python -m flake8 --select={','.join(FATAL)} --show-source --isolated"

PYFLAKES = LoadedPlugin(
    Plugin("pyflakes", "", EntryPoint("F", "flake8.plugins.pyflakes:FlakesChecker", "flake8.extension")),
    FlakesChecker,
    {"tree": True, "filename": True},
)
OPTIONS = argparse.Namespace(
    hang_closing=False, indent_size=4, max_line_length=79, max_doc_length=None, verbose=0, disable_noqa=False
)
TOO_DEEP = ":1:1: E902 an expression or a block is nested too deeply for Python to compile it\n"
LONGEST_LINE, LONGEST_REPORT = 2_000, 12_000  # characters


def lint_report(folder: Path, files: Iterable[str]) -> str | None:
    """The report on the Python files among `files` (names inside `folder`); None when they are clean."""
    reports = [report for name in files if name.endswith(".py") and (report := _lint_file(folder, name))]
    return "\n".join(reports) or None


def _lint_file(folder: Path, name: str) -> str | None:
    """aider's report on one file; None when it is clean, missing or a symbolic link."""
    path = folder / name
    if path.is_symlink() or not path.is_file():
        return None
    code = path.read_text(encoding="utf-8-sig", errors="replace")
    if _compiles(code, name) and not _fatal_errors(code, name):
        return None
    try:
        with without_warnings(), contextlib.redirect_stdout(io.StringIO()):  # it prints files that it cannot read
            report = _aider_linter()(encoding="utf-8-sig", root=str(folder)).lint(str(path))
    except RecursionError:  # aider walks the syntax tree recursively, and some expressions are too deep
        report = f"# Fix any errors below, if possible.\n\n{_fatal_errors(code, name)}"
    return _shortened(report) if report else None


def _shortened(report: str) -> str:
    """The report with long lines and its end cut: the code it quotes may have lines of a megabyte."""
    lines = [line if len(line) <= LONGEST_LINE else f"{line[:LONGEST_LINE]}…" for line in report.split("\n")]
    text = "\n".join(lines)
    return text if len(text) <= LONGEST_REPORT else f"{text[:LONGEST_REPORT]}\n… (the report goes on)\n"


# --- aider ------------------------------------------------------------------------------------------------------------


@functools.cache
def _aider_linter() -> type[Any]:
    """aider's linter without its flake8 process, and without this machine's paths in the report."""
    from aider.linter import Linter, LintResult, basic_lint, lint_python_compile

    def compile_lint(path: str, name: str, code: str) -> LintResult:
        """Python's message on code that does not compile; it reads some of the quoted lines from `path`."""
        with without_warnings():
            try:
                result = lint_python_compile(path, code)
            except (TypeError, AttributeError):  # aider expects a line number in every error; some have none
                result = None
        if not result:
            return LintResult(text="Python cannot compile this file.\n", lines=[])
        return LintResult(text=result.text.replace(f'File "{path}"', f'File "{name}"'), lines=result.lines)

    class InProcessLinter(Linter):
        def py_lint(self, fname: str, rel_fname: str, code: str) -> LintResult | None:
            """Uses tree-sitter only on code that does not compile, since it reports errors in valid code too."""
            compiled = _compiles(code, rel_fname)
            results = [] if compiled else [basic_lint(rel_fname, code), compile_lint(fname, rel_fname, code)]
            if errors := _fatal_errors(code, rel_fname):
                command = f"## Running: {COMMAND} {rel_fname}"
                results.append(self.errors_to_lint_result(rel_fname, f"{command}\n\n{errors}"))
            found = [result for result in results if result]
            if not found:
                return None
            lines = sorted({line for result in found for line in result.lines})
            return LintResult("\n".join(result.text for result in found if result.text), lines)

    return InProcessLinter


# --- flake8 -----------------------------------------------------------------------------------------------------------


class TextInMemory(FileProcessor):
    """flake8's view of a file, with lines from memory."""

    def __init__(self, name: str, lines: list[str]) -> None:
        self.given = lines
        super().__init__(name, OPTIONS, list(lines))

    def read_lines(self) -> list[str]:
        """The given lines."""
        return list(self.given)


class TextChecker(FileChecker):
    """flake8's checker for one file, reading from memory."""

    def __init__(self, code: str, name: str) -> None:
        self.code = code
        super().__init__(filename=name, plugins=Checkers([PYFLAKES], [], []), options=OPTIONS)

    def _make_processor(self) -> FileProcessor:
        return TextInMemory(self.filename, io.StringIO(self.code).readlines())

    def process_tokens(self) -> None:
        """Does nothing: tokens only feed style checks, and there are none."""


@functools.lru_cache(maxsize=4)
def _fatal_errors(code: str, name: str) -> str:
    """flake8's output for the errors in FATAL, with the line and a caret below each; empty when there is none."""
    try:
        with without_warnings():
            _, results, _ = TextChecker(code, name).run_checks()
    except (RecursionError, MemoryError):
        return f"{name}{TOO_DEEP}"
    except ValueError as error:
        return f"{name}:1:1: E902 {type(error).__name__}: {error}\n"
    except PluginExecutionFailed as error:
        if not isinstance(error.original_exception, RecursionError):
            raise
        # Python may compile what is too deep for pyflakes. Python 3.10 parses more than it compiles.
        return "" if _compiles(code, name) else f"{name}{TOO_DEEP}"
    results.sort(key=lambda result: (result[1], result[2]))
    lines = io.StringIO(code).readlines()
    return "".join(
        _output(code, name, row, column or 0, text, line, lines)
        for code, row, column, text, line in results
        if code.startswith(FATAL)
    )


def _output(code: str, name: str, row: int, column: int, text: str, line: str | None, lines: list[str]) -> str:
    """One error as flake8 prints it; empty when a `noqa` comment allows it."""
    # Without a line, Violation would read one from a file of this name in the current folder.
    here = line if line is not None else "".join(lines[row - 1 : row])
    if Violation(code, name, row, column + 1, text, here).is_inline_ignored(disable_noqa=False):
        return ""
    source = ""
    if line is not None:
        source = line + "".join(char if char.isspace() else " " for char in line[:column]) + "^\n"
    return f"{name}:{row}:{column + 1}: {code} {text}\n{source}"


def _compiles(code: str, name: str) -> bool:
    """Whether Python compiles the text; nothing is executed."""
    try:
        with without_warnings():
            compile(code, name, "exec", dont_inherit=True)
    except (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError):
        return False
    return True
