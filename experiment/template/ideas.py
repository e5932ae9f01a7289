"""Ideas: what to try, in AI-Scientist's `ideas.json` format (`Name`, `Title`, `Experiment`, other keys kept)."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ai_sci.experiment.base import ConfigError, line_at, nearest, read_json
from ai_sci.experiment.template.template import Template

IDEA_FILES = ("ideas.json", "seed_ideas.json")


@dataclass(frozen=True)
class Idea:
    """One idea; `raw` is its JSON object as read from the file."""

    name: str
    title: str
    experiment: str
    raw: dict[str, Any]

    @property
    def slug(self) -> str:
        """The name made safe for a folder, see `slug`."""
        return slug(self.name)


def load_ideas(path: Path) -> list[Idea]:
    """The ideas in a JSON file, a list or a single idea; raises ConfigError with file and line."""
    value, text = read_json(path)
    if isinstance(value, dict):
        return [read_idea(value, f"{path}:{line_at(text, text.find('{'))}")]
    if not isinstance(value, list):
        raise ConfigError(f'{path}:1: must hold ideas: [{{"Name": …, "Title": …, "Experiment": …}}, …]')
    ideas: list[Idea] = []
    lines: dict[str, int] = {}
    for item, line in zip(value, _lines_of_items(text)):
        idea = read_idea(item, f"{path}:{line}")
        if idea.name in lines:
            raise ConfigError(f'{path}:{line}: the name "{idea.name}" is already used at line {lines[idea.name]}')
        lines[idea.name] = line
        ideas.append(idea)
    if not ideas:
        raise ConfigError(f"{path}:1: holds no idea")
    return ideas


def find_idea(template: Template, name_or_path: str, ideas_file: Path | None = None) -> Idea:
    """The idea of that name in `ideas_file`, else in the template; or the only idea in a JSON file.

    Raises ConfigError that suggests the nearest names.
    """
    if ideas_file is None and name_or_path.endswith(".json"):
        path = Path(name_or_path).expanduser()
        ideas = load_ideas(path)
        if len(ideas) == 1:
            return ideas[0]
        raise ConfigError(f"{path} holds {len(ideas)} ideas: choose one with --ideas {path} --idea NAME")
    files = [ideas_file] if ideas_file else [template.folder / name for name in IDEA_FILES]
    files = [path for path in files if ideas_file or path.is_file()]
    if not files:
        raise ConfigError(f"the template {template.folder} has no ideas.json: pass --ideas FILE")
    known: list[str] = []
    for path in files:
        for idea in load_ideas(path):
            if idea.name == name_or_path:
                return idea
            known.append(idea.name)
    where = " or ".join(str(path) for path in files)
    raise ConfigError(f'there is no idea "{name_or_path}" in {where}{nearest(name_or_path, known)}')


def slug(name: str) -> str:
    """`name` as a folder name: everything but letters, digits, `_`, `.` and `-` becomes `_`; at most 80 characters."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "_", name).lstrip(".-")[:80] or "idea"


def read_idea(item: object, where: str) -> Idea:
    """The idea in a JSON object; `where` prefixes error messages. Raises ConfigError."""
    if not isinstance(item, dict):
        raise ConfigError(f"{where}: an idea must be an object with Name, Title and Experiment")
    # AI-Scientist-v2 calls it "Experiments", and it may be a list.
    experiment = item.get("Experiment", item.get("Experiments"))
    if isinstance(experiment, list) and all(isinstance(step, str) for step in experiment):
        experiment = "\n".join(experiment)
    name = item.get("Name")
    title = item.get("Title", name)
    for key, value in (("Name", name), ("Title", title), ("Experiment", experiment)):
        if not isinstance(value, str) or not value.strip():
            raise ConfigError(f'{where}: the idea needs "{key}", a non-empty string')
        if any("\ud800" <= character <= "\udfff" for character in value):
            raise ConfigError(f'{where}: "{key}" holds half of a character (a lone surrogate)')
    assert isinstance(name, str) and isinstance(title, str) and isinstance(experiment, str)
    if any(ord(character) < 32 for character in name) or len(name) > 200:
        raise ConfigError(f'{where}: "Name" must be one short line')
    return Idea(name.strip(), title.strip(), experiment.strip(), item)


def _lines_of_items(text: str) -> list[int]:
    """The line on which each item of a valid JSON list begins."""
    decoder = json.JSONDecoder()
    lines = []
    position = text.index("[") + 1
    while True:
        while text[position] in " \t\r\n,":
            position += 1
        if text[position] == "]":
            return lines
        lines.append(line_at(text, position))
        _, position = decoder.raw_decode(text, position)
