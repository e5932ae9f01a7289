"""Turns the options of `ai-sci batch` into its list of ideas, and into what its journal records."""

from __future__ import annotations

import dataclasses
import json
import os
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ai_sci.agent.batch.events import IdeaAdded
from ai_sci.agent.budgets import Budgets
from ai_sci.agent.commands import RunOptions, scripted_session
from ai_sci.experiment.base import ConfigError
from ai_sci.experiment.template import (
    Idea,
    Template,
    find_idea,
    load_ideas,
    load_template,
    read_idea,
    slug,
    template_ideas,
)

ALL = "all"
ADDED = "added"  # folder of requests that the batch has not picked up yet
LOGS = "logs"  # folder with a log per session
_TAKEN = {ADDED, LOGS, "lock", "batch.jsonl", "report.html", "report.md"}
AT_ONCE = 32  # sessions open at once, unless --at-once says otherwise
_OF_ONE_SESSION = ("idea", "template", "ideas_file", "runs_dir", "session")


@dataclass(frozen=True)
class BatchOptions:
    """The options of `ai-sci batch`: `session` for each session, `budgets` for all of them together."""

    ideas: str  # "all", names with commas between them, or a file
    session: RunOptions
    templates: tuple[str, ...] = ("sae",)
    name: str | None = None
    budgets: Budgets = field(default_factory=Budgets)
    slots: int | None = None
    gpus: tuple[str, ...] = ()
    at_once: int = AT_ONCE


@dataclass(frozen=True)
class Planned:
    """An idea and the template to try it on."""

    idea: Idea
    template: Template


def find_ideas(options: BatchOptions) -> list[Planned]:
    """The ideas that the options name, alternating between templates. Raises ConfigError."""
    templates = [load_template(name, options.session.overrides) for name in options.templates]
    if options.ideas.endswith(".json") or os.path.isfile(options.ideas):
        ideas = load_ideas(Path(options.ideas).expanduser())
        lists = [[Planned(idea, template) for idea in ideas] for template in templates]
    elif options.ideas == ALL:
        lists = [_all_of(template, options.session) for template in templates]
    else:
        names = [name.strip() for name in options.ideas.split(",") if name.strip()]
        if not names:
            raise ConfigError("--ideas names no idea: say all, NAME,NAME or FILE.json")
        lists = [_named(names, templates, options.session.ideas_file)]
    longest = max(map(len, lists))
    return [ideas[index] for index in range(longest) for ideas in lists if index < len(ideas)]


def _all_of(template: Template, session: RunOptions) -> list[Planned]:
    """Every idea of the template; without a model, only those that have a scripted session."""
    ideas = template_ideas(template, session.ideas_file)
    if not ideas:
        raise ConfigError(f"the template {template.folder} has no ideas.json: pass --ideas FILE.json")
    if session.model:
        return [Planned(idea, template) for idea in ideas]
    scripted = [idea for idea in ideas if scripted_session(template, idea) is not None]
    if not scripted:
        raise ConfigError(f"no model given, and {template.name} has no scripted session: use --model NAME")
    return [Planned(idea, template) for idea in scripted]


def _named(names: Iterable[str], templates: list[Template], ideas_file: Path | None) -> list[Planned]:
    """Each name in every template that has it; `TEMPLATE/NAME` picks one template."""
    planned: list[Planned] = []
    for name in names:
        chosen = [one for one in templates if name.startswith(one.name + "/")]
        bare = name.removeprefix(chosen[0].name + "/") if chosen else name
        found, missing = [], None
        for template in chosen or templates:
            try:
                found.append(Planned(find_idea(template, bare, ideas_file), template))
            except ConfigError as error:
                missing = missing or error
        if not found and missing is not None:
            raise missing
        planned += found
    return planned


def named_sessions(planned: Iterable[Planned], known: Iterable[IdeaAdded], request: str = "") -> list[IdeaAdded]:
    """A uniquely named session for each planned idea that is not in `known`."""
    known = list(known)
    have = {(one.template, json.dumps(one.idea, sort_keys=True)) for one in known}
    taken = _TAKEN | {one.session for one in known}
    added: list[IdeaAdded] = []
    for one in planned:
        idea = _whole(one.idea)
        key = (str(one.template.folder), json.dumps(idea, sort_keys=True))
        if key in have:
            continue
        have.add(key)
        name = _free(one, taken)
        taken.add(name)
        added.append(IdeaAdded(name, idea, str(one.template.folder), request))
    return added


def _free(planned: Planned, taken: set[str]) -> str:
    names = [planned.idea.slug, f"{slug(planned.template.name)}_{planned.idea.slug}"]
    names += [f"{planned.idea.slug}_{number}" for number in range(2, len(taken) + 3)]
    return next(name for name in names if name not in taken)


def _whole(idea: Idea) -> dict[str, Any]:
    """All keys of an idea, the standard ones included."""
    return {**idea.raw, "Name": idea.name, "Title": idea.title, "Experiment": idea.experiment}


def idea_of(raw: dict[str, Any]) -> Idea:
    """The idea that the journal holds as this dictionary."""
    return Idea(raw["Name"], raw["Title"], raw["Experiment"], raw)


# What the journal records of the options.


def kept_options(options: RunOptions) -> dict[str, Any]:
    """The options as JSON, without those that belong to a single session."""
    kept = {name: value for name, value in dataclasses.asdict(options).items() if name not in _OF_ONE_SESSION}
    return {name: str(value) if isinstance(value, Path) else value for name, value in kept.items()}


def options_of(kept: dict[str, Any]) -> RunOptions:
    """The inverse of `kept_options`; fields from newer versions are ignored."""
    known = {one.name for one in dataclasses.fields(RunOptions)} - set(_OF_ONE_SESSION)
    values = {name: value for name, value in kept.items() if name in known}
    if values.get("python") is not None:
        values["python"] = Path(values["python"])
    values["budgets"] = Budgets(**values.get("budgets", {}))
    values.setdefault("engine_options", kept.get("slurm", {}))  # as version 0.1 called them
    return RunOptions(idea="", **values)


# Ideas for a running batch: a file in its folder, which its process picks up.


def leave_request(folder: Path, planned: Iterable[Planned]) -> None:
    """Asks the batch in `folder` to work on these ideas too."""
    ideas = [{"idea": _whole(one.idea), "template": str(one.template.folder)} for one in planned]
    place = folder / ADDED
    place.mkdir(exist_ok=True)
    request = uuid.uuid4().hex
    partial = place / f".{request}"
    partial.write_text(json.dumps(ideas, indent=1) + "\n")
    partial.rename(place / f"{request}.json")


def requests(folder: Path) -> list[Path]:
    """The pending requests, oldest first."""
    return sorted((folder / ADDED).glob("*.json"), key=lambda path: path.lstat().st_mtime_ns)


def read_request(path: Path, overrides: dict[str, str]) -> list[Planned]:
    """The ideas in a request. Raises ConfigError when the file or a template cannot be read."""
    try:
        asked = [(str(one["template"]), read_idea(one["idea"], str(path))) for one in json.loads(path.read_text())]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{path} is not a request for ideas ({error}); renamed to *.refused.") from error
    templates = {name: load_template(name, overrides) for name, _ in asked}
    return [Planned(idea, templates[name]) for name, idea in asked]
