"""Where templates are: the bundled ones by name, others by folder."""

from __future__ import annotations

from pathlib import Path

from ai_sci.experiment.base import ConfigError, nearest


def bundled_templates() -> Path:
    """The templates that come with ai-sci: `ai_sci/templates`, in a checkout a link to `templates/`."""
    return (Path(__file__).parents[2] / "templates").resolve()


def template_names() -> list[str]:
    """The bundled template names that `--template` accepts."""
    return sorted(path.parent.name for path in bundled_templates().glob("*/experiment.py"))


def find_template(name_or_path: str) -> Path:
    """The template's absolute folder: a bundled template of that name, else a folder. Raises ConfigError."""
    bundled = bundled_templates() / name_or_path
    if name_or_path in template_names():
        return bundled
    folder = Path(name_or_path).expanduser()
    if folder.is_dir() and name_or_path:
        return folder.resolve()
    if folder.is_file():
        raise ConfigError(f'template "{name_or_path}" is a file: name the folder that holds experiment.py')
    known = template_names()
    if folder.parent.is_dir():
        known += [str(path.parent) for path in folder.parent.glob("*/experiment.py")]
    raise ConfigError(f'there is no template "{name_or_path}"{nearest(name_or_path, known)}')


def templates_inside(folder: Path) -> str:
    """A hint that completes the error about a folder that is not a template."""
    inside = sorted(str(path.parent) for path in folder.glob("*/experiment.py"))
    return f": did you mean {' or '.join(inside[:5])}?" if inside else ": a template is a folder with that file in it"
