"""Every text that a model is sent is a file in `prompts/`; this fills in its fields."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path
from typing import Any

from ai_sci import __version__


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


def authorship() -> dict[str, Any]:
    """Who writes the prompts from now on, as a session's events record it: the version, and a hash of the texts."""
    return {"version": __version__, "prompts": _fingerprint()}


@cache
def _fingerprint() -> str:
    """sha256 of all prompt files and their names, in hexadecimal."""
    digest = hashlib.sha256()
    for path in sorted(prompts_folder().glob("*.md")):
        if path.name != "README.md":
            text = path.read_bytes()
            digest.update(f"{path.name} {len(text)}\n".encode() + text)
    return digest.hexdigest()
