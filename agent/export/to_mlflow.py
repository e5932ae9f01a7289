"""Exports to an MLflow experiment. A tag identifies each run, so a second export creates no duplicates."""

from __future__ import annotations

import logging
import os
import re
from typing import Any

from ai_sci.agent.export.base import ExportedRun, ExportFailed, missing

_KEY = "ai_sci.key"
_LONGEST = 5_000  # characters in a tag or a parameter


def to_mlflow(runs: list[ExportedRun], project: str, tracking_uri: str | None) -> str:
    """Returns a summary line. Raises ConfigError without the extra, ExportFailed when MLflow refuses."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")  # so that a wrong address fails at once
    try:
        import mlflow  # pyright: ignore[reportMissingImports]
        from mlflow import MlflowClient  # pyright: ignore[reportMissingImports]
        from mlflow.exceptions import MlflowException  # pyright: ignore[reportMissingImports]
    except ImportError:
        raise missing("mlflow", "MLflow") from None
    logging.getLogger("alembic").setLevel(logging.WARNING)  # it logs every step of creating a store
    uri = tracking_uri or mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(uri)
    try:
        client = MlflowClient()
        found = client.get_experiment_by_name(project)
        experiment = found.experiment_id if found else client.create_experiment(project)
        new = sum(_put(client, experiment, run) for run in runs)
    except (MlflowException, OSError) as error:
        raise ExportFailed(f"MLflow at {uri}: {str(error).splitlines()[0][:300]}") from error
    return f"{len(runs)} runs in the MLflow experiment {project} at {uri}: {new} new, {len(runs) - new} there already"


def _put(client: Any, experiment: str, run: ExportedRun) -> bool:
    """Creates the run, or completes and updates an existing one. Returns whether it is new."""
    from mlflow.entities import Metric, Param, RunTag  # pyright: ignore[reportMissingImports]

    found = client.search_runs([experiment], f"tags.`{_KEY}` = '{run.key}'", max_results=1)
    ended = round(run.ended * 1000)
    if found:
        run_id, measured = found[0].info.run_id, found[0].data.metrics
    else:
        made = client.create_run(experiment, round(run.began * 1000), {_KEY: run.key}, run.name)
        run_id, measured = made.info.run_id, {}
    metrics = {_name(name): value for name, value in run.metrics.items()}
    tags = {**run.tags, "mlflow.note.content": run.description}
    client.log_batch(
        run_id,
        [Metric(name, value, ended, 0) for name, value in metrics.items() if measured.get(name) != value],
        [Param(_name(name), value[:_LONGEST]) for name, value in run.params.items()],
        [RunTag(name, value[:_LONGEST]) for name, value in tags.items()],
    )
    for name, path in run.files.items():
        client.log_artifact(run_id, str(path), name.rpartition("/")[0] or None)
    client.set_terminated(run_id, "FINISHED" if run.accepted else "FAILED", ended)
    return not found


def _name(name: str) -> str:
    """Replaces the characters that MLflow does not accept."""
    return re.sub(r"[^\w\-. :/]", "_", name)
