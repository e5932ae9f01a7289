"""The commands that only read what sessions and batches left: `show`, `watch`, `export`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

Folder = Annotated[Path, typer.Argument(metavar="SESSION|BATCH", help="The folder.")]


def show(
    folder: Folder,
    json: Annotated[bool, typer.Option("--json", help="For scripts.")] = False,
) -> None:
    """Where a session or a batch stands."""
    from agent.batch_state import is_batch
    from agent.show import show_session
    from agent.show_batch import show_batch

    folder = folder.resolve()
    print(show_batch(folder, json) if is_batch(folder) else show_session(folder, json))


def watch(
    folder: Folder,
    once: Annotated[bool, typer.Option("--once", help="Print one frame and end.")] = False,
    follow: Annotated[bool, typer.Option("--follow", help="Stay when it has ended: it may be resumed.")] = False,
) -> None:
    """One screen that follows a session or a batch, wherever it was started."""
    from agent.watch_screen import watch

    watch(folder.resolve(), once, follow)


def export(
    folder: Folder,
    to: Annotated[str, typer.Option(metavar="mlflow|wandb", help="Where its runs go.")],
    project: Annotated[str, typer.Option(metavar="NAME", help="MLflow: the experiment.")] = "ai-sci",
    tracking_uri: Annotated[
        Optional[str], typer.Option(metavar="URI", help="The server, or MLflow: a store on this machine.")
    ] = None,
) -> None:
    """The numbers of all runs, for MLflow or Weights & Biases; again as often as you like."""
    from agent.export import export

    export(folder.resolve(), to, project, tracking_uri)
