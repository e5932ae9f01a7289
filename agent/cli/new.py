"""`ai-sci new`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Argument


def new(folder: Annotated[Path, Argument(metavar="DIR", help="A folder that does not exist yet.")]) -> None:
    """Create a template that runs, as a start for your own."""
    from ai_sci.agent.commands import copy_template

    print(copy_template(folder))
