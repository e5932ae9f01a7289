"""What a folder's own `.gitignore` files name. git itself is asked, since its rules nest, negate and re-include."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterable
from pathlib import Path

from ai_sci.experiment.base import ConfigError

_EACH_MAY_TAKE = 120.0  # seconds


class GitIgnore:
    """The rules below one folder. A repository around it, and the user's own git configuration, have no say."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._tracked: set[Path] | None = None

    def ignored(self, paths: Iterable[Path]) -> set[Path]:
        """Those of `paths`, relative to the folder, that git would ignore; what git tracks is never ignored."""
        asked = list(paths)
        if not asked:
            return set()
        with tempfile.TemporaryDirectory(prefix="ai-sci-git-") as scratch:
            # An empty repository, by hand: `git init` would bring the user's templates and hooks.
            for name in ("objects", "refs"):
                (Path(scratch) / name).mkdir()
            (Path(scratch) / "HEAD").write_text("ref: refs/heads/main\n")
            done = self._git(
                *(f"--git-dir={scratch}", f"--work-tree={self._folder}", "check-ignore", "--no-index", "-z", "--stdin"),
                given=b"".join(b"./" + os.fsencode(path) + b"\0" for path in asked),  # a name may begin with a colon
            )
        if done.returncode > 1:
            said = (done.stderr.decode(errors="replace").strip().splitlines() or ["no message"])[-1]
            raise ConfigError(f"git cannot apply the .gitignore files of {self._folder}: {said}")
        found = _paths(done.stdout)
        return found - self._tracked_paths() if found else found

    def _tracked_paths(self) -> set[Path]:
        """Files below the folder that are in a repository's index, and the folders above them."""
        if self._tracked is None:
            done = self._git("-c", "safe.directory=*", "-c", "core.fsmonitor=false", "ls-files", "-z")
            files = _paths(done.stdout) if done.returncode == 0 else set()  # no repository is not an error
            self._tracked = files | {above for path in files for above in path.parents}
        return self._tracked

    def _git(self, *args: str, given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
        env = {
            **kept,
            **{"GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull},
            **{"HOME": os.devnull, "XDG_CONFIG_HOME": os.devnull, "LC_ALL": "C"},  # git before 2.32
        }
        try:
            return subprocess.run(
                ["git", *args], cwd=self._folder, env=env, input=given, capture_output=True, timeout=_EACH_MAY_TAKE
            )
        except FileNotFoundError as error:
            raise ConfigError("git is not installed, and every session is a git repository: install git.") from error
        except (OSError, subprocess.TimeoutExpired) as error:
            raise ConfigError(f"git cannot apply the .gitignore files of {self._folder}: {error}") from error


def _paths(output: bytes) -> set[Path]:
    return {Path(os.fsdecode(name)) for name in output.split(b"\0") if name}
