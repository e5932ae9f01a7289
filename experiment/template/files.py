"""Where templates are, and which of their files are copied into a session."""

from __future__ import annotations

import os
import re
from pathlib import Path

from ai_sci.experiment.base import ConfigError, nearest

# Not copied into a session: results, files only the harness reads, and leftovers.
_LEFT_OUT = {"scripted", "ideas.json", "seed_ideas.json", "latex", "settings.json", "README.md"}
_RUN = re.compile(r"run_\d+")


def bundled_templates() -> Path:
    """The templates that come with ai-sci: `ai_sci/templates`, in a checkout a link to `templates/`."""
    return (Path(__file__).parents[2] / "templates").resolve()


def template_names() -> list[str]:
    """The bundled template names that `--template` accepts."""
    return sorted(path.parent.name for path in bundled_templates().glob("*/experiment.py"))


def find_template(name_or_path: str) -> Path:
    """The template's absolute folder: a bundled template of that name, else a folder. Raises ConfigError."""
    bundled = bundled_templates() / name_or_path
    if name_or_path in template_names():
        return bundled
    folder = Path(name_or_path).expanduser()
    if folder.is_dir() and name_or_path:
        return folder.resolve()
    if folder.is_file():
        raise ConfigError(f'template "{name_or_path}" is a file: name the folder that holds experiment.py')
    known = template_names()
    if folder.parent.is_dir():
        known += [str(path.parent) for path in folder.parent.glob("*/experiment.py")]
    raise ConfigError(f'there is no template "{name_or_path}"{nearest(name_or_path, known)}')


def templates_inside(folder: Path) -> str:
    """A hint that completes the error about a folder that is not a template."""
    inside = sorted(str(path.parent) for path in folder.glob("*/experiment.py"))
    return f": did you mean {' or '.join(inside[:5])}?" if inside else ": a template is a folder with that file in it"


def files_in(folder: Path) -> list[Path]:
    """The files that are copied into a session, relative to `folder` and sorted."""
    found: list[Path] = []
    for place, folders, names in os.walk(folder):
        here = Path(place).relative_to(folder)
        folders[:] = [name for name in folders if not _left_out(here / name)]
        found += [here / name for name in names if not _left_out(here / name)]
    return sorted(path for path in found if (folder / path).is_file())


def _left_out(path: Path) -> bool:
    """Results and the harness's own files are skipped at the top only; hidden files and caches everywhere."""
    name = path.name
    if name.startswith(".") or name == "__pycache__" or name.endswith(".pyc"):
        return True
    return len(path.parts) == 1 and (name in _LEFT_OUT or _RUN.fullmatch(name) is not None)


def is_copied(path: Path) -> bool:
    """Whether this file, relative to the template's folder, is copied into a session."""
    return not any(_left_out(part) for part in (path, *path.parents) if part.parts)
