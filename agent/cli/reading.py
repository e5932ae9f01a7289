"""The commands that only read what sessions and batches left: `show`, `watch`, `report`, `export`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from ai_sci.agent.cli.options import print_last, refuse

Folder = Annotated[Path, typer.Argument(metavar="SESSION|BATCH", help="The folder.")]


def show(
    folder: Folder,
    json: Annotated[bool, typer.Option("--json", help="For scripts.")] = False,
) -> None:
    """Where a session or a batch stands."""
    from ai_sci.agent.batch import is_batch
    from ai_sci.agent.views import show_batch, show_session

    folder = folder.resolve()
    print(show_batch(folder, json) if is_batch(folder) else show_session(folder, json))


def watch(
    folder: Folder,
    once: Annotated[bool, typer.Option("--once", help="Print one frame and end.")] = False,
    follow: Annotated[bool, typer.Option("--follow", help="Stay when it has ended: it may be resumed.")] = False,
) -> None:
    """One screen that follows a session or a batch, wherever it was started."""
    from ai_sci.agent.views import watch

    watch(folder.resolve(), once, follow)


def report(
    folder: Folder,
    output: Annotated[
        Optional[Path], typer.Option("-o", "--output", metavar="FILE", help="Default: report.html in its folder.")
    ] = None,
    markdown: Annotated[bool, typer.Option("--md", help="A short Markdown table, for pasting.")] = False,
    check: Annotated[
        Optional[Path], typer.Option(metavar="FILE.html", help="Make the page anew and name what differs.")
    ] = None,
) -> None:
    """One page of what was planned, tried, measured and spent."""
    if check is not None:
        refuse({"-o": output, "--md": markdown or None}, "writes a report, and --check reads one")
        from ai_sci.agent.report import check_report, tell_checked

        raise typer.Exit(tell_checked(check_report(folder, check), check))
    from ai_sci.agent.report import write_report

    print_last(write_report(folder, output, markdown))


def export(
    folder: Folder,
    to: Annotated[str, typer.Option(metavar="mlflow|wandb", help="Where its runs go.")],
    project: Annotated[str, typer.Option(metavar="NAME", help="MLflow: the experiment.")] = "ai-sci",
    tracking_uri: Annotated[
        Optional[str], typer.Option(metavar="URI", help="The server, or MLflow: a store on this machine.")
    ] = None,
) -> None:
    """The numbers of all runs, for MLflow or Weights & Biases; again as often as you like."""
    from ai_sci.agent.export import export

    export(folder.resolve(), to, project, tracking_uri)
