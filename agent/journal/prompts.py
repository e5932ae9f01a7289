"""Renders the texts sent to a model from the files in `prompts/`."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path
from typing import Any

from ai_sci import __version__


def prompts_folder() -> Path:
    """`ai_sci/prompts`, which in a checkout links to the repository's `prompts/`."""
    return Path(__file__).parents[2] / "prompts"


@cache
def _environment() -> Any:
    import jinja2  # costs 40 ms, which `ai-sci --help` cannot afford

    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(prompts_folder()),
        undefined=jinja2.StrictUndefined,  # a missing field must fail, not leave a gap in the prompt
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=False,
        autoescape=False,
    )


def render(prompt: str, **fields: Any) -> str:
    """The text of `prompts/{prompt}.md` with its Jinja fields filled in, stripped."""
    return _environment().get_template(f"{prompt}.md").render(**fields).strip()


def authorship() -> dict[str, Any]:
    """The version and prompt hash that a session's events record, as keyword arguments for them."""
    return {"version": __version__, "prompts": _fingerprint()}


@cache
def _fingerprint() -> str:
    """The sha256 of all prompt files and their names, in hex."""
    digest = hashlib.sha256()
    for path in sorted(prompts_folder().glob("*.md")):
        if path.name != "README.md":
            text = path.read_bytes()
            digest.update(f"{path.name} {len(text)}\n".encode() + text)
    return digest.hexdigest()
