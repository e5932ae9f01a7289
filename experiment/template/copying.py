"""Which of a template's files are copied into a session: code and data, never results, environments, caches."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path, PurePath

from ai_sci.experiment.base import ConfigError, format_size
from ai_sci.experiment.template.gitignore import GitIgnore

LARGEST = 100 * 1024**2  # bytes of one file; more than that GitHub does not take either
LARGEST_TOGETHER = 1024**3

# Copied whatever a .gitignore says, as is what `template.toml` names.
_NEEDED = ("experiment.py", "plot.py", "notes.txt", "template.toml", "prompt.json")
# Not copied from the top of a template: results, files only the harness reads, and leftovers.
_LEFT_OUT = {"scripted", "ideas.json", "seed_ideas.json", "latex", "settings.json", "README.md", "nohup.out"}
_NUMBERED = re.compile(r"run_\d+|slurm-\d+(?:_\d+)?\.out")
_JOURNALS = ("journal.jsonl", "batch.jsonl")  # a folder that holds one is a session or a batch
# What tells an environment, or a part of one that shares the template's own folder, and a cache.
_MARKS = ("pyvenv.cfg", "conda-meta", "bin/activate", "activate", "site-packages", "CACHEDIR.TAG")
_LOGS = {"wandb", "mlruns"}  # what experiment trackers write into the current folder
_START = 512  # bytes of a journal, in which its first event is named
_SHOWN = 5


@dataclass(frozen=True)
class Selection:
    """`files` are copied; `links`, `ignored` and `unreadable` are not, which may surprise. Paths are relative."""

    files: tuple[Path, ...]
    links: tuple[Path, ...] = ()  # to folders, or to nothing
    ignored: tuple[Path, ...] = ()  # named in a .gitignore
    unreadable: tuple[Path, ...] = ()


def select(folder: Path, named: Sequence[str] = ()) -> Selection:
    """The files that are copied into a session, sorted. `named` are paths and patterns that no rule leaves out.

    Raises ConfigError when git cannot be asked about the template's .gitignore files.
    """
    named = (*_NEEDED, *named)
    rules = GitIgnore(folder)
    files: list[Path] = []
    links: list[Path] = []
    ignored: list[Path] = []
    unreadable: list[Path] = []
    level, any_rules = [Path()], False
    while level:
        folders: list[Path] = []
        found: list[Path] = []
        for place in level:
            any_rules = any_rules or (folder / place / ".gitignore").is_file()
            try:
                names = os.listdir(folder / place)
            except OSError:
                unreadable.append(place)
                continue
            for path in (place / name for name in names if not _left_out(place / name)):
                real = folder / path
                if real.is_dir():
                    if not _is_output(real, path, named):
                        (links if real.is_symlink() else folders).append(path)
                elif real.is_file():
                    (found if os.access(real, os.R_OK) else unreadable).append(path)
                elif real.is_symlink():
                    links.append(path)
        out = rules.ignored([*folders, *found]) if any_rules else set[Path]()
        out = {path for path in out if not _is_named(path, named)}
        level = sorted(path for path in folders if path not in out or _leads_to(path, named))
        ignored += sorted(path for path in out.difference(level) if path in found or _has_files(folder / path))
        files += [path for path in found if path not in out]
    return Selection(tuple(sorted(files)), tuple(sorted(links)), tuple(ignored), tuple(unreadable))


def is_copied(path: Path) -> bool:
    """Whether a file of this name, relative to the template's folder, can be copied into a session."""
    return not any(_left_out(part) for part in (path, *path.parents) if part.parts)


def notes(folder: Path, chosen: Selection) -> Iterator[str]:
    """What is left out and could be missed, for the user, one line each."""
    for path in chosen.links:
        if (folder / path).exists():
            yield (
                f"Not copied: {path} is a symbolic link to the folder {os.path.realpath(folder / path)}. An experiment "
                "can read that folder by its absolute path if it is outside /tmp and every home folder; a [prepare] "
                "step can fill a data folder."
            )
        else:
            yield f"Not copied: {path} is a symbolic link to {os.readlink(folder / path)}, which does not exist."
    if chosen.ignored:
        yield (
            f"Not copied, because .gitignore names it: {_listed(chosen.ignored)}. If the experiment needs it, name it "
            "in [experiment] copy in template.toml."
        )
    if chosen.unreadable:
        yield f"Not copied, because it cannot be read: {_listed(chosen.unreadable)}."


def require_small(folder: Path, files: Iterable[Path], named: Sequence[str]) -> None:
    """Raises ConfigError for files that are too large to be copied into every session; `named` ones may be."""
    sizes = {path: (folder / path).stat().st_size for path in files if not _is_named(path, named)}
    if not sizes:
        return
    largest = max(sizes, key=lambda path: sizes[path])
    together = sum(sizes.values())
    if sizes[largest] > LARGEST:
        what = f"{folder / largest} is {format_size(sizes[largest])}"
        limit = f"no file in it may exceed {format_size(LARGEST)}"
    elif together > LARGEST_TOGETHER:
        what = f"{folder} holds {len(sizes)} files of {format_size(together)} in all (the largest is {largest})"
        limit = f"it may not exceed {format_size(LARGEST_TOGETHER)}"
    else:
        return
    by_rule = "name them in its .gitignore, " if is_copied(largest) else ""  # it has no say about run_0
    raise ConfigError(
        f"{what}, but every session copies the template, and {limit}: move large files out of the template, {by_rule}"
        "or, if every session needs them, name them in [experiment] copy in template.toml"
    )


def result_files(folder: Path) -> list[Path]:
    """The files of the results that a template brings in `run_0`, relative to its folder; links are copied as links."""
    found = (Path(place, name) for place, _, names in os.walk(folder / "run_0") for name in names)
    return [path.relative_to(folder) for path in found if path.is_file() and not path.is_symlink()]


def is_session(folder: Path) -> bool:
    """Whether the folder is a session or a batch of ours."""
    return any((folder / name).is_file() and _is_journal(folder / name) for name in _JOURNALS)


def source_files(folder: Path) -> list[Path]:
    """All files below a package's folder, sorted, without sessions, environments and caches."""
    found: list[Path] = []
    for place, folders, names in os.walk(folder):
        here = Path(place)
        folders[:] = [name for name in folders if not _is_output(here / name, (here / name).relative_to(folder))]
        found += [here / name for name in names]
    return sorted(found)


def _left_out(path: Path) -> bool:
    """Results and the harness's own files are skipped at the top only; hidden files and caches everywhere."""
    name = path.name
    if name.startswith(".") or name == "__pycache__" or name.endswith((".pyc", ".detached.log")):
        return True
    return len(path.parts) == 1 and (name in _LEFT_OUT or _NUMBERED.fullmatch(name) is not None)


def _is_output(folder: Path, path: PurePath, named: Sequence[str] = ()) -> bool:
    """Whether a program filled this folder: a session, a folder of sessions, an environment, a cache, a tracker."""
    if is_session(folder) or any(is_session(inner) for inner in _folders_in(folder)):
        return True
    if _is_named(path, named):
        return False
    if any((folder / mark).exists() for mark in _MARKS):
        return True
    return folder.name in _LOGS and not (folder / "__init__.py").is_file()


def _is_journal(file: Path) -> bool:
    """False for other people's records: requests to an API, say, are kept in files called batch.jsonl."""
    try:
        with file.open("rb") as opened:
            start = opened.read(_START)
    except OSError:
        return True
    return not start.startswith(b'{"') or b'"event"' in start  # a damaged journal is one


def _folders_in(folder: Path) -> list[Path]:
    try:
        with os.scandir(folder) as found:
            return [folder / entry.name for entry in found if entry.is_dir()]
    except OSError:
        return []


def _has_files(folder: Path) -> bool:
    return any(not name.startswith(".") for _, _, names in os.walk(folder) for name in names)


def _is_named(path: PurePath, patterns: Sequence[str]) -> bool:
    """Whether a pattern matches the path or a folder above it."""
    return any(fnmatch(str(part), pattern.rstrip("/")) for part in (path, *path.parents) for pattern in patterns)


def _leads_to(folder: PurePath, patterns: Sequence[str]) -> bool:
    """Whether a pattern may match something below the folder."""
    depth = len(folder.parts)
    wanted = [PurePath(pattern).parts for pattern in patterns]
    return any(len(parts) > depth and all(map(fnmatch, folder.parts, parts)) for parts in wanted)


def _listed(paths: Sequence[Path]) -> str:
    more = f" and {len(paths) - _SHOWN} more" if len(paths) > _SHOWN else ""
    return ", ".join(map(str, paths[:_SHOWN])) + more
