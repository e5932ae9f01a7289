"""Shell completion for the names of templates and ideas."""

from __future__ import annotations

import typer


def template_names(incomplete: str) -> list[str]:
    """The bundled templates with this prefix; the shell itself completes folders."""
    from ai_sci.experiment.template import template_names

    return [name for name in template_names() if name.startswith(incomplete)]


def idea_names(context: typer.Context, incomplete: str) -> list[str]:
    """The ideas, with this prefix, of the template named earlier on the line, else of `sae`."""
    from ai_sci.experiment.base import ConfigError
    from ai_sci.experiment.template import IDEA_FILES, load_ideas, load_template

    try:
        folder = load_template(context.params.get("template") or "sae").folder
        files = [folder / name for name in IDEA_FILES if (folder / name).is_file()]
        return [idea.name for file in files for idea in load_ideas(file) if idea.name.startswith(incomplete)]
    except ConfigError:
        return []
