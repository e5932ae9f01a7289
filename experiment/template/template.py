"""Loads a template: a folder with `experiment.py` and, optionally, `template.toml`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

from ai_sci.experiment.base import (
    ConfigError,
    Limits,
    Table,
    TomlFile,
    parse_duration,
    parse_size,
    read_json,
    read_toml,
)
from ai_sci.experiment.template.beside import data_beside
from ai_sci.experiment.template.checks import Check
from ai_sci.experiment.template.copying import (
    Selection,
    is_copied,
    is_session,
    notes,
    require_small,
    result_files,
    select,
)
from ai_sci.experiment.template.files import bundled_templates as bundled_templates
from ai_sci.experiment.template.files import find_template, templates_inside
from ai_sci.experiment.template.files import template_names as template_names
from ai_sci.experiment.template.prepare_step import PrepareStep, read_step
from ai_sci.experiment.template.settings import Setting, read_settings

PLOT = "plot.py"
DEFAULT_EDITABLE = ("experiment.py", PLOT, "notes.txt")
BASELINE = Path("run_0", "final_info.json")

_VERSIONS = re.compile(r"(?:(?:>=|<=|==|!=|>|<|~=)\s*3(?:\.\d+){0,2}(?:\.\*)?\s*(?:,\s*(?!$)|$))+")


@dataclass(frozen=True)
class Smoke:
    """The same command on a tiny budget before each full attempt; `time` is its limit in seconds."""

    time: float


@dataclass(frozen=True)
class Template:
    """A template as one session sees it; `requirements*` are absolute paths, `settings` are final.

    `system` and `task_description` come from `prompt.json`, empty if not given.
    """

    name: str
    folder: Path
    editable: tuple[str, ...] = DEFAULT_EDITABLE
    metric: str | None = None
    higher_is_better: bool = True
    requirements: tuple[Path, ...] = ()
    requirements_no_deps: tuple[Path, ...] = ()
    python: str | None = None  # versions that the requirements support, such as ">=3.11"
    prepare: PrepareStep | None = None
    limits: Limits = field(default_factory=Limits)
    smoke: Smoke | None = None
    checks: tuple[Check, ...] = ()
    grade: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, Setting] = field(default_factory=dict)
    max_runs: int = 5
    max_failures: int = 4
    context_window: int | None = None  # tokens, of the models that this template is used with
    brings_baseline: bool = False
    copy: tuple[
        str, ...
    ] = ()  # patterns of files that are copied whatever their size, and though .gitignore names them
    system: str = ""
    task_description: str = ""
    beside: dict[str, Path] = field(default_factory=dict)  # data folders, by the relative paths in its code
    # Set for the copy in a session's folder, which holds other files too: the files that were copied.
    copied: tuple[Path, ...] | None = None

    def files(self) -> list[Path]:
        """The files that are copied into a session, relative to `folder` and sorted; see copying.py."""
        return list(self._selection.files if self.copied is None else self.copied)

    @cached_property
    def _selection(self) -> Selection:
        """Looked up once: a session that is made in the template's own folder changes what is there."""
        files = [*self.requirements, *self.requirements_no_deps]
        inside = [str(path.relative_to(self.folder)) for path in files if path.is_relative_to(self.folder)]
        steps = self.prepare.files if self.prepare else ()
        return select(self.folder, (*self.editable, *steps, *inside, *self.copy))

    def start_notes(self) -> list[str]:
        """What the user should know of it before a session starts. Raises ConfigError when it cannot be copied."""
        if self.copied is not None:
            return []
        if is_session(self.folder):
            raise ConfigError(f"{self.folder} is a session, not a template: name the template that it began with")
        results = result_files(self.folder) if self.brings_baseline else []
        require_small(self.folder, [*self._selection.files, *results], self.copy)
        told = list(notes(self.folder, self._selection))
        for place in dict.fromkeys(self.beside.values()):
            paths = " and ".join(path for path, where in self.beside.items() if where == place)
            told.append(f"In the sandbox, the data folder {place} is at {paths}, read-only.")
        if PLOT in self.editable and not (self.folder / PLOT).exists():
            told.append(f"The template has no {PLOT}, so plots are drawn only if the model writes one.")
        return told


def load_template(name_or_path: str, overrides: Mapping[str, str] | None = None) -> Template:
    """Loads a template by name or folder, with `--set` overrides applied; raises ConfigError."""
    folder = find_template(name_or_path)
    if not (folder / "experiment.py").is_file():
        raise ConfigError(f"{folder} has no experiment.py{templates_inside(folder)}")
    path = folder / "template.toml"
    file = read_toml(path) if path.exists() else TomlFile(path, "", {})
    top = Table(file)
    experiment = _experiment(top, folder)
    template = Template(
        name=folder.name,
        folder=folder,
        settings=read_settings(top, overrides or {}),
        limits=_limits(top),
        smoke=_smoke(top),
        prepare=read_step(top, folder, experiment["editable"]),
        checks=_checks(top),
        grade=_grade(top),
        context_window=_model(top),
        # Not of the code in a session, which a model has edited.
        beside={} if is_session(folder) else data_beside(folder),
        **_environment(top, folder),
        **experiment,
        **_prompt(folder / "prompt.json"),
    )
    top.finish()
    return template


def _experiment(top: Table, folder: Path) -> dict[str, Any]:
    top.expect("experiment")
    table = Table(top.file, "experiment")
    editable = table.texts("editable", DEFAULT_EDITABLE)
    for name in editable:
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts or not path.parts or not is_copied(Path(path)):
            table.refuse("editable", f'"{name}" cannot be editable: name files of the template, relative to its folder')
        if name == "template.toml":
            table.refuse("editable", "template.toml cannot be editable: it holds the checks and the limits")
    if not editable:
        table.refuse("editable", "editable must name at least one file")
    brought = (folder / BASELINE).is_file()
    baseline = table.choice("baseline", "template" if brought else "measure", ("template", "measure"))
    if baseline == "template" and not brought:
        table.refuse("baseline", f'baseline = "template", but there is no {BASELINE} in {folder}')
    values = {
        "copy": tuple(str(PurePosixPath(pattern)) for pattern in table.texts("copy", ())),
        "editable": tuple(str(PurePosixPath(name)) for name in editable),
        "metric": table.text("metric", None),
        "higher_is_better": table.choice("direction", "higher", ("higher", "lower")) == "higher",
        "max_runs": table.count("max_runs", 5),
        "max_failures": table.count("max_failures", 4),
        "brings_baseline": baseline == "template",
    }
    table.finish()
    return values


def _prompt(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    value, _ = read_json(path)
    if not isinstance(value, dict):
        raise ConfigError(f'{path}:1: must hold {{"system": …, "task_description": …}}')
    texts = {key: value.get(key, "") for key in ("system", "task_description")}
    for key, text in texts.items():
        if not isinstance(text, str):
            raise ConfigError(f'{path}:1: "{key}" must be a string')
    return texts


def _environment(top: Table, folder: Path) -> dict[str, Any]:
    top.expect("environment")
    table = Table(top.file, "environment")
    default = ("requirements.txt",) if (folder / "requirements.txt").is_file() else ()
    values: dict[str, Any] = {"python": table.text("python", None)}
    if values["python"] is not None and not _VERSIONS.fullmatch(values["python"]):
        table.refuse("python", 'python must be versions such as ">=3.11" or ">=3.10,<3.13"')
    for key, names in (("requirements", default), ("requirements_no_deps", ())):
        names = table.texts(key, names)
        for name in names:
            if not (folder / name).is_file():
                table.refuse(key, f'there is no requirement file "{name}" in {folder}')
        values[key] = tuple(folder / name for name in names)
    table.finish()
    return values


def _limits(top: Table) -> Limits:
    top.expect("limits")
    table = Table(top.file, "limits")
    usual = Limits()
    limits = Limits(
        time=table.quantity("time", usual.time, parse_duration),
        memory=table.quantity("memory", usual.memory, parse_size),
        disk=table.quantity("disk", usual.disk, parse_size),
        inodes=table.count("inodes", usual.inodes),
        processes=table.count("processes", usual.processes),
        gpus=table.count("gpus", usual.gpus, least=0),
        cpus=table.count("cpus", 1) if "cpus" in table.values else None,
    )
    table.finish()
    return limits


def _smoke(top: Table) -> Smoke | None:
    top.expect("smoke")
    table = Table(top.file, "smoke")
    if not table.present:
        return None
    smoke = Smoke(time=table.quantity("time", 60.0, parse_duration))
    table.finish()
    return smoke


def _checks(top: Table) -> tuple[Check, ...]:
    top.expect("checks")
    table = Table(top.file, "checks")
    rules = table.texts("rules", ())
    table.finish()
    checks = []
    for rule in rules:
        try:
            checks.append(Check.parse(rule))
        except ConfigError as error:
            table.refuse("rules", str(error))
    return tuple(checks)


def _model(top: Table) -> int | None:
    top.expect("model")
    table = Table(top.file, "model")
    window = table.count("context_window", 1) if "context_window" in table.values else None
    table.finish()
    return window


def _grade(top: Table) -> dict[str, Any]:
    """Kept as is: `grader` names an installed grader (see attempt/grading.py), which reads the rest."""
    top.expect("grade")
    table = Table(top.file, "grade")
    return dict(table.values)
