"""Follows a journal that another process writes, without reading anything twice."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Generic, TypeVar

from ai_sci.agent.journal.formats import NewerRecord, newer_writer
from ai_sci.agent.journal.journal import Record, decode, is_torn

E = TypeVar("E")

_REMEMBERED = 200  # bytes of the last line read, to recognise the file


@dataclass(frozen=True)
class News(Generic[E]):
    """New records. `anew` means that the file was replaced, so these start from its first record."""

    records: list[Record[E]]
    anew: bool


class Tail(Generic[E]):
    """A reader of one journal. `trouble` says why it cannot read on; empty while it can."""

    def __init__(self, path: Path, types: Mapping[str, type[E]]) -> None:
        self._path = path
        self._types = types
        self._offset = 0  # end of the last whole record, in bytes
        self._before = b""  # the bytes just before it
        self._lines = 0
        self._looked_at: tuple[int, ...] = ()
        self.trouble = ""

    def read(self) -> News[E]:
        """The whole records added since the last call. An unfinished line waits; a missing file counts as empty."""
        try:
            with self._path.open("rb") as file:
                found = os.fstat(file.fileno())
                looked_at = (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)
                if looked_at == self._looked_at:
                    return News([], False)
                anew = self._offset > 0 and not self._continues(file, found.st_size)
                if anew:
                    self._offset, self._before, self._lines = 0, b"", 0
                file.seek(self._offset)
                content = file.read()
        except FileNotFoundError:
            return self._gone()
        except OSError as error:
            self.trouble, self._looked_at = f"cannot read {self._path}: {error.strerror}", ()
            return News([], False)
        self._looked_at = looked_at
        return News(self._take(content), anew)

    def _continues(self, file: BinaryIO, size: int) -> bool:
        """Whether this is still the file read so far: a journal only grows, unless it was replaced."""
        if size < self._offset:
            return False
        file.seek(self._offset - len(self._before))
        return file.read(len(self._before)) == self._before

    def _gone(self) -> News[E]:
        anew = self._offset > 0
        self._offset, self._before, self._lines, self._looked_at, self.trouble = 0, b"", 0, (), ""
        return News([], anew)

    def _take(self, content: bytes) -> list[Record[E]]:
        self.trouble = ""
        records: list[Record[E]] = []
        lines = content.split(b"\n")
        for number, line in enumerate(lines[:-1], start=1):  # anything after the last newline is still being written
            try:
                records.append(decode(line, self._types))
            except NewerRecord:
                self.trouble = f"{self._path}: {newer_writer(lines[:number])}"
                break
            except ValueError as error:
                if number == len(lines) - 1 and not lines[-1] and is_torn(line):
                    break  # torn despite its newline: its writer cuts it off on resume
                self.trouble = f"{self._path}:{self._lines + 1}: {error}"
                break
            self._offset += len(line) + 1
            self._lines += 1
            self._before = (line + b"\n")[-_REMEMBERED:]
        return records
