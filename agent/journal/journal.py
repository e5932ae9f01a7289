"""The journal: append-only, fsynced JSON lines, the only source of truth for a session or a batch."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import functools
import json
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from ai_sci.agent.journal.events import EVENT_TYPES, Event
from ai_sci.agent.journal.formats import FORMAT, NewerRecord, is_record, newer_writer, upcast
from ai_sci.experiment.base import AiSciError
from ai_sci.keys import mask_keys, mask_keys_in


class JournalError(AiSciError):
    """The journal cannot be read or written. Its contents are kept and the session can be resumed."""

    exit_code = 3


class NewerJournal(JournalError):
    """A newer ai-sci wrote this journal. It is intact, and this version does not touch it."""

    exit_code = 2


E = TypeVar("E")


@dataclass(frozen=True)
class Record(Generic[E]):
    """One journal line; `at` is in seconds since the epoch."""

    at: float
    event: E


Entry = Record[Event]


@functools.cache  # needed for every record of a long journal
def _fields(cls: type) -> frozenset[str]:
    return frozenset(field.name for field in dataclasses.fields(cls))


def _fields_without_keys(event: Any) -> dict[str, Any]:
    return mask_keys_in({field.name: getattr(event, field.name) for field in dataclasses.fields(event)})


def encode(entry: Record[Any]) -> bytes:
    """One line with its newline, without keys. ASCII only, so a torn write never splits a character."""
    record: dict[str, Any] = {"at": round(entry.at, 3), "v": FORMAT, "event": entry.event.kind}
    record |= _fields_without_keys(entry.event)
    return json.dumps(record, allow_nan=False).encode("ascii") + b"\n"


def decode(line: bytes, types: Mapping[str, type[E]]) -> Record[E]:
    """The inverse of `encode`; also reads earlier formats.

    Raises NewerRecord for a record from a newer version, ValueError for anything else it cannot read.
    """
    try:
        record = json.loads(line)
        if not is_record(record):
            raise ValueError("not a journal record")
        upcast(record)
        text = line.decode("utf-8", "replace")
        if mask_keys(text) != text:  # an earlier version recorded it, or the key is newer than the journal
            record = mask_keys_in(record)
        at, kind = float(record.pop("at")), record.pop("event")
        if kind not in types:
            raise NewerRecord(f"a record of the kind {kind!r}")
        # A newer version may have added fields; they are safe to ignore.
        cls = types[kind]
        event = cls(**{key: value for key, value in record.items() if key in _fields(cls)})
    except (TypeError, OverflowError, RecursionError) as error:
        raise ValueError(f"not a journal record: {error}") from error
    return Record(at, event)


def read_journal(path: Path) -> list[Entry]:
    """All whole records of a session. A last line torn by a crash is dropped.

    Raises NewerJournal, or JournalError when any other line cannot be read.
    """
    return parse(path, EVENT_TYPES)[0]


def parse(path: Path, types: Mapping[str, type[E]]) -> tuple[list[Record[E]], int]:
    """The whole records and their size in bytes. Raises like `read_journal`."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise JournalError(f"cannot read {path}: {error.strerror}") from error
    entries: list[Record[E]] = []
    whole = 0
    lines = content.split(b"\n")
    for number, line in enumerate(lines[:-1], start=1):  # anything after the last newline is unfinished
        try:
            entries.append(decode(line, types))
        except NewerRecord as error:
            raise NewerJournal(f"{path}: {newer_writer(lines[:number])}.") from error
        except ValueError as error:
            if number == len(lines) - 1 and not lines[-1] and is_torn(line):
                break  # the newline reached the disk, but not all of the line before it
            raise JournalError(f"{path}:{number}: {error}. Restore the file or start a new session.") from error
        whole += len(line) + 1
    return entries, whole


def is_torn(line: bytes) -> bool:
    """Whether a last line is a torn write. A whole record that we cannot read is not, and is never cut off."""
    try:
        return not is_record(json.loads(line))
    except (ValueError, RecursionError):
        return True


class Records(Generic[E]):
    """A journal open for appending. `append` returns once the record is on disk."""

    def __init__(self, path: Path, types: Mapping[str, type[E]], clock: Callable[[], float] = time.time) -> None:
        """Opens or creates `path` and cuts off a torn tail. Raises JournalError or NewerJournal."""
        self.path = path
        self._clock = clock
        try:
            self._file = open(path, "ab", buffering=0)  # noqa: SIM115  closed by close()
        except OSError as error:
            raise JournalError(f"cannot write {path}: {error.strerror}") from error
        self.entries, self._whole = parse(path, types)
        self._torn = False
        if self._file.tell() > self._whole:
            self._cut_tail()

    @property
    def events(self) -> list[E]:
        """The events alone, without their times."""
        return [entry.event for entry in self.entries]

    def append(self, event: E) -> Record[E]:
        """Writes and fsyncs one record, whole or not at all. Raises JournalError when the disk fails."""
        # What is in memory, and from there on the wire, is what is on disk.
        entry = Record(self._clock(), dataclasses.replace(event, **_fields_without_keys(event)))  # type: ignore[type-var]
        line = unwritten = encode(entry)
        try:
            if self._torn:
                raise OSError(errno.EIO, "it ends in half a record, which could not be removed")
            while unwritten:
                unwritten = unwritten[self._file.write(unwritten) :]
            os.fsync(self._file.fileno())
        except OSError as error:
            # A record after half a line would look like a damaged journal.
            with contextlib.suppress(OSError):
                self._cut_tail()
            raise JournalError(
                f"cannot write {self.path}: {error.strerror}. Free some space, then `ai-sci resume` goes on."
            ) from error
        self._whole += len(line)
        self.entries.append(entry)
        return entry

    def _cut_tail(self) -> None:
        """Cuts off everything after the last whole record. Raises OSError, after which nothing may be appended."""
        self._torn = True
        self._file.truncate(self._whole)
        os.fsync(self._file.fileno())
        self._torn = False

    def close(self) -> None:
        """Closes the file; every record is already on disk."""
        self._file.close()


class Journal(Records[Event]):
    """A session's journal."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        super().__init__(path, EVENT_TYPES, clock)
