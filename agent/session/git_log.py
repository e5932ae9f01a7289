"""The session's git repository: `git log --oneline` reads as the story of the night."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ai_sci.agent.session.git_command import run_git
from ai_sci.keys import mask_keys

LARGEST_TRACKED = 1 << 20  # bytes; larger artefacts stay untracked, with their hash in the commit message
MOST_TRACKED = 1000  # files per run; MOST_BYTES is the limit on their total size
MOST_BYTES = 20 << 20
MOST_HASHED = 20 << 30  # bytes; a sparse file can claim to be any size

# Projections, working copies and the lock do not belong in the history.
_EXCLUDED = [
    "journal.jsonl",
    "lock",
    "log.md",
    "attempts/*/out",  # a folder, or whatever the experiment replaced it with
    "attempts/*/out[0-9]*",
    "attempts/*/work/",
    "attempts/*/code/",
    "attempts/*.lost*/",
    "replay/",
    "report.html",
    "report.md",
    "__pycache__/",
]


class GitLog:
    """The git side of one session folder. Raises GitFailed when git refuses."""

    def __init__(self, folder: Path, lock: int | None = None) -> None:
        """`lock`: a descriptor that git commands inherit, since one may outlive a killed harness."""
        self.folder = folder
        self._held = () if lock is None else (lock,)

    def _git(self, *args: str, stdin: str | None = None) -> str:
        return run_git(self.folder, *args, stdin=stdin, held=self._held).decode("utf-8", "surrogateescape")

    def create(self, files: Iterable[str], message: str) -> str:
        """A new repository with one commit of `files`. Returns the commit."""
        self._init()
        return self.commit(files, message)

    def adopt(self, source: Path, commit: str) -> None:
        """A new repository with the history and the files of `source`, which is only read, at `commit`."""
        self._init()
        # The other end is a git of its own, which looks at who owns the source: that is only read.
        there = "git -c 'safe.directory=*' upload-pack"
        self._git("fetch", "-q", "--no-tags", f"--upload-pack={there}", str(source.absolute()), commit)
        self._git("reset", "-q", "--hard", commit)

    def _init(self) -> None:
        self._git("init", "-q", "--template=")
        (self.folder / ".git" / "HEAD").write_text("ref: refs/heads/main\n")  # `init -b` came with git 2.28
        (self.folder / ".git" / "info").mkdir(exist_ok=True)
        (self.folder / ".git" / "info" / "exclude").write_text("\n".join(_EXCLUDED) + "\n")
        # Overrides any .gitattributes an experiment leaves, so files are committed byte for byte.
        attributes = "* -text -filter -ident -working-tree-encoding\n"
        (self.folder / ".git" / "info" / "attributes").write_text(attributes)

    def commit(
        self,
        paths: Iterable[str],
        message: str,
        trailers: Mapping[str, Any] | None = None,
        body: str = "",
    ) -> str:
        """Commits `paths` (relative; a folder means everything in it) and returns the commit's hash.

        An outcome that changes no file still gets a commit.
        """
        there, gone = [], []
        for path in paths:
            (there if os.path.lexists(self.folder / path) else gone).append(path)
        if there:
            self._git("add", "-f", "--pathspec-from-file=-", "--pathspec-file-nul", stdin="\0".join(there))
        if gone:
            self._git("rm", "-q", "--cached", "--ignore-unmatch", "--", *gone)
        parts = [message.strip()]
        if body.strip():
            parts.append(body.strip())
        if trailers:
            parts.append("\n".join(f"{key}: {value}" for key, value in trailers.items()))
        self._git("commit", "-q", "--allow-empty", "--cleanup=verbatim", "-F", "-", stdin=mask_keys("\n\n".join(parts)))
        return self.head()

    def head(self) -> str:
        """The hash of the current commit."""
        return self._git("rev-parse", "HEAD").strip()

    def restore(self, commit: str, files: Iterable[str]) -> None:
        """Puts `files` back as they were at `commit`; one that did not exist then is removed."""
        there = set(self._git("ls-tree", "-r", "-z", "--name-only", commit).split("\0"))
        known = [name for name in files if name in there]
        if known:
            self._git("checkout", "-q", commit, "--", *known)
        for name in files:
            if name not in there:
                (self.folder / name).unlink(missing_ok=True)

    def rewind(self, commit: str, files: Iterable[str]) -> None:
        """After a crash: drops commits and edits that were never journalled, and restores every tracked file, since an
        unsandboxed attempt may have changed any of them. Untracked results stay.

        Call it only while holding the session's lock: git lock files found here are then stale and are removed.
        """
        for place, folders, names in os.walk(self.folder / ".git"):
            if "pack" in folders and os.path.basename(place) == "objects":
                folders[:] = ["info"]  # the rest are objects, tens of thousands after a long session
            for name in names:
                if name.endswith(".lock"):
                    Path(place, name).unlink()
        self._git("reset", "-q", commit)
        self._git("checkout", "-q", commit, "--", ".")
        self.restore(commit, files)


def try_git(folder: Path) -> str:
    """Makes a commit in a repository for a moment below `folder`; returns git's version. Raises GitFailed."""
    with tempfile.TemporaryDirectory(prefix=".git-trial-", dir=folder) as name:
        trial = Path(name)
        (trial / "file").touch()
        GitLog(trial).create(["file"], "a trial")
        return run_git(trial, "version").decode().strip().removeprefix("git version ")


def split_artefacts(folder: Path, out_dir: Path) -> tuple[list[str], dict[str, str]]:
    """The files under `out_dir` that go into git, and the sha256 of those that do not (too large, or too many).

    Paths are relative to `folder`. Symbolic links are skipped: their targets are not the run's.
    """
    tracked: list[str] = []
    hashed: dict[str, str] = {}
    total = hashing = 0
    # git would treat a folder with a .git as another repository and skip its contents.
    for repository in list(out_dir.rglob(".git")):
        repository.rename(repository.with_name(".git-of-the-run"))
    # The results come first, so they are committed whatever else a run leaves.
    for path in sorted(out_dir.rglob("*"), key=lambda path: (path.name != "final_info.json", path)):
        if path.is_symlink() or not path.is_file() or "__pycache__" in path.parts:
            continue
        name, size = str(path.relative_to(folder)), path.stat().st_size
        small = size <= LARGEST_TRACKED and len(tracked) < MOST_TRACKED and total + size <= MOST_BYTES
        if small:
            tracked.append(name)
            total += size
            continue
        hashing += size
        hashed[name] = sha256_of(path) if hashing <= MOST_HASHED else f"not computed, {size} bytes"
    return tracked, hashed


def sha256_of(path: Path) -> str:
    """The sha256 of a file, in hex."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()
