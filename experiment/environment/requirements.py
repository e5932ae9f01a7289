"""The content of a requirement file and of the local files it refers to, for hashing into an environment's key."""

from __future__ import annotations

import re
from pathlib import Path

from ai_sci.experiment.base import hash_of, read_text
from ai_sci.experiment.template import source_files

_INCLUDED = re.compile(r"\s*(?:-r|--requirement|-c|--constraint)[\s=]*(\S+)")
_LOCAL = re.compile(
    r"\s*(?:-e\s*|--editable[\s=]+|[\w.\[\],-]+\s*@\s*(?:file:)?)?(\.{0,2}/[^\s;#]+|[^\s;#]+\.(?:whl|zip|tar\.gz))"
)


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
