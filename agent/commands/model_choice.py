"""Which model a session uses: the requested one, or the template's scripted session."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from ai_sci.agent.loop import Editor, open_editor
from ai_sci.experiment.base import ConfigError
from ai_sci.experiment.template import Idea, Template


def asked_model(option: str | None) -> str | None:
    """What `--model` names, else AI_SCI_MODEL; None when neither is set, so that no money is spent unasked.

    Call it once, when a session or a batch is opened: AI_SCI_MODEL may differ when it is resumed.
    """
    name = option or os.environ.get("AI_SCI_MODEL", "").strip()
    return absolute_model(name) if name else None


def choose_model(
    asked: str | None,
    api_base: str | None,
    template: Template,
    idea: Idea,
    note: Callable[[str], None],
    wait: float | None = None,
) -> tuple[str, Editor]:
    """The name and the editor of `asked` (from `asked_model`), else of the scripted session. Raises ConfigError."""
    if asked:
        return asked, open_editor(asked, api_base=api_base, wait=wait)
    scripted = scripted_session(template, idea)
    if scripted is None:
        raise ConfigError(
            f"no model given, and {template.name} has no scripted session for {idea.name}: use --model NAME "
            "(such as deepseek/deepseek-reasoner or anthropic/claude-sonnet-4-5) or set AI_SCI_MODEL."
        )
    note(
        f"No model given: playing the scripted session {template.name}/{idea.name}, whose replies are fixed text. "
        "For a live model use --model NAME (such as deepseek/deepseek-reasoner) or set AI_SCI_MODEL."
    )
    name = f"scripted:{scripted.resolve()}"
    return name, open_editor(name)


def scripted_session(template: Template, idea: Idea) -> Path | None:
    """The folder of the template's scripted session for this idea; None when it has none."""
    folder = template.folder / "scripted"
    try:
        names = {path.name for path in folder.iterdir() if path.is_dir()}
    except OSError:
        return None
    return folder / idea.name if idea.name in names else None


def absolute_model(name: str) -> str:
    """Makes the path in `scripted:`, `replay:` and `history:` names absolute, so that resume works from any folder."""
    kind, colon, path = name.partition(":")
    fixed = colon and kind in ("scripted", "replay", "history")
    return f"{kind}:{Path(path).expanduser().resolve()}" if fixed else name
