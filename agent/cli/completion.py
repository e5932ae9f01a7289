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
    from ai_sci.experiment.template import load_template, template_ideas

    try:
        template = load_template(context.params.get("template") or "sae")
        return [idea.name for idea in template_ideas(template) if idea.name.startswith(incomplete)]
    except ConfigError:
        return []
