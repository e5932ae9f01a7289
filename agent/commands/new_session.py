"""Before a session is opened: where it will be, and what every session needs of this machine."""

from __future__ import annotations

import re
import shutil
import tempfile
from pathlib import Path

from ai_sci.experiment.base import ConfigError, cache_folder


def session_folder(runs_dir: Path, name: str) -> Path:
    """Where a new session will be. Raises ConfigError when it is taken or cannot be written."""
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}", name):
        raise ConfigError(
            f'"{name[:100]}" is not a name for a session: use at most 100 letters, digits, "_", "-" and ".".'
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


def check_machine() -> None:
    """What every session needs, found out before anything is built. Raises ConfigError."""
    if shutil.which("git") is None:
        raise ConfigError("git is not installed, and every session is a git repository: install git.")
    cache_folder("baselines")
