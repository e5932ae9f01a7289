"""Reads a session's commits in bulk: a report of 500 runs asks git a handful of times, not once per run."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from ai_sci.agent.session import GitFailed, run_git
from ai_sci.experiment.base import ConfigError

LARGEST = 8 << 20  # bytes; larger files are only named on the page
_HEADER = re.compile(rb"[0-9a-f]{40,64}\Z")


class Commits:
    """Files and differences of the commits in one session folder. Raises ConfigError when git refuses."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def files(self, names: Iterable[str]) -> dict[str, bytes]:
        """The content of each `COMMIT:PATH` that exists and is not larger than LARGEST."""
        asked = [name for name in dict.fromkeys(names) if "\n" not in name]
        if not asked:
            return {}
        sizes = self._git(["cat-file", "--batch-check=%(objecttype) %(objectsize)"], asked).split(b"\n")
        small = []
        for name, line in zip(asked, sizes):
            kind, _, size = line.rpartition(b" ")
            if kind in (b"blob", b"tree") and int(size) <= LARGEST:
                small.append(name)
        out = self._git(["cat-file", "--batch=%(objectsize)"], small)
        contents: dict[str, bytes] = {}
        start = 0
        for name in small:
            end = out.index(b"\n", start)
            size = int(out[start:end])
            contents[name] = out[end + 1 : end + 1 + size]
            start = end + size + 2
        return contents

    def names(self, folders: Iterable[str]) -> dict[str, list[str]]:
        """The names directly in each `COMMIT:FOLDER` that exists."""
        return {folder: _tree_names(content) for folder, content in self.files(folders).items()}

    def diffs(self, pairs: Iterable[tuple[str, str]], paths: Sequence[str]) -> dict[tuple[str, str], str]:
        """What changed in `paths` between the two commits of each pair, as unified diffs; "" when nothing did."""
        asked = [pair for pair in dict.fromkeys(pairs) if pair[0] and pair[1]]
        if not asked or not paths:
            return dict.fromkeys(asked, "")
        # A commit followed by another is compared with that one as if it were its parent.
        command = ["diff-tree", "--stdin", "--always", "-p", "--no-color", "--no-ext-diff", "--no-textconv", "--"]
        out = self._git([*command, *paths], [f"{new} {old}" for old, new in asked])
        pieces: list[list[str]] = []
        for line in out.split(b"\n"):
            if _HEADER.match(line):  # no line of a diff can look like this
                pieces.append([])
            elif pieces:
                pieces[-1].append(line.decode("utf-8", "replace"))
        if len(pieces) != len(asked):
            raise ConfigError(f"git diff-tree in {self.folder} answered {len(pieces)} of {len(asked)} questions.")
        return {pair: "\n".join(lines).strip("\n") for pair, lines in zip(asked, pieces)}

    def _git(self, command: list[str], lines: list[str]) -> bytes:
        try:
            return run_git(self.folder, *command, stdin="".join(f"{line}\n" for line in lines))
        except GitFailed as error:  # a resume would not help
            raise ConfigError(f"a report reads the session's commits: {error}") from error


def _tree_names(content: bytes) -> list[str]:
    """Parses a tree object: `MODE NAME\\0` and a 20-byte hash per entry."""
    names: list[str] = []
    start = 0
    while start < len(content):
        space = content.index(b" ", start)
        end = content.index(b"\0", space)
        names.append(content[space + 1 : end].decode("utf-8", "replace"))
        start = end + 21
    return names
