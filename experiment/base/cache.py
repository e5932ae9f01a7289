"""The cache folder shared by all sessions: its location, inter-process locks, and content hashes for names."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

from ai_sci.experiment.base.errors import ConfigError

# Tells backups, and us where the cache lies in a template's folder, that this is a cache (bford.info/cachedir).
_TAG = "Signature: 8a477f597d28d172789f06886806bc55\n# This folder is the cache of ai-sci.\n"


def cache_root() -> Path:
    """`$AI_SCI_CACHE`, else `$XDG_CACHE_HOME/ai-sci`, else `~/.cache/ai-sci`; absolute, may not exist yet."""
    own = os.environ.get("AI_SCI_CACHE")
    if own:
        return Path(own).expanduser().absolute()
    xdg = os.environ.get("XDG_CACHE_HOME", "")
    if os.path.isabs(xdg):  # the XDG specification says to ignore a relative one
        return Path(xdg) / "ai-sci"
    return Path.home() / ".cache" / "ai-sci"


def cache_folder(*names: str) -> Path:
    """A folder below `cache_root()`, created if missing. Raises ConfigError if it cannot be created or written."""
    folder = cache_root().joinpath(*names)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not (tag := cache_root() / "CACHEDIR.TAG").exists():
            tag.write_text(_TAG)
    except OSError as error:
        raise ConfigError(f"cannot make the cache folder {folder} ({error.strerror}): set AI_SCI_CACHE to another one")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise ConfigError(f"cannot write to the cache folder {folder}: set AI_SCI_CACHE to another one")
    return folder


@contextmanager
def locked(path: Path, waiting: Callable[[], None] | None = None) -> Generator[int, None, None]:
    """Holds an exclusive flock on `path` (created if missing, never removed) and yields its file descriptor.

    `waiting` is called once if another process or thread holds the lock. The kernel releases the lock when the holder
    dies; a child that inherits the descriptor holds the lock until it exits too.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if waiting is not None:
                waiting()
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        try:
            yield descriptor
        finally:
            # Closing is not enough: a daemon left behind by a child may still have a copy of the descriptor.
            fcntl.flock(descriptor, fcntl.LOCK_UN)
    finally:
        os.close(descriptor)


def hash_of(*parts: object) -> str:
    """20 hex digits of SHA-256 over the parts: bytes as they are, anything else as JSON with sorted keys."""
    digest = hashlib.sha256()
    for part in parts:
        if isinstance(part, bytes):
            kind, data = b"b", part
        else:
            kind, data = b"j", json.dumps(part, sort_keys=True, default=str).encode()
        digest.update(b"%s%d:" % (kind, len(data)))
        digest.update(data)
    return digest.hexdigest()[:20]
