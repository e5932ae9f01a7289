"""The session's git repository: `git log --oneline` reads as the story of the night."""

from __future__ import annotations

import hashlib
import logging
import os
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ai_sci.experiment.base import AiSciError
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

log = logging.getLogger(__name__)


class GitFailed(AiSciError):
    """git is missing or refused; the session is kept and can be resumed."""

    exit_code = 3


class GitLog:
    """The git side of one session folder. Raises GitFailed when git refuses."""

    def __init__(self, folder: Path, lock: int | None = None) -> None:
        """`lock`: a descriptor that git commands inherit, since one may outlive a killed harness."""
        self.folder = folder
        self._held = () if lock is None else (lock,)
        # Inside a git hook these are set, and git would commit to the wrong repository.
        for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX"):
            os.environ.pop(name, None)

    def _git(self, *args: str, stdin: str | None = None) -> str:
        """Runs git. Lists and messages go through `stdin`: an argument may be 128 KiB long, a list of files more."""
        try:
            from git import Git
            from git.exc import GitCommandError, GitCommandNotFound
        except ImportError as error:  # GitPython looks for git when it is imported
            raise GitFailed(f"git cannot be used: {str(error).splitlines()[0]} Install git.") from error
        log.debug("git %s in %s", " ".join(args), self.folder)
        with tempfile.TemporaryFile() as given:
            given.write((stdin or "").encode("utf-8", "surrogateescape"))
            given.seek(0)
            try:
                return Git(str(self.folder)).execute(  # type: ignore[return-value]
                    ["git", *args],
                    istream=given,
                    env={"GIT_LITERAL_PATHSPECS": "1"},
                    strip_newline_in_stdout=False,
                    pass_fds=self._held,
                )
            except GitCommandNotFound as error:
                raise GitFailed("git is not installed: install git, then `ai-sci resume` goes on.") from error
            except GitCommandError as error:
                detail = (error.stderr or str(error)).strip().removeprefix("stderr: ").strip("'\n ")
                said = detail.splitlines()[0] if error.stderr else f"exit code {error.status}"
                log.debug("git ended with %s: %s", error.status, detail)
                raise GitFailed(f"git {args[0]} failed in {self.folder}: {said}") from error

    def create(self, files: Iterable[str], message: str) -> str:
        """A new repository with one commit of `files`. Returns the commit."""
        self._init()
        return self.commit(files, message)

    def adopt(self, source: Path, commit: str) -> None:
        """A new repository with the history and the files of `source`, which is only read, at `commit`."""
        self._init()
        self._git("-c", "protocol.version=2", "fetch", "-q", "--no-tags", str(source), commit)
        self._git("reset", "-q", "--hard", commit)

    def _init(self) -> None:
        self._git("init", "-q", "-b", "main")
        config = (self.folder / ".git" / "config").open("a")
        with config:
            # The user's hooks, daemons, signing and line-ending rules must not affect a session.
            config.write(
                "[user]\n\tname = ai-sci\n\temail = ai-sci@localhost\n[commit]\n\tgpgsign = false\n"
                "[core]\n\thooksPath = /dev/null\n\tautocrlf = false\n\tfsmonitor = false\n"
                # What the journal says is committed must survive a power cut.
                "\tfsync = committed\n[gc]\n\tauto = 0\n[maintenance]\n\tauto = false\n"
            )
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
