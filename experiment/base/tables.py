"""Typed reading of one TOML table: wrong types and unknown keys are rejected with file and line."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NoReturn, TypeVar

from ai_sci.experiment.base.errors import ConfigError
from ai_sci.experiment.base.located import TomlFile

T = TypeVar("T")


class Table:
    """One `[table]` of a file, which may be missing. Methods read the keys; `finish()` rejects the rest.

    They return `default` for a missing key and raise ConfigError, with file and line, for a wrong value.
    """

    def __init__(self, file: TomlFile, *path: str):
        self.file = file
        self.path = path
        self._known: list[str] = []
        value: Any = file.values
        for key in path:
            value = value.get(key, {})
            if not isinstance(value, dict):
                file.refuse(f'"{key}" must be a table: write [{".".join(path)}]', *path)
        self.values: dict[str, Any] = value

    @property
    def present(self) -> bool:
        """Whether the file has this table."""
        return len(self.path) == 0 or _has(self.file.values, self.path)

    def text(self, key: str, default: T) -> str | T:
        """A string."""
        return self._read(key, default, str, "a string in quotes")

    def choice(self, key: str, default: str, allowed: tuple[str, ...]) -> str:
        """One of the `allowed` strings."""
        value = self.text(key, default)
        if value not in allowed:
            self.refuse(key, f"{key} = {_shown(value)} must be " + " or ".join(f'"{name}"' for name in allowed))
        return value

    def count(self, key: str, default: int, least: int = 1) -> int:
        """An integer of at least `least`."""
        value = self._read(key, default, int, "a whole number")
        if value < least:
            self.refuse(key, f"{key} = {value} must be at least {least}")
        return value

    def quantity(self, key: str, default: T, parse: Callable[[Any], T]) -> T:
        """A duration or size, parsed by `parse`, which raises ConfigError."""
        self._known.append(key)
        if key not in self.values:
            return default
        try:
            return parse(self.values[key])
        except ConfigError as error:
            self.refuse(key, f"{key}: {error}")

    def texts(self, key: str, default: T) -> tuple[str, ...] | T:
        """A list of strings."""
        value = self._read(key, default, list, 'a list of strings such as ["one", "two"]')
        if isinstance(value, list):
            for item in value:
                if not isinstance(item, str):
                    self.refuse(key, f"{key} must be a list of strings, {_shown(item)} is not one")
            return tuple(value)
        return value

    def finish(self) -> None:
        """Rejects the keys that no method has read."""
        for key in self.values:
            if key not in self._known:
                where = f"in [{'.'.join(self.path)}]" if self.path else "at the top"
                what = "table" if isinstance(self.values[key], dict) else "key"
                self.refuse(key, f'unknown {what} "{key}" {where}{nearest(key, self._known)}')

    def expect(self, *keys: str) -> None:
        """Marks keys that are read elsewhere as known."""
        self._known.extend(keys)

    def refuse(self, key: str, what: str) -> NoReturn:
        """Raises ConfigError `FILE:LINE: what`, with the line of `key`."""
        self.file.refuse(what, *self.path, key)

    def _read(self, key: str, default: object, kind: type, wanted: str) -> Any:
        self._known.append(key)
        if key not in self.values:
            return default
        value = self.values[key]
        if not isinstance(value, kind) or isinstance(value, bool):
            self.refuse(key, f"{key} must be {wanted}, not {_shown(value)}")
        return value


def nearest(name: str, known: Iterable[str]) -> str:
    """`; did you mean "x"?` or `; there are: a, b, c`, as the end of an error message; empty if nothing is known."""
    from difflib import SequenceMatcher  # only needed for errors

    names = sorted(set(known))
    likeness = {other: SequenceMatcher(None, name.lower(), other.lower()).ratio() for other in names}
    best = max(likeness.values(), default=0)
    if best > 0.6:
        close = sorted((other for other in names if likeness[other] > best - 0.1), key=lambda other: -likeness[other])
        return "; did you mean " + " or ".join(f'"{other}"' for other in close[:3]) + "?"
    if names:
        return f"; there are: {', '.join(names[:20])}" + (" …" if len(names) > 20 else "")
    return ""


def _has(values: Any, path: tuple[str, ...]) -> bool:
    for key in path:
        if key not in values:
            return False
        values = values[key]
    return True


def _shown(value: object) -> str:
    """A TOML value, short enough for an error message."""
    text = "true" if value is True else "false" if value is False else repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
