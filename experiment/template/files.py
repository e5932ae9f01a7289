"""Where templates are, and which of a template's files a session gets a copy of."""

from __future__ import annotations

import os
import re
from pathlib import Path

from ai_sci.experiment.base import ConfigError, nearest

# What a session does not get a copy of: results, what the harness reads for itself, and leftovers.
_LEFT_OUT = {"scripted", "ideas.json", "seed_ideas.json", "latex", "settings.json", "README.md"}
_RUN = re.compile(r"run_\d+")


def bundled_templates() -> Path:
    """The folder of the templates that come with ai-sci, `ai_sci/templates`: in a checkout a link to `templates/`."""
    return (Path(__file__).parents[2] / "templates").resolve()


def template_names() -> list[str]:
    """The names that `--template` takes besides a folder."""
    return sorted(path.parent.name for path in bundled_templates().glob("*/experiment.py"))


def find_template(name_or_path: str) -> Path:
    """The template's absolute folder. A plain name means a bundled template first, then a folder here.

    Raises ConfigError.
    """
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
    """What a message about a folder that is no template goes on with."""
    inside = sorted(str(path.parent) for path in folder.glob("*/experiment.py"))
    return f": did you mean {' or '.join(inside[:5])}?" if inside else ": a template is a folder with that file in it"


def files_in(folder: Path) -> list[Path]:
    """What a session gets a copy of, relative to `folder` and sorted."""
    found: list[Path] = []
    for place, folders, names in os.walk(folder):
        here = Path(place).relative_to(folder)
        folders[:] = [name for name in folders if not _left_out(here / name)]
        found += [here / name for name in names if not _left_out(here / name)]
    return sorted(path for path in found if (folder / path).is_file())


def _left_out(path: Path) -> bool:
    """Results and the harness's own files are only left out at the top; hidden files, caches everywhere."""
    name = path.name
    if name.startswith(".") or name == "__pycache__" or name.endswith(".pyc"):
        return True
    return len(path.parts) == 1 and (name in _LEFT_OUT or _RUN.fullmatch(name) is not None)


def is_copied(path: Path) -> bool:
    """Whether a session gets a copy of this file, which is relative to the template's folder."""
    return not any(_left_out(part) for part in (path, *path.parents) if part.parts)
