"""`ai-sci export`."""

from __future__ import annotations

from typing import Annotated

from typer import Option

from ai_sci.agent.cli.options import Folder


def export(
    folder: Folder,
    to: Annotated[str, Option(metavar="mlflow|wandb", help="Where to send the runs.")],
    project: Annotated[
        str, Option(metavar="NAME", help="Project of Weights & Biases, or experiment of MLflow.")
    ] = "ai-sci",
    tracking_uri: Annotated[
        str | None, Option(metavar="URI", help="Address of the server, or a local MLflow store.")
    ] = None,
) -> None:
    """Send the metrics of all runs to MLflow or Weights & Biases; repeating it creates no duplicates."""
    from ai_sci.agent.export import export

    export(folder.resolve(), to, project, tracking_uri)
