"""Reads TOML and JSON files so that every error can name the file and line."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from ai_sci.experiment.base.errors import ConfigError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # pyright: ignore[reportMissingImports]

_AT_LINE = re.compile(r"\s*\(at (?:line (\d+), column \d+|end of document)\)$")


def read_text(path: Path) -> str:
    """The file's text without a byte order mark; raises ConfigError if it is missing or not UTF-8."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}")
    try:
        return data.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"{path}:{line}: this is not UTF-8 text")


@dataclass(frozen=True)
class TomlFile:
    """A parsed TOML file that remembers the line of each key."""

    path: Path
    text: str
    values: dict[str, Any]

    def refuse(self, what: str, *keys: str) -> NoReturn:
        """Raises ConfigError `FILE:LINE: what`; LINE is where the key path `keys` is set."""
        raise ConfigError(f"{self.path}:{self.line_of(*keys)}: {what}")

    def line_of(self, *keys: str) -> int:
        """The line (from 1) of the statement that sets `keys`, or of its nearest parent, or 1."""
        best = (0, 1)
        for line, path in _statements(self.text):
            depth = _common(path, keys)
            if depth > best[0]:
                best = (depth, line)
        return best[1]


def read_toml(path: Path) -> TomlFile:
    """Parses a TOML file; raises ConfigError with file and line."""
    text = read_text(path)
    try:
        return TomlFile(path, text, tomllib.loads(text))
    except RecursionError:
        raise ConfigError(f"{path}:1: the values are nested too deeply")
    except ValueError as error:  # TOMLDecodeError, and int() on thousands of digits
        found = _AT_LINE.search(str(error))
        line = int(found[1]) if found and found[1] else text.rstrip("\n").count("\n") + 1
        raise ConfigError(f"{path}:{line}: not valid TOML: {_AT_LINE.sub('', str(error))}")


def _statements(text: str) -> Iterator[tuple[int, tuple[str, ...]]]:
    """(line, full key path) of every table header and assignment in text known to be valid TOML.

    tomllib keeps no positions, so this splits the text into the shortest runs of lines that parse on their own.
    """
    table: tuple[str, ...] = ()
    lines = text.split("\n")
    start = 0
    while start < len(lines):
        end = start + 1
        while end <= len(lines):
            piece = "\n".join(lines[start:end])
            try:
                parsed = tomllib.loads(piece)
                break
            except ValueError:
                end += 1
        else:
            return
        if parsed:
            path = _first_path(parsed)
            if piece.lstrip().startswith("["):
                table = path
                yield start + 1, table
            else:
                yield start + 1, table + path
        start = end


def _first_path(parsed: dict[str, Any]) -> tuple[str, ...]:
    """The key path that one statement sets: `a.b = 1` and `[a.b]` both give ("a", "b")."""
    path: list[str] = []
    value: Any = parsed
    while isinstance(value, dict) and len(value) == 1:
        key, value = next(iter(value.items()))
        path.append(key)
    return tuple(path)


def _common(path: tuple[str, ...], keys: tuple[str, ...]) -> int:
    """How many leading keys the two have in common."""
    depth = 0
    for ours, theirs in zip(path, keys):
        if ours != theirs:
            break
        depth += 1
    return depth


def read_json(path: Path) -> tuple[Any, str]:
    """The parsed JSON value and the file's text; raises ConfigError with file and line."""
    text = read_text(path)
    try:
        return json.loads(text), text
    except json.JSONDecodeError as error:
        raise ConfigError(f"{path}:{error.lineno}: not valid JSON: {error.msg} (column {error.colno})")
    except RecursionError:
        raise ConfigError(f"{path}:1: the values are nested too deeply")
    except ValueError as error:  # int() on thousands of digits
        raise ConfigError(f"{path}:1: not valid JSON: {error}")


def line_at(text: str, offset: int) -> int:
    """The line (from 1) of a character offset."""
    return text.count("\n", 0, offset) + 1
