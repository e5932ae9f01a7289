"""One session on disk: its folder, lock, journal and git log, and the state computed from them."""

from __future__ import annotations

import errno
import fcntl
import json
import logging
import math
import os
import shutil
import threading
import time
from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ai_sci.agent.journal import (
    AttemptStarted,
    BaselineMeasured,
    Entry,
    Event,
    Journal,
    JournalError,
    Phase,
    Record,
    SessionEnded,
    SessionStarted,
    State,
    Status,
    advance,
    encode,
    fold,
)
from ai_sci.agent.session.git_command import GitFailed
from ai_sci.agent.session.git_log import GitLog
from ai_sci.agent.session.logbook import rebuild_log, write_log
from ai_sci.agent.session.screen import Screen
from ai_sci.agent.session.workspace import NOTES, PLOT, code_files, code_hash, read_texts, refuse_keys
from ai_sci.experiment.base import ConfigError, ProcessIdentity, identify, still_runs
from ai_sci.experiment.template import Template

JOURNAL = "journal.jsonl"
LOCK = "lock"
_LEFTOVER_PATIENCE = 60.0  # seconds

log = logging.getLogger(__name__)


class Session:
    """An open session, driven by this process alone. Close it to release its lock."""

    def __init__(self, folder: Path, editable: Iterable[str], screen: Screen) -> None:
        """Opens the session in `folder`. Raises ConfigError when another process drives it."""
        self.folder = folder
        self.screen = screen
        self.all_editable = list(editable)
        self._lock = _take_lock(folder)
        self.journal = Journal(folder / JOURNAL)
        self.state: State = fold(self.journal.entries)
        rebuild_log(folder, self.journal.entries)
        self.git = GitLog(folder, self._lock)
        # Monotonic from here on, so that a clock change costs no time.
        self._opened, self._active_before, self._waited = time.monotonic(), self.state.active_seconds, 0.0

    def reopen_journal(self) -> None:
        """Reads the journal again, cutting off a torn tail."""
        self.journal.close()
        self.journal = Journal(self.folder / JOURNAL)
        self.state = fold(self.journal.entries)

    def close(self) -> None:
        """Closes the journal and releases the lock."""
        self.journal.close()
        os.close(self._lock)

    @property
    def started(self) -> SessionStarted:
        """The first event. Raises JournalError when there is none."""
        if self.state.started is None:
            raise JournalError(f"{self.folder / JOURNAL} does not begin with a session: it cannot be continued.")
        return self.state.started

    def record(self, event: Event) -> None:
        """Journals `event`; only once it is on disk are the state and the screen updated."""
        previous = self.journal.entries[-1].at if self.journal.entries else None
        entry = self.journal.append(event)
        advance(self.state, entry, previous)
        event = entry.event  # without keys
        log.debug("%s: %s", self.folder.name, type(event).__name__)
        if isinstance(event, (AttemptStarted, BaselineMeasured)):
            self._waited += event.waited
        write_log(self.folder, entry)
        self.screen.event(event, self.state)

    def end(self, status: Status, reason: str) -> None:
        """Records the end of the session."""
        self.record(SessionEnded(status.value, reason))

    def show(self, doing: str, limit: float | None = None) -> None:
        """Shows the step that starts now, and its time limit in seconds."""
        self.screen.doing(doing, limit)

    def output(self, text: str) -> None:
        """Shows a chunk of the experiment's output."""
        self.screen.output(text)

    # -- files --------------------------------------------------------------------------------------------------

    @property
    def code_files(self) -> list[str]:
        """The editable files that an experiment executes."""
        return code_files(self.all_editable)

    @property
    def editable(self) -> list[str]:
        """The files a reply may edit now: no code once the experiments are over."""
        if self.state.phase is Phase.notes:
            return [NOTES]
        if self.state.phase is Phase.plots:
            return [name for name in self.all_editable if name in (NOTES, PLOT)]
        return self.all_editable

    def editable_texts(self) -> dict[str, str]:
        """The contents of the files a reply may edit now."""
        return read_texts(self.folder, self.editable)

    def code_hash(self, changed: Mapping[str, str] | None = None) -> str:
        """The hash of the code files, with the `changed` texts replacing theirs."""
        return code_hash(self.folder, self.all_editable, changed)

    def restore(self, files: list[str]) -> None:
        """Restores `files` to the last accepted code."""
        self.git.restore(self.state.base_commit, files)

    def commit(
        self, paths: Iterable[str], message: str, trailers: Mapping[str, Any] | None = None, body: str = ""
    ) -> str:
        """Commits to the session's repository; see GitLog.commit."""
        return self.git.commit(paths, message, trailers, body)

    def rewind(self) -> None:
        """After an interruption: drops whatever was not journalled, so that the step can be repeated."""
        self.git.rewind(self.state.head, self.all_editable)

    def time_left(self) -> float:
        """Seconds left of --max-time; infinite without one."""
        if self.state.budgets.time is None:
            return math.inf
        here = time.monotonic() - self._opened - self._waited
        return max(0.0, self.state.budgets.time - self._active_before - here)


def create_folder(folder: Path, template: Template, started: dict[str, Any], notes: str = "") -> None:
    """Creates a session folder: the template's code, settings.json, first commit and first journal line.

    `notes` becomes its notes.txt, where the model may edit that. `started` are the fields of SessionStarted that are
    known beforehand. Raises ConfigError when it exists or cannot be written, and when the template's code holds a key.
    """
    refuse_keys(template.folder, template.editable)
    with folder_in_making(folder) as partial:
        _copy_template(template, partial)
        if notes and NOTES in template.editable:
            (partial / NOTES).write_text(notes, encoding="utf-8", errors="replace")
        files = sorted(path.name for path in partial.iterdir() if path.name != "run_0")
        title = started["idea"].get("Title") or started["idea"]["Name"]
        commit = GitLog(partial).create(files, f"template {template.name}: {title}")
        event = SessionStarted(**started, commit=commit, code_hash=code_hash(partial, template.editable))
        write_records(partial / JOURNAL, [Entry(time.time(), event)])


@contextmanager
def folder_in_making(folder: Path) -> Generator[Path, None, None]:
    """A temporary folder, renamed to `folder` once complete, so that no partial folder is ever seen.

    Raises ConfigError when `folder` exists, cannot be written, or git refuses: there is no session to resume yet.
    """
    if folder.exists():
        raise ConfigError(f"{folder} exists: take another --session, or `ai-sci resume {folder}`.")
    partial = folder.parent / f".{folder.name}.{threading.get_native_id()}.partial"
    try:
        partial.mkdir(parents=True)
        yield partial
        _move_into_place(partial, folder)
    except OSError as error:
        shutil.rmtree(partial, ignore_errors=True)
        raise ConfigError(
            f"cannot write {error.filename or folder}: {error.strerror or error}. Choose another --runs-dir."
        ) from error
    except GitFailed as error:
        shutil.rmtree(partial, ignore_errors=True)
        raise ConfigError(f"no session can be opened: {error}") from error
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise


def write_records(path: Path, records: Iterable[Record[Any]]) -> None:
    """Writes a new journal, which is on disk when this returns."""
    with path.open("xb") as journal:
        journal.writelines(map(encode, records))
        journal.flush()
        os.fsync(journal.fileno())


def _move_into_place(partial: Path, folder: Path) -> None:
    try:
        partial.rename(folder)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
        raise ConfigError(f"{folder} exists since a moment ago: take another --session.") from error


def _copy_template(template: Template, folder: Path) -> None:
    for file in template.files():
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(template.folder / file, folder / file)
    if template.brings_baseline:
        shutil.copytree(template.folder / "run_0", folder / "run_0", symlinks=True)
    if template.settings:
        (folder / "settings.json").write_text(json.dumps(template.settings, indent=2) + "\n")


def is_driven(folder: Path) -> bool:
    """Whether a process is working on the session now."""
    try:
        lock = os.open(folder / LOCK, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(lock)
    return False


def wait_for_leftovers(folder: Path) -> None:
    """Waits for git commands of a killed process to end. Raises ConfigError when a live one drives the session.

    Also for a batch, whose sessions hold its lock until they end.
    """
    deadline = time.monotonic() + _LEFTOVER_PATIENCE
    while is_driven(folder):
        if time.monotonic() > deadline or _driver_is_alive(folder):
            raise ConfigError(f"another process is working on {folder}: wait for it, or end it first.")
        time.sleep(0.01)


def _driver_is_alive(folder: Path) -> bool:
    try:
        pid, started, boot_id = (folder / LOCK).read_text().split()
    except (OSError, ValueError):  # it is just being written
        return False
    return still_runs(ProcessIdentity(int(pid), int(started), boot_id))


def journal_length(folder: Path) -> int:
    """The journal's size in bytes; 0 without one."""
    journal = folder / JOURNAL
    return journal.stat().st_size if journal.is_file() else 0


@contextmanager
def locked(folder: Path) -> Generator[int, None, None]:
    """Holds the session's lock and yields its descriptor. Raises ConfigError when another process drives it."""
    lock = _take_lock(folder)
    try:
        yield lock
    finally:
        os.close(lock)


def _take_lock(folder: Path) -> int:
    """Takes an flock, which the kernel frees when this process and its git commands end, however they end."""
    try:
        lock = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise ConfigError(f"cannot write in {folder}: {error.strerror}.") from error
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError:
            if is_driven(folder):
                os.close(lock)
                raise ConfigError(f"another process is working on {folder}: wait for it, or end it first.") from None
            time.sleep(0.001)  # `is_driven` held it for a moment
    us = identify(os.getpid())
    os.ftruncate(lock, 0)
    os.pwrite(lock, f"{us.pid} {us.started} {us.boot_id}\n".encode(), 0)
    return lock
