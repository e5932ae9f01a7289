"""Detects forbidden changes by an experiment, and reverts them."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ai_sci.experiment.results.results import RESULT_NAME

_KEPT_BYTES = 16 * 1024**2  # larger files are only fingerprinted and cannot be restored
_RUN = re.compile(r"run_\d+")


@dataclass(frozen=True)
class _Kept:
    fingerprint: str
    content: bytes | None


class Protected:
    """The state of a session before an attempt: its code, settings, and the results of other runs."""

    def __init__(self, session: Path, files: Iterable[Path], run: str) -> None:
        """`files` are relative to `session`; `run` names the only folder that the attempt may fill."""
        self._session, self._run = session, run
        results = [Path(name, RESULT_NAME) for name in self._other_runs()]
        self._runs = set(self._other_runs())
        self._kept = {path: _keep(session / path) for path in {*files, Path("settings.json"), *results}}

    def changes(self) -> list[str]:
        """Paths that were changed, removed or created, sorted."""
        changed = [str(path) for path, kept in self._kept.items() if _keep(self._session / path) != kept]
        return sorted([*changed, *self._planted()])

    def restore(self) -> None:
        """Restores the files that were small enough to keep, and removes planted runs."""
        for name in self._planted():
            _remove(self._session / name)
        for path, kept in self._kept.items():
            place = self._session / path
            if _keep(place) == kept:
                continue
            if kept is None:
                _remove(place)
            elif kept.content is not None:
                _remove(place)
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_bytes(kept.content)

    def _other_runs(self) -> list[str]:
        return [name for name in os.listdir(self._session) if _RUN.fullmatch(name) and name != self._run]

    def _planted(self) -> list[str]:
        return [name for name in self._other_runs() if name not in self._runs]


def _keep(path: Path) -> _Kept | None:
    """None if it is not a regular file; a symlink does not count as one."""
    try:
        found = os.lstat(path)
        if not stat.S_ISREG(found.st_mode):
            return None
        if found.st_size > _KEPT_BYTES:
            # Only the kernel sets the ctime, so there is no need to read gigabytes before every attempt.
            return _Kept(f"{found.st_ino} {found.st_size} {found.st_mtime_ns} {found.st_ctime_ns}", None)
        content = path.read_bytes()
        return _Kept(hashlib.sha256(content).hexdigest(), content)
    except OSError:
        return None


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
