"""Packages that are used where their source is: editable installs and other folders that `.pth` files name."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlparse

_FINDER_TABLES = ("MAPPING", "NAMESPACES")  # in the finders that setuptools writes


def linked_paths(packages: Path) -> list[Path]:
    """What an interpreter must read outside the folder `packages` (a site-packages) to import what is installed there.

    Nothing in it is executed.
    """
    named = [*_of_pth_files(packages), *_of_finders(packages)]
    found = [path for path in named if path.exists()]
    # Other tools have finders of their own, but all of them record where the project is.
    projects = [project for project in _projects(packages) if project.is_dir()]
    return found + [one for one in projects if not any(path == one or one in path.parents for path in found)]


def _of_pth_files(packages: Path) -> Iterator[Path]:
    for file in sorted(packages.glob("*.pth")):
        for line in _text(file).splitlines():
            if line.strip() and not line.startswith(("#", "import ", "import\t")):
                yield packages / line.strip()


def _of_finders(packages: Path) -> Iterator[Path]:
    for file in sorted(packages.glob("__editable__*finder.py")):
        for path in _mapped(_text(file)):
            yield from (path, path.with_name(path.name + ".py"))  # a single module is named without its suffix


def _mapped(code: str) -> Iterator[Path]:
    """The absolute paths in the finder's tables."""
    try:
        statements = ast.parse(code).body
    except (SyntaxError, ValueError):
        return
    for statement in statements:
        targets = statement.targets if isinstance(statement, ast.Assign) else [getattr(statement, "target", None)]
        if any(isinstance(target, ast.Name) and target.id in _FINDER_TABLES for target in targets):
            texts = [node.value for node in ast.walk(statement) if isinstance(node, ast.Constant)]
            yield from (Path(text) for text in texts if isinstance(text, str) and text.startswith("/"))


def _projects(packages: Path) -> Iterator[Path]:
    """The folders of editable installs, as PEP 610 records them."""
    for file in sorted(packages.glob("*.dist-info/direct_url.json")):
        try:
            record = json.loads(_text(file))
            if record["dir_info"]["editable"]:
                yield Path(unquote(urlparse(record["url"]).path))
        except (ValueError, KeyError, TypeError):
            continue


def _text(file: Path) -> str:
    try:
        return file.read_text(errors="replace")
    except OSError:
        return ""
