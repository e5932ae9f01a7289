"""Exports to a Weights & Biases project. Each run has a fixed id, so a second export creates no duplicates."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

from ai_sci.agent.export.base import ExportedRun, ExportFailed, missing


def to_wandb(runs: list[ExportedRun], project: str, base_url: str | None) -> str:
    """Returns a summary line. Raises ConfigError without the extra, ExportFailed when W&B refuses.

    With WANDB_MODE=offline, files go to WANDB_DIR or the current folder, for `wandb sync` to send later.
    """
    os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
    try:
        import wandb  # pyright: ignore[reportMissingImports]
    except ImportError:
        raise missing("wandb", "Weights & Biases") from None
    folders: list[Path] = []
    for run in runs:
        settings = wandb.Settings(
            base_url=base_url or os.environ.get("WANDB_BASE_URL") or "https://api.wandb.ai",
            silent=True,
            console="off",
            disable_git=True,
            disable_code=True,
            x_disable_stats=True,
            x_disable_meta=True,
            x_save_requirements=False,
        )
        try:
            with wandb.init(
                project=project,
                id=run.key,
                name=run.name,
                group=run.session,
                notes=run.description,
                tags=[run.tags["verdict"][:64]],
                config={**run.params, **run.tags},
                resume="allow",
                settings=settings,
            ) as open_run:
                _fill(open_run, run)
                offline = open_run.offline
                folder = Path(open_run.settings.sync_dir)
        except (wandb.Error, OSError) as error:
            why = str(error).splitlines()[0].rstrip(".")
            raise ExportFailed(f"Weights & Biases: {why}. WANDB_MODE=offline needs neither key nor network.") from error
        if offline:
            _remove_earlier(folder, run.key)
            folders.append(folder)
    if folders:
        send = f"wandb sync {folders[0].parent}/offline-run-*"
        return f"{len(runs)} runs for the W&B project {project} in {folders[0].parent}; send them with: {send}"
    return f"{len(runs)} runs in the W&B project {project}"


def _fill(open_run: Any, run: ExportedRun) -> None:
    # Summary only, no history: exporting again changes nothing.
    open_run.summary.update(run.metrics)
    for name, path in run.files.items():
        copy = Path(open_run.dir, name)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)


def _remove_earlier(folder: Path, key: str) -> None:
    """Keeps only the newest offline export of a run."""
    for earlier in folder.parent.glob(f"offline-run-*-{key}"):
        if earlier != folder:
            shutil.rmtree(earlier)
