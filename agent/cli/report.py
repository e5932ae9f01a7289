"""`ai-sci report`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from typer import Option

from ai_sci.agent.cli.ending import print_last
from ai_sci.agent.cli.grouping import given, refuse
from ai_sci.agent.cli.options import Folder


def report(
    folder: Folder,
    output: Annotated[
        Path | None,
        Option("-o", "--output", metavar="FILE", help="Where to write it. [default: report.html in the folder]"),
    ] = None,
    md: Annotated[bool, Option("--md", help="Write a short Markdown table, for pasting.")] = False,
    check: Annotated[
        Path | None, Option(metavar="FILE.html", help="Recompute this report and name every difference.")
    ] = None,
) -> None:
    """Write a report of what was planned, tried, measured and spent, as one HTML page."""
    if check is not None:
        refuse(given(output=output, md=md), "writes a report, and --check reads one")
        from ai_sci.agent.report import check_report, tell_checked

        raise typer.Exit(tell_checked(check_report(folder, check), check))
    from ai_sci.agent.report import write_report

    print_last(write_report(folder, output, md))
