"""Every text that a model is sent is a file in `prompts/`; this fills in its fields."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any


def prompts_folder() -> Path:
    """`ai_sci/prompts`: in a checkout a link to the repository's `prompts/`."""
    return Path(__file__).parents[2] / "prompts"


@cache
def _environment() -> Any:
    import jinja2  # 40 ms, and `ai-sci --help` must not wait for it

    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(prompts_folder()),
        undefined=jinja2.StrictUndefined,  # a forgotten field is a bug, never an empty line in a prompt
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=False,
        autoescape=False,
    )


def render(prompt: str, **fields: Any) -> str:
    """The text of `prompts/{prompt}.md` with its Jinja fields filled in, stripped."""
    return _environment().get_template(f"{prompt}.md").render(**fields).strip()
