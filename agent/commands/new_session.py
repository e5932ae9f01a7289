"""Checks before a session is opened: its folder, and what every session needs on this machine."""

from __future__ import annotations

import re
import shutil
import tempfile
from itertools import count
from pathlib import Path

from ai_sci.agent.session import GitFailed, try_git
from ai_sci.experiment.base import ConfigError, cache_folder


def session_folder(runs_dir: Path, name: str) -> Path:
    """The folder of a new session. Raises ConfigError when it exists or cannot be written."""
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}", name):
        raise ConfigError(
            f'"{name[:100]}" is not a valid session name: use at most 100 letters, digits, "_", "-" and ".".'
        )
    runs_dir = runs_dir.expanduser().resolve()
    try:
        runs_dir.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=runs_dir).close()
    except OSError as error:
        raise ConfigError(f"cannot write in {runs_dir}: {error.strerror}. Choose another --runs-dir.") from error
    folder = runs_dir / name
    if folder.exists():
        raise ConfigError(f"{folder} exists: take another --session, or `ai-sci resume {folder}`.")
    return folder


def numbered_folder(runs_dir: Path, name: str, mark: str = "") -> Path:
    """As `session_folder`, with a counter after `name` and `mark` when the folder exists."""
    names = (f"{name}{mark}{number}" if number > 1 else name for number in count(1))
    return session_folder(runs_dir, next(one for one in names if not (runs_dir.expanduser() / one).exists()))


def check_machine() -> None:
    """Checks for git and a writable cache before anything is built. Raises ConfigError."""
    if shutil.which("git") is None:
        raise ConfigError("git is not installed, and every session is a git repository: install git.")
    cache_folder("baselines")


def check_git(folder: Path) -> None:
    """Makes a trial commit below `folder`, for a batch: its sessions open when it is under way. Raises ConfigError."""
    try:
        try_git(folder)
    except GitFailed as error:
        raise ConfigError(f"no session can be opened: {error}") from error
