"""`ai-sci watch`."""

from __future__ import annotations

from typing import Annotated

from typer import Option

from ai_sci.agent.cli.options import Folder


def watch(
    folder: Folder,
    once: Annotated[bool, Option("--once", help="Print one frame and exit.")] = False,
    follow: Annotated[bool, Option("--follow", help="Keep watching after the end, in case of a resume.")] = False,
) -> None:
    """Follow a session or a batch live in the terminal."""
    from ai_sci.agent.views import watch

    watch(folder.resolve(), once, follow)
