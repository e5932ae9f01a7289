"""The trusted step before a template's first attempt: `[prepare]`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fnmatch import fnmatch
from pathlib import Path

from ai_sci.experiment.base import Table, nearest, parse_duration
from ai_sci.experiment.template.copying import select


@dataclass(frozen=True)
class PrepareStep:
    """The trusted step that fetches models and data once; it reruns when `files` or `settings` change.

    `files` are patterns relative to the template folder (default: its modules that are not editable, and files named in
    the command). `settings` names the settings that the step depends on (None: all). `timeout` is in seconds.
    """

    command: tuple[str, ...]
    timeout: float
    files: tuple[str, ...]
    settings: tuple[str, ...] | None = None

    def uses(self, path: Path) -> bool:
        """Whether a change to this file, relative to the template folder, means rerunning the step."""
        return any(str(path) == pattern or fnmatch(str(path), pattern) for pattern in self.files)


def read_step(top: Table, folder: Path, editable: tuple[str, ...]) -> PrepareStep | None:
    """The template's `[prepare]` table; None without one. Raises ConfigError."""
    top.expect("prepare")
    table = Table(top.file, "prepare")
    if not table.present:
        return None
    command = table.texts("command", ())
    if not command:
        table.refuse("command", '[prepare] needs a command, such as ["python", "prepare.py"]')
    settings = table.texts("settings", None)
    declared = top.file.values.get("settings", {})
    for name in settings or ():
        if name not in declared and name != "preset":
            table.refuse("settings", f'"{name}" is not in [settings]{nearest(name, declared)}')
    # The step may import its neighbours, except files that a model edits.
    modules = sorted({path.name for path in folder.glob("*.py")} - {*editable, "experiment.py", "plot.py"})
    words = [word for word in command if (folder / word).is_file() and word not in modules]
    step = PrepareStep(
        command=command,
        timeout=table.quantity("time", 2 * 3600.0, parse_duration),
        files=table.texts("files", (*modules, *words)),
        settings=settings,
    )
    files = select(folder, (*editable, *step.files)).files
    for pattern in step.files:
        if not any(replace(step, files=(pattern,)).uses(path) for path in files):
            table.refuse("files", f'no file in {folder} matches "{pattern}"')
    table.finish()
    return step
