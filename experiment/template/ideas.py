"""Ideas: what to try, in AI-Scientist's `ideas.json` format (`Name`, `Title`, `Experiment`, other keys kept)."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import Any

from ai_sci.experiment.base import ConfigError, line_at, nearest, read_json
from ai_sci.experiment.template.template import Template

IDEA_FILES = ("ideas.json", "seed_ideas.json")
_DEEPEST = 20  # levels of an experiment that is given as lists and objects


@dataclass(frozen=True)
class Idea:
    """One idea; `raw` is its JSON object as read from the file, `notes` say how that whole file was understood."""

    name: str
    title: str
    experiment: str
    raw: dict[str, Any]
    notes: tuple[str, ...] = field(default=(), compare=False)

    @property
    def slug(self) -> str:
        """The name made safe for a folder, see `slug`."""
        return slug(self.name)


def load_ideas(path: Path) -> list[Idea]:
    """The ideas in a JSON file: a list, `{"ideas": […]}` or a single idea. Raises ConfigError with file and line.

    Their names differ: an idea that is there twice is read once, and another one of the same name gets a number.
    """
    ideas = _read(path)
    if not ideas:
        raise ConfigError(f"{path}:1: holds no idea")
    return ideas


def template_ideas(template: Template, ideas_file: Path | None = None) -> list[Idea]:
    """The ideas in `ideas_file`, else in the template's files, the first of each name; maybe none.

    Raises ConfigError with file and line.
    """
    if ideas_file:
        return load_ideas(ideas_file)
    ideas: dict[str, Idea] = {}
    for path in _files(template):
        for idea in _read(path):  # an empty ideas.json beside seed_ideas.json is no mistake
            ideas.setdefault(idea.name, idea)
    return list(ideas.values())


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
    ideas = {idea.name: idea for idea in template_ideas(template, ideas_file)}
    if not ideas:
        raise ConfigError(f"the template {template.folder} has no ideas.json with an idea: pass --ideas FILE")
    if name_or_path in ideas:
        return ideas[name_or_path]
    where = ideas_file or " or ".join(map(str, _files(template)))
    raise ConfigError(f'there is no idea "{name_or_path}" in {where}{nearest(name_or_path, ideas)}')


def slug(name: str) -> str:
    """`name` as a folder name: everything but letters, digits, `_`, `.` and `-` becomes `_`; at most 80 characters."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "_", name).lstrip(".-")[:80] or "idea"


def read_idea(item: object, where: str) -> Idea:
    """The idea in a JSON object; `where` prefixes error messages. Raises ConfigError."""
    if not isinstance(item, dict):
        raise ConfigError(f"{where}: an idea must be an object with Name, Title and Experiment")
    name = _value(item, "Name")
    title = _value(item, "Title")
    if title is None or (isinstance(title, str) and not title.strip()):
        title = name
    # AI-Scientist-v2 calls it "Experiments", and it may be a list of texts or of objects, or one object.
    experiment = _value(item, "Experiment") or _value(item, "Experiments")
    if isinstance(experiment, (list, dict)):
        experiment = _prose(experiment, where)
    for key, value in (("Name", name), ("Title", title), ("Experiment", experiment)):
        if not isinstance(value, str) or not value.strip():
            raise ConfigError(f'{where}: the idea needs "{key}", a non-empty string')
        if any("\ud800" <= character <= "\udfff" for character in value):
            raise ConfigError(f'{where}: "{key}" holds half of a character (a lone surrogate)')
    assert isinstance(name, str) and isinstance(title, str) and isinstance(experiment, str)
    if any(ord(character) < 32 for character in name) or len(name) > 200:
        raise ConfigError(f'{where}: "Name" must be one short line')
    return Idea(name.strip(), title.strip(), experiment.strip(), item)


def _files(template: Template) -> list[Path]:
    return [path for name in IDEA_FILES if (path := template.folder / name).is_file()]


def _read(path: Path) -> list[Idea]:
    value, text = read_json(path)
    if isinstance(value, list):
        items, lines = value, _lines_of_items(text, text.index("["))
    elif isinstance(value, dict):
        key = _wrapper(value)
        items = [value] if key is None else value[key]
        start = text.index("{") if key is None else _start_of(text, key)
        lines = [line_at(text, start)] if key is None else _lines_of_items(text, start)
    else:
        raise ConfigError(f'{path}:1: must hold ideas: [{{"Name": …, "Title": …, "Experiment": …}}, …]')
    return _with_own_names([(read_idea(item, f"{path}:{line}"), line) for item, line in zip(items, lines)], path)


def _with_own_names(read: list[tuple[Idea, int]], path: Path) -> list[Idea]:
    """These ideas (with their lines) under different names, each with the notes of all that was repeated."""
    ideas: dict[str, Idea] = {}
    notes: list[str] = []
    taken = {idea.name for idea, _ in read}
    for idea, line in read:
        if idea.name not in ideas:
            ideas[idea.name] = idea
        elif any((idea.title, idea.experiment) == (one.title, one.experiment) for one in ideas.values()):
            notes.append(f'{path}:{line}: the idea "{idea.name}" is there already: it is read once')
        else:
            free = next(name for name in (f"{idea.name}_{number}" for number in count(2)) if name not in taken)
            taken.add(free)
            ideas[free] = replace(idea, name=free)
            notes.append(f'{path}:{line}: the name "{idea.name}" is used already: this idea is called "{free}" here')
    return [replace(idea, notes=tuple(notes)) for idea in ideas.values()]


def _value(item: dict[str, Any], key: str) -> Any:
    """The value of `key`, in any case."""
    return item.get(key, next((value for name, value in item.items() if name.casefold() == key.casefold()), None))


def _prose(value: object, where: str, depth: int = 0) -> str:
    """The texts in lists and objects as lines; those of an object with their keys."""
    if depth > _DEEPEST:
        raise ConfigError(f'{where}: "Experiment" is nested too deeply')
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, list):
        parts = [_prose(inner, where, depth + 1) for inner in value]
    elif isinstance(value, dict):
        texts = {key: _prose(inner, where, depth + 1) for key, inner in value.items()}
        parts = [f"{key}: {text}" for key, text in texts.items() if text]
    else:
        parts = [] if value is None else [json.dumps(value)]
    return "\n".join(part for part in parts if part)


def _wrapper(value: dict[str, Any]) -> str | None:
    """The key of the list in `{"ideas": […]}`; None for an object that is an idea itself."""
    if any(_value(value, key) is not None for key in ("Name", "Experiment", "Experiments")):
        return None
    lists = [
        key for key, inner in value.items() if isinstance(inner, list) and all(isinstance(one, dict) for one in inner)
    ]
    return lists[0] if len(lists) == 1 else None


def _start_of(text: str, wanted: str) -> int:
    """Where the value of a key of a valid JSON object begins."""
    decoder = json.JSONDecoder()
    position, found = text.index("{") + 1, 0
    while text[(position := _after(text, position, " \t\r\n,"))] != "}":
        key, position = decoder.raw_decode(text, position)
        position = _after(text, position, " \t\r\n:")
        found = position if key == wanted else found
        _, position = decoder.raw_decode(text, position)
    return found


def _lines_of_items(text: str, start: int) -> list[int]:
    """The line on which each item of the valid JSON list at `start` begins."""
    decoder = json.JSONDecoder()
    lines: list[int] = []
    position = start + 1
    while text[(position := _after(text, position, " \t\r\n,"))] != "]":
        lines.append(line_at(text, position))
        _, position = decoder.raw_decode(text, position)
    return lines


def _after(text: str, position: int, skipped: str) -> int:
    while text[position] in skipped:
        position += 1
    return position
