"""The command line. Heavy imports wait inside the commands, so that `--help` answers at once."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Optional

import click
import typer

from ai_sci.agent.cli import batch, reading
from ai_sci.agent.cli import options as given
from ai_sci.agent.cli.options import budgets, detach_job, overrides, print_last, quantity, read_engine, refuse
from ai_sci.agent.cli.standard_streams import make_streams_usable
from ai_sci.experiment.base import AiSciError, ConfigError, parse_duration, parse_size

_INTERRUPTED = 130  # what typer makes of a KeyboardInterrupt

app = typer.Typer(
    name="ai-sci",
    help="Autonomous experiments: a language model plans runs for an idea, edits the code, and every outcome is kept.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


@app.command()
def run(
    idea: Annotated[str, typer.Option(help="Name in the template's ideas.json, or a JSON file with one idea.")],
    template: given.TemplateOption = "sae",
    ideas: given.IdeasFile = None,
    model: given.Model = None,
    api_base: given.ApiBase = None,
    max_runs: given.MaxRuns = None,
    runs_dir: given.RunsDir = Path("runs"),
    session: given.SessionName = None,
    set_: given.Settings = None,
    timeout: given.Timeout = None,
    memory: given.Memory = None,
    disk: given.Disk = None,
    max_cost: given.MaxCost = None,
    max_tokens: given.MaxTokens = None,
    max_time: given.MaxTime = None,
    max_gpu_hours: given.MaxGpuHours = None,
    max_disk: given.MaxDisk = None,
    context_window: given.ContextWindow = None,
    python: given.Python = None,
    sandbox: given.SandboxChoice = "auto",
    allow_unsandboxed: given.AllowUnsandboxed = False,
    engine: given.EngineName = "local",
    slurm: given.Slurm = None,
    detach: given.Detach = False,
    detach_slurm: given.DetachSlurm = None,
) -> None:
    """SessionContext on one idea: baseline, edits, experiments, plots, notes."""
    from ai_sci.agent.commands import start

    options = start.RunOptions(
        idea=idea,
        template=template,
        ideas_file=ideas,
        model=model,
        api_base=api_base,
        max_runs=max_runs,
        runs_dir=runs_dir,
        session=session,
        overrides=overrides(set_ or []),
        timeout=quantity("--timeout", timeout, parse_duration),
        memory=quantity("--memory", memory, parse_size),
        disk=quantity("--disk", disk, parse_size),
        budgets=budgets(max_cost, max_tokens, max_time, max_gpu_hours, max_disk),
        context_window=context_window,
        python=python,
        sandbox=sandbox,
        allow_unsandboxed=allow_unsandboxed,
        engine=engine,
        slurm=read_engine(engine, slurm or []),
    )
    if detach or detach_slurm:
        folder = start.folder_of(options)
        detach_job([*([] if session else ["--session", folder.name])], folder, detach_slurm)
        return
    _drive(lambda screen: start.run(options, screen))


@app.command()
def resume(
    session: Annotated[Path, typer.Argument(metavar="SESSION|BATCH", help="Its folder.")],
    model: given.Model = None,
    api_base: given.ApiBase = None,
    max_runs: given.MaxRuns = None,
    max_cost: given.MaxCost = None,
    max_tokens: given.MaxTokens = None,
    max_time: given.MaxTime = None,
    max_gpu_hours: given.MaxGpuHours = None,
    max_disk: given.MaxDisk = None,
    context_window: given.ContextWindow = None,
    session_max_cost: batch.SessionMaxCost = None,
    session_max_tokens: batch.SessionMaxTokens = None,
    session_max_time: batch.SessionMaxTime = None,
    session_max_gpu_hours: batch.SessionMaxGpuHours = None,
    session_max_disk: batch.SessionMaxDisk = None,
) -> None:
    """Go on with a session, or with all of a batch, that stopped early."""
    from ai_sci.agent.batch import is_batch
    from ai_sci.agent.commands import resuming

    limits = budgets(max_cost, max_tokens, max_time, max_gpu_hours, max_disk)
    each = budgets(session_max_cost, session_max_tokens, session_max_time, session_max_gpu_hours, session_max_disk)
    options = resuming.ResumeOptions(model, api_base, max_runs, limits, context_window)
    if is_batch(session):
        batch.resume(session, options, each)
    refuse({f"--session-{name.replace('_', '-')}": value for name, value in each.by_option.items()}, "is for a batch")
    _drive(lambda screen: resuming.resume(session, options, screen))


app.command()(batch.batch)


@app.command()
def replay(
    recorded: Annotated[
        Path,
        typer.Argument(metavar="SESSION|HISTORY", help="A session's folder, or the file of an aider chat history."),
    ],
    model: Annotated[
        Optional[str], typer.Option(help="Goes on where the recorded replies end, or at --from-turn.")
    ] = None,
    api_base: given.ApiBase = None,
    from_turn: Annotated[
        Optional[int], typer.Option(metavar="K", help="Share its history up to the K-th reply, then ask --model.")
    ] = None,
    reuse: Annotated[bool, typer.Option("--reuse", help="Do not execute again what was executed alike.")] = False,
    session: Annotated[Optional[str], typer.Option(metavar="NAME", help="The new session's name.")] = None,
    runs_dir: given.RunsDir = Path("runs"),
    max_runs: given.MaxRuns = None,
    max_cost: given.MaxCost = None,
    max_tokens: given.MaxTokens = None,
    max_time: given.MaxTime = None,
    max_gpu_hours: given.MaxGpuHours = None,
    max_disk: given.MaxDisk = None,
    history_session: Annotated[
        Optional[int], typer.Option(metavar="N", help="History: which of its sessions, when there are several.")
    ] = None,
    template: Annotated[Optional[str], typer.Option(metavar="DIR|NAME", help="History: the template (sae).")] = None,
    idea: Annotated[Optional[str], typer.Option(help="History: the idea, if not the one it names.")] = None,
    set_: Annotated[Optional[list[str]], typer.Option("--set", metavar="KEY=VALUE", help="History: a setting.")] = None,
    timeout: Annotated[Optional[str], typer.Option(metavar="DURATION", help="History: limit of one attempt.")] = None,
    python: Annotated[Optional[Path], typer.Option(metavar="PATH", help="History: your own interpreter.")] = None,
    sandbox: Annotated[
        Optional[str], typer.Option(metavar="auto|bwrap|landlock|none", help="History: how attempts are kept in.")
    ] = None,
    allow_unsandboxed: Annotated[
        bool, typer.Option("--allow-unsandboxed", help="History: accept having no sandbox.")
    ] = False,
    context_window: given.ContextWindow = None,
) -> None:
    """Run a recorded session again, branch off from it, or take up an aider chat history."""
    limits = budgets(max_cost, max_tokens, max_time, max_gpu_hours, max_disk)
    if not recorded.exists():
        raise ConfigError(f"{recorded}: there is no such file or folder.")
    if recorded.is_file():
        refuse({"--from-turn": from_turn, "--reuse": reuse}, "is for a session of ours, not for a chat history")
        from ai_sci.agent.commands import replay_history, start

        number = replay_history.examine(recorded, history_session)
        run_options = start.RunOptions(
            idea=idea or "",
            template=template or "sae",
            model=model,
            api_base=api_base,
            max_runs=max_runs,
            runs_dir=runs_dir,
            session=session,
            overrides=overrides(set_ or []),
            timeout=quantity("--timeout", timeout, parse_duration),
            budgets=limits,
            context_window=context_window,
            python=python,
            sandbox=sandbox or "auto",
            allow_unsandboxed=allow_unsandboxed,
        )
        _drive(lambda screen: replay_history.replay_history(recorded, number, run_options, screen))
    of_session = {"--history-session": history_session, "--template": template, "--idea": idea, "--set": set_}
    of_session |= {"--timeout": timeout, "--python": python, "--sandbox": sandbox}
    of_session |= {"--allow-unsandboxed": allow_unsandboxed}
    refuse(of_session, "is for a chat history: a session is replayed with what it had")
    from ai_sci.agent.commands import replay

    options = replay.ReplayOptions(
        model=model,
        api_base=api_base,
        from_turn=from_turn,
        reuse=reuse,
        session=session,
        runs_dir=runs_dir,
        max_runs=max_runs,
        budgets=limits,
        context_window=context_window,
    )
    _drive(lambda screen: replay.replay(recorded, options, screen))


@app.command()
def new(folder: Annotated[Path, typer.Argument(metavar="DIR", help="A folder that does not exist yet.")]) -> None:
    """A new template that runs, to start your own from."""
    from ai_sci.agent.commands import copy_template

    print(copy_template(folder))


@app.command()
def doctor(template: given.TemplateOption = "sae") -> None:
    """What this machine can do, and what to fix."""
    from ai_sci.agent.commands import examine

    findings = examine(template)
    for finding in findings:
        print(finding)
    if any(finding.blocking for finding in findings):
        raise typer.Exit(2)


for command in (reading.show, reading.watch, reading.report, reading.export):
    app.command()(command)


def _drive(drive: Callable[[Any], tuple[Path, Any]]) -> None:
    """Drives a session with a screen; its folder is the last line on stdout."""
    from ai_sci.agent.commands import SessionStopped, exit_code
    from ai_sci.agent.session import open_screen

    screen = open_screen()
    try:
        folder, status = drive(screen)
    except SessionStopped as stopped:
        print_last(stopped.folder)
        raise
    finally:
        screen.close()
    print_last(folder)
    raise typer.Exit(exit_code(folder, status))


def main() -> None:
    """The entry point: every error is one clear line."""
    make_streams_usable()
    try:
        code = app(standalone_mode=False)
        if code == _INTERRUPTED:
            raise KeyboardInterrupt
        raise SystemExit(code)
    except AiSciError as error:
        _fail(str(error), error.exit_code)
    except click.UsageError as error:
        _fail(f"{error.format_message()} (see `{error.ctx.command_path if error.ctx else 'ai-sci'} --help`)", 2)
    except (KeyboardInterrupt, click.Abort):
        _fail("interrupted before a session was open: the same command can be given again.", 2)
    except BrokenPipeError:  # `ai-sci show … | head`
        sys.stderr.close()
        raise SystemExit(0) from None
    except OSError as error:
        _fail(f"{error.filename}: {error.strerror}" if error.filename else str(error), 2)
    except Exception as error:  # noqa: BLE001  a bug of ours: named in one line, with the traceback kept for its report
        _fail(f"a bug in ai-sci: {type(error).__name__}: {error}. {_keep_traceback()} A session goes on by resume.", 3)


def _keep_traceback() -> str:
    import tempfile
    import traceback

    with tempfile.NamedTemporaryFile("w", prefix="ai-sci-bug-", suffix=".txt", delete=False) as file:
        traceback.print_exc(file=file)
    return f"Please report it with {file.name}."


def _fail(message: str, code: int) -> None:
    with contextlib.suppress(OSError):  # stderr may be gone
        print("ai-sci: " + " ".join(message.split()), file=sys.stderr)
    raise SystemExit(code)


if __name__ == "__main__":
    main()
