"""Who waits for which slots of this machine, in order: each waiter has a file beside the locks that names them."""

from __future__ import annotations

import contextlib
import itertools
import os
import time
from collections.abc import Iterable
from pathlib import Path

_PREFIX = "wait-"
_SILENT = 3.0  # seconds: who has not asked for so long is dead, or stopped, and nobody waits for it

_numbers = itertools.count()


class PlaceInLine:
    """Ours among all who wait for one of these locks. A process that waits for several of its sessions has one."""

    def __init__(self, folder: Path, locks: Iterable[str]) -> None:
        self._folder, self._locks = folder, tuple(locks)
        self._file: Path | None = None

    def ahead(self) -> frozenset[str]:
        """The locks that somebody who came before us still waits for."""
        wanted: set[str] = set()
        # Their names begin with the time since boot, which is one clock for all; a file of an earlier boot is silent.
        for path in sorted(self._folder.glob(_PREFIX + "*")):
            if self._file is not None and path.name >= self._file.name:
                break
            with contextlib.suppress(FileNotFoundError):  # it has just got what it waited for
                if abs(time.time() - path.stat().st_mtime) < _SILENT:  # the clock may have been put back
                    wanted.update(path.read_text().split())
                else:
                    with contextlib.suppress(PermissionError):  # of another user, who will remove it
                        path.unlink()
        return frozenset(wanted)

    def keep(self) -> None:
        """Takes a place at the end, or says that we still want ours; to be called more often than once a second."""
        if self._file is None:
            self._file = self._folder / f"{_PREFIX}{time.monotonic_ns():020d}-{os.getpid()}-{next(_numbers)}"
        try:
            os.utime(self._file)
        except FileNotFoundError:  # new, or removed by others while we were stopped
            whole = self._folder / f".{self._file.name}"
            whole.write_text("\n".join(self._locks))
            whole.chmod(0o644)
            whole.rename(self._file)

    def leave(self) -> None:
        if self._file is not None:
            self._file.unlink(missing_ok=True)
            self._file = None
