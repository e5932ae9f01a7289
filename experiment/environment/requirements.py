"""The content of a requirement file and of the local files it refers to, for hashing into an environment's key."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement

from ai_sci.experiment.base import hash_of, read_text
from ai_sci.experiment.template import source_files

_INCLUDED = re.compile(r"\s*(?:-r|--requirement|-c|--constraint)[\s=]*(\S+)")
_LOCAL = re.compile(
    r"\s*(?:-e\s*|--editable[\s=]+|[\w.\[\],-]+\s*@\s*(?:file:)?)?(\.{0,2}/[^\s;#]+|[^\s;#]+\.(?:whl|zip|tar\.gz))"
)
_OPTIONS = re.compile(r"\s+--?[a-z].*")  # such as `--hash=…`, after a requirement
_FILE_URL = re.compile(r"(?:.*@\s*)?file://(/[^\s;#]*)")


def content_of(path: Path, folder: Path, seen: frozenset[Path] = frozenset()) -> list[str]:
    """The significant lines of a requirement file and of the files it includes, and hashes of local packages.

    pip resolves included files relative to the file, and packages relative to `folder`, where it runs.
    """
    lines: list[str] = []
    for line in read_text(path).splitlines():
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        lines.append(line)
        included = _INCLUDED.match(line)
        if included:
            inner = path.parent / included[1]
            if inner.is_file() and inner not in seen:
                lines += content_of(inner, folder, seen | {path})
            continue
        local = _LOCAL.match(line)
        if local and (folder / local[1]).exists():
            lines.append(_hash_of_package(folder / local[1]))
    return lines


def requirement_mistakes(path: Path, seen: frozenset[Path] = frozenset()) -> Iterator[str]:
    """The lines that pip would refuse before it looks for a package, each as FILE:LINE and why. Raises ConfigError."""
    for number, line in _joined(read_text(path)):
        included, file = _INCLUDED.match(line), _FILE_URL.match(line)
        if included:
            inner = path.parent / included[1]
            if "://" not in included[1] and not inner.is_file():
                yield f"{path}:{number}: there is no {inner}"
            elif inner.is_file() and inner not in seen:
                yield from requirement_mistakes(inner, seen | {path})
        elif file and not Path(file[1]).exists():
            yield f"{path}:{number}: {file[1]} is not on this machine: name a version (name==1.2.3) instead"
        elif not line.startswith("-") and "://" not in line and not _LOCAL.match(line):
            try:
                Requirement(_OPTIONS.sub("", line))
            except InvalidRequirement as error:
                yield f"{path}:{number}: {str(error).splitlines()[0]}: {line}"


def _joined(text: str) -> Iterator[tuple[int, str]]:
    """The lines as pip reads them, with their numbers: continued ones joined, without comments, none empty."""
    begun, number = "", 1
    for current, line in enumerate(text.splitlines(), start=1):
        number = number if begun else current
        begun += line.removesuffix("\\")
        if line.endswith("\\"):
            continue
        whole = re.sub(r"(^|\s)#.*", "", begun).strip()
        if whole:
            yield number, whole
        begun = ""


def _hash_of_package(path: Path) -> str:
    """A hash of a wheel or of the source files in a package folder: changed sources mean a new environment."""
    if path.is_file():
        return hash_of(path.read_bytes())
    files = [file for file in source_files(path) if file.is_file() and _is_source(file.relative_to(path))]
    return hash_of(*((str(file.relative_to(path)), hash_of(file.read_bytes())) for file in files))


def _is_source(file: Path) -> bool:
    return not any(
        part.startswith(".") or part in ("__pycache__", "build") or ".egg-info" in part for part in file.parts
    )
