"""Recognises the idea of an aider session from its first user message."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ai_sci.agent.aider_history.ai_scientist import task_of
from ai_sci.agent.aider_history.turns import HistorySession
from ai_sci.experiment.base import ConfigError
from ai_sci.experiment.template import Idea, Template, template_ideas


@dataclass(frozen=True)
class Recognised:
    """`how` says where the idea comes from; `max_runs` is None where the message sets no number."""

    idea: Idea
    how: str
    max_runs: int | None


def recognise_idea(session: HistorySession, template: Template) -> Recognised:
    """The template's idea that the message names or quotes, else one made from the message.

    Raises ConfigError when there is no message.
    """
    text = session.first_message
    task = task_of(session)
    title, experiment = (task.title, task.experiment) if task else ("", "")
    max_runs = task.max_runs if task else None
    for idea in sorted(template_ideas(template), key=lambda idea: -len(idea.title)):
        if _same(title, idea.title) or _same(title, idea.name):
            return Recognised(idea, f"the template's idea {idea.name}, which the history names", max_runs)
        if _plain(idea.title) in _plain(text) or _plain(idea.experiment) in _plain(text):
            return Recognised(idea, f"the template's idea {idea.name}, which the history quotes", max_runs)
    if not text.strip():
        raise ConfigError("no user message of the history says what the idea is: pass --idea NAME.")
    title = title or next(line.strip() for line in text.split("\n") if line.strip())
    title = title if len(title) <= 120 else title[:119] + "…"
    name = re.sub(r"[^a-z0-9]+", "_", title.lower()).strip("_")[:40].strip("_") or "history"
    experiment = experiment or text.strip()
    raw = {"Name": name, "Title": title, "Experiment": experiment}
    return Recognised(Idea(name, title, experiment, raw), "made from the history's first message", max_runs)


def _same(one: str, other: str) -> bool:
    return bool(one) and _plain(one) == _plain(other)


def _plain(text: str) -> str:
    """Letters and digits only, since line breaks, dashes and capitals vary."""
    return "".join(character for character in text.casefold() if character.isalnum())
