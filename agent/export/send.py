"""Sends the runs of a session or a batch to an experiment tracker."""

from __future__ import annotations

from pathlib import Path

from ai_sci.agent.export.runs import exported_runs
from ai_sci.experiment.base import ConfigError


def export(folder: Path, to: str, project: str, tracking_uri: str | None) -> None:
    """Sends all runs to MLflow or Weights & Biases, updating those already there, and prints where they went.

    Raises ConfigError and ExportFailed.
    """
    if to not in ("mlflow", "wandb"):
        raise ConfigError(f"--to {to}: choose mlflow or wandb.")
    runs = exported_runs(folder)
    if to == "mlflow":
        from ai_sci.agent.export.to_mlflow import to_mlflow

        print(to_mlflow(runs, project, tracking_uri))
    else:
        from ai_sci.agent.export.to_wandb import to_wandb

        print(to_wandb(runs, project, tracking_uri))
