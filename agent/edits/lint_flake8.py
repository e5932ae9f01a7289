"""Runs flake8's checker for errors that end a run, in this process: its report, without starting a program.

Only pyflakes is plugged in. The style checks, which a flake8 process runs and then throws away, take most of its time.
"""

from __future__ import annotations

import argparse
import functools
import io
from importlib.metadata import EntryPoint

from flake8.checker import FileChecker
from flake8.exceptions import PluginExecutionFailed
from flake8.plugins.finder import Checkers, LoadedPlugin, Plugin
from flake8.plugins.pyflakes import FlakesChecker
from flake8.processor import FileProcessor
from flake8.violation import Violation

from ai_sci.agent.edits.base import without_warnings

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


class TextInMemory(FileProcessor):
    """A file's lines that are not read from a disk."""

    def __init__(self, name: str, lines: list[str]) -> None:
        self.given = lines
        super().__init__(name, OPTIONS, list(lines))

    def read_lines(self) -> list[str]:
        return list(self.given)


class TextChecker(FileChecker):
    """flake8's checker of one file, on text."""

    def __init__(self, code: str, name: str) -> None:
        self.code = code
        super().__init__(filename=name, plugins=Checkers([PYFLAKES], [], []), options=OPTIONS)

    def _make_processor(self) -> FileProcessor:
        return TextInMemory(self.filename, io.StringIO(self.code).readlines())

    def process_tokens(self) -> None:
        """Nothing: it feeds the style checks, of which there are none."""


@functools.lru_cache(maxsize=4)
def fatal_errors(code: str, name: str) -> str:
    """flake8's output for those errors, with the line and a caret below each; empty when there is none."""
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
        # Python may well compile and run what pyflakes cannot follow. Python 3.10 parses more than it compiles.
        return "" if compiles(code, name) else f"{name}{TOO_DEEP}"
    results.sort(key=lambda result: (result[1], result[2]))
    lines = io.StringIO(code).readlines()
    return "".join(
        output(code, name, row, column or 0, text, line, lines)
        for code, row, column, text, line in results
        if code.startswith(FATAL)
    )


def output(code: str, name: str, row: int, column: int, text: str, line: str | None, lines: list[str]) -> str:
    """One error as flake8 prints it; empty when a `noqa` comment allows it."""
    # Without a line of its own, Violation would read one from a file of this name in the current folder.
    here = line if line is not None else "".join(lines[row - 1 : row])
    if Violation(code, name, row, column + 1, text, here).is_inline_ignored(disable_noqa=False):
        return ""
    source = ""
    if line is not None:
        source = line + "".join(char if char.isspace() else " " for char in line[:column]) + "^\n"
    return f"{name}:{row}:{column + 1}: {code} {text}\n{source}"


def compiles(code: str, name: str) -> bool:
    """Whether Python accepts the text. Nothing of it is executed."""
    try:
        with without_warnings():
            compile(code, name, "exec", dont_inherit=True)
    except (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError):
        return False
    return True
