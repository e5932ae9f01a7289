"""The `ai-sci` command: registers all subcommands and turns errors into one line and an exit code."""

from __future__ import annotations

import atexit
import contextlib
import functools
import os
import sys
from typing import Annotated

import click
import typer

from ai_sci import __version__
from ai_sci.agent.cli.batch import batch
from ai_sci.agent.cli.doctor import doctor
from ai_sci.agent.cli.export import export
from ai_sci.agent.cli.grouping import command
from ai_sci.agent.cli.new import new
from ai_sci.agent.cli.replay import replay
from ai_sci.agent.cli.report import report
from ai_sci.agent.cli.resume import resume
from ai_sci.agent.cli.run import run
from ai_sci.agent.cli.show import show
from ai_sci.agent.cli.standard_streams import flush_streams, make_streams_usable
from ai_sci.agent.cli.watch import watch

_INTERRUPTED = 130  # what typer returns for a KeyboardInterrupt
_DRIVING = ("run", "batch", "resume", "replay")  # the commands that drive sessions

app = typer.Typer(
    name="ai-sci",
    help="Autonomous experiments: a language model plans runs for an idea and edits the code; every outcome is kept.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
for function in (run, batch, resume, replay, show, watch, report, export, new, doctor):
    app.command()(command(function))


def _print_version(asked: bool) -> None:
    if asked:
        print(f"ai-sci {__version__}")
        raise typer.Exit


@app.callback()
def _before(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_print_version, help="Print the version and exit.")
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Write a log file for bug reports, and name it at the end.")
    ] = False,
) -> None:
    if debug:
        _open_log()


def main() -> None:
    """The entry point. Prints every error as one line and exits; never returns."""
    make_streams_usable()
    try:
        if os.environ.get("AI_SCI_DEBUG"):
            _open_log()
        code = app(standalone_mode=False, prog_name="ai-sci")
        if code == _INTERRUPTED:
            raise KeyboardInterrupt
    except BrokenPipeError:  # `ai-sci show … | head`
        code = 0
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001  even a bug of ours is one line, with its log
        message, code = _explain(error)
        _say("ai-sci: " + " ".join(message.split()))
    flush_streams()
    raise SystemExit(code)


def _explain(error: BaseException) -> tuple[str, int]:
    """The line and the exit code for what ended a command."""
    from ai_sci.agent.cli.debug_log import keep
    from ai_sci.experiment.base import AiSciError

    if isinstance(error, AiSciError):
        keep(error)
        return str(error), error.exit_code
    if isinstance(error, click.UsageError):
        path = error.ctx.command_path if error.ctx else "ai-sci"
        return f"{error.format_message()} (see `{path} --help`)", 2
    if isinstance(error, (KeyboardInterrupt, click.Abort)):
        return "interrupted before a session was open: run the same command again.", 2
    if isinstance(error, OSError):
        keep(error)
        return f"{error.filename}: {error.strerror}" if error.filename else str(error), 2
    log = keep(error, a_bug=True)
    called = next((word for word in sys.argv[1:] if not word.startswith("-")), "")
    advice = " `ai-sci resume` continues the session." if called in _DRIVING else ""
    return f"a bug in ai-sci: {type(error).__name__}: {error}. Please report it with {log}.{advice}", 3


@functools.cache  # AI_SCI_DEBUG and --debug may both ask for it
def _open_log() -> None:
    from ai_sci.agent.cli.debug_log import open_log

    atexit.register(_say, f"Log for a bug report: {open_log()}")


def _say(line: str) -> None:
    with contextlib.suppress(OSError):  # stderr may be gone
        print(line, file=sys.stderr, flush=True)
