"""Data beside a template, which templates of nanoGPT's kind read by relative paths: `../../data`, `../../../data`."""

from __future__ import annotations

import re
from pathlib import Path

from ai_sci.experiment.base import ConfigError, read_text

# `os.path.join("..", "data")` and `Path("..") / "data"` are read as one path.
_JOINT = re.compile(r"""["']\)?\s*[,/]\s*["']""")
# Nothing but data: a template must not open other folders of its user's by a name in its code.
_PATH = re.compile(r"""["'](?:\./)?((?:\.\./)+)(data(?:sets?)?)(?=[/"'])""")


def data_beside(folder: Path) -> dict[str, Path]:
    """The relative paths in the template's Python files that lead to a data folder, and that folder.

    AI-Scientist runs the baseline in `templates/NAME` and the others in `results/NAME/SESSION`, one folder deeper, so
    its code reaches the same folder by two paths. So all paths to a name are one. `../../data` is meant from the
    template, and so is `../../../data` one folder less.
    """
    depths: dict[str, set[int]] = {}
    for file in sorted(folder.glob("*.py")):
        for up, name in _PATH.findall(_JOINT.sub("/", _text(file))):
            depths.setdefault(name, set()).add(len(up) // 3)
    found: dict[str, Path] = {}
    for name, seen in depths.items():
        up = min(seen)
        tried = (up - 1, up) if up > 2 else (up, up - 1)
        places = (folder.joinpath(*[".."] * depth, name) for depth in tried if depth)
        place = next((path.resolve() for path in places if path.is_dir()), None)
        if place is not None:
            found |= {"../" * depth + name: place for depth in sorted(seen)}
    return found


def _text(file: Path) -> str:
    try:
        return read_text(file)
    except ConfigError:  # whoever runs it will say so
        return ""
