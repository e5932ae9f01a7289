"""The queue for this machine's slots: each waiter has a file next to the locks that lists the ones it wants."""

from __future__ import annotations

import contextlib
import itertools
import os
import time
from collections.abc import Iterable
from pathlib import Path

_PREFIX = "wait-"
_SILENT = 3.0  # seconds: a waiter silent for this long is dead or stopped, and loses its place

_numbers = itertools.count()


class PlaceInLine:
    """Our place in the queue for these locks. A process has one, however many of its sessions wait."""

    def __init__(self, folder: Path, locks: Iterable[str]) -> None:
        self._folder, self._locks = folder, tuple(locks)
        self._file: Path | None = None

    def ahead(self) -> frozenset[str]:
        """The locks wanted by waiters ahead of us."""
        wanted: set[str] = set()
        # Names start with the time since boot, a clock all processes share; files from an earlier boot are stale.
        for path in sorted(self._folder.glob(_PREFIX + "*")):
            if self._file is not None and path.name >= self._file.name:
                break
            with contextlib.suppress(FileNotFoundError):  # it just got its slot
                if abs(time.time() - path.stat().st_mtime) < _SILENT:  # abs: the clock may have been set back
                    wanted.update(path.read_text().split())
                else:
                    with contextlib.suppress(PermissionError):  # another user's file: left for its owner to remove
                        path.unlink()
        return frozenset(wanted)

    def keep(self) -> None:
        """Joins the end of the queue, or keeps our place in it. Call at least once a second."""
        if self._file is None:
            self._file = self._folder / f"{_PREFIX}{time.monotonic_ns():020d}-{os.getpid()}-{next(_numbers)}"
        try:
            os.utime(self._file)
        except FileNotFoundError:  # new, or removed by another waiter while we were stopped
            whole = self._folder / f".{self._file.name}"
            whole.write_text("\n".join(self._locks))
            whole.chmod(0o644)
            whole.rename(self._file)

    def leave(self) -> None:
        """Gives up our place, if we have one."""
        if self._file is not None:
            self._file.unlink(missing_ok=True)
            self._file = None
