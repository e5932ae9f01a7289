"""`ai-sci new DIR`: a copy of the template `tiny` to start your own from."""

from __future__ import annotations

import shutil
from pathlib import Path

from ai_sci.experiment.base import ConfigError
from ai_sci.experiment.template import bundled_templates, load_ideas


def copy_template(folder: Path) -> str:
    """Copies `templates/tiny` to `folder` and says what to do next. Raises ConfigError when it cannot."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigError(f"{folder} exists and is not empty: name a folder that does not exist yet.")
    try:
        shutil.copytree(
            bundled_templates() / "tiny",
            folder,
            dirs_exist_ok=True,
            ignore=shutil.ignore_patterns("__pycache__", "run_[0-9]*"),
        )
    except OSError as error:
        raise ConfigError(f"cannot write {folder}: {error.strerror}.") from error
    return (
        f"{folder} is a template that runs. Its README.md says what each file is for. Try it:\n"
        f"  ai-sci run --template {folder} --idea {load_ideas(folder / 'ideas.json')[0].name}"
    )
