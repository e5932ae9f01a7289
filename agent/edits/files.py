"""Writes planned texts into a session folder: all of them or none, and nothing outside the folder."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path, PurePosixPath


class EditRefused(Exception):
    """The reply is refused as a whole. Each reason is a sentence, some followed by lines of the file."""

    def __init__(self, reasons: list[str]) -> None:
        super().__init__("\n".join(reasons))
        self.reasons = reasons


def write_files(folder: Path, new_files: Mapping[str, str]) -> None:
    """Write each text beside its file, then rename all of them into place, so that a full disk changes nothing.

    Raises EditRefused for a name outside the folder, one that passes through a symbolic link, or one that is not a
    regular file; OSError, with all files as they were, when the system refuses.
    """
    targets = {name: _checked(folder, name) for name in new_files}
    written: dict[Path, Path] = {}
    try:
        for name, target in targets.items():
            target.parent.mkdir(parents=True, exist_ok=True)
            written[target] = _write_beside(target, new_files[name])
        _put_in_place(written)
    finally:
        for beside in written.values():
            beside.unlink(missing_ok=True)


def _checked(folder: Path, name: str) -> Path:
    """The path of a file that may be written. Raises EditRefused."""
    parts = PurePosixPath(name).parts
    if not parts or PurePosixPath(name).is_absolute() or ".." in parts or "\\" in name or "\0" in name:
        raise EditRefused([f"`{name}` is not a file inside the session's folder."])
    path = folder
    for part in parts:
        path = path / part
        if path.is_symlink():
            raise EditRefused([f"{name} is not written: {path.relative_to(folder)} is a symbolic link."])
    if path.exists() and not path.is_file():
        raise EditRefused([f"{name} is not written: it is not a regular file."])
    return path


def _write_beside(target: Path, text: str) -> Path:
    """Write the text to a new file beside the target, synced, with the target's permissions; returns its path."""
    beside = target.with_name(f".{target.name}.new")
    beside.unlink(missing_ok=True)  # a harness that was killed here may have left one
    mode = stat.S_IMODE(target.stat().st_mode) if target.exists() else None
    try:
        with beside.open("xb") as file:
            file.write(text.encode("utf-8", "surrogateescape"))
            file.flush()
            os.fsync(file.fileno())
        if mode is not None:
            beside.chmod(mode)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    return beside


def _put_in_place(written: Mapping[Path, Path]) -> None:
    """Rename all; when one fails, restore those already renamed."""
    old = {target: target.read_bytes() if target.exists() else None for target in written}
    done: list[Path] = []
    try:
        for target, beside in written.items():
            beside.replace(target)
            done.append(target)
    except BaseException:
        for target in done:
            content = old[target]
            if content is None:
                target.unlink()
            else:
                target.write_bytes(content)
        raise
    for folder in {target.parent for target in written}:
        _sync_folder(folder)


def _sync_folder(folder: Path) -> None:
    """Make the renames durable."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
