"""How a command that drives a session or a batch ends: its folder as the last line on stdout, and an exit code."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import typer

if TYPE_CHECKING:
    from ai_sci.agent.cli.options import EngineOptions
    from ai_sci.agent.journal import Status
    from ai_sci.agent.session import Screen


def drive_session(work: Callable[[Screen], tuple[Path, Status]]) -> NoReturn:
    """Runs `work` with a screen, prints the folder and exits. Raises SessionStopped."""
    from ai_sci.agent.commands import SessionStopped, exit_code
    from ai_sci.agent.session import open_screen

    screen = open_screen()
    try:
        folder, status = work(screen)
    except SessionStopped as stopped:
        print_last(stopped.folder)
        raise
    finally:
        screen.close()
    print_last(folder)
    raise typer.Exit(exit_code(folder, status))


def drive_batch(work: Callable[[Screen], tuple[Path, Any]]) -> NoReturn:
    """Runs `work` with a plain screen, prints the folder and exits. Raises BatchStopped."""
    from ai_sci.agent.batch import BatchStopped, batch_exit_code
    from ai_sci.agent.session import PlainScreen

    try:
        folder, status = work(PlainScreen())
    except BatchStopped as stopped:
        print_last(stopped.folder)
        raise
    print_last(folder)
    raise typer.Exit(batch_exit_code(folder, status))


def print_last(folder: Path) -> None:
    """Prints the last line on stdout. A closed terminal must not change the exit code."""
    try:
        print(folder, flush=True)
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # so that the flush at exit succeeds


def is_detached(options: EngineOptions, folder_of: Callable[[], Path], name: str | None) -> bool:
    """With `--detach`, submits this command as a job that opens `folder_of()`, and returns True."""
    if not (options.detach or options.detach_slurm):
        return False
    from ai_sci.agent.cli.detach import detach, without_detach

    folder = folder_of()
    more = [] if name else ["--session", folder.name]
    job = detach([*without_detach(sys.argv[1:]), *more], folder, options.detach_slurm or [])
    print(f"job {job} runs it; its output is in {folder}.detached.log", file=sys.stderr)
    print_last(folder)
    return True
