"""`ai-sci show`."""

from __future__ import annotations

from typing import Annotated

from typer import Option

from ai_sci.agent.cli.options import Folder


def show(folder: Folder, json: Annotated[bool, Option("--json", help="Print JSON, for scripts.")] = False) -> None:
    """Show the state of a session or a batch."""
    from ai_sci.agent.batch import is_batch
    from ai_sci.agent.views import show_batch, show_session

    folder = folder.resolve()
    print(show_batch(folder, json) if is_batch(folder) else show_session(folder, json))
