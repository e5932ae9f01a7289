"""`ai-sci batch` on the command line."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from agent.options import budgets, overrides, print_last, quantity, refuse
from experiment.errors import ConfigError
from experiment.quantities import parse_duration, parse_size

if TYPE_CHECKING:
    from agent.start import ResumeOptions

_SHARED = "Of all ideas together."
_EACH = "Of each idea."


def batch(
    ideas: Annotated[
        str, typer.Option(metavar="FILE|NAME,NAME|all", help="The ideas; TEMPLATE/NAME where there are several.")
    ],
    template: Annotated[
        Optional[list[str]], typer.Option(metavar="DIR|NAME", help="A template (sae); repeat it for several.")
    ] = None,
    slots: Annotated[
        Optional[int], typer.Option(metavar="N", min=1, help="Attempts at once, each on its share of the CPUs.")
    ] = None,
    gpus: Annotated[Optional[str], typer.Option(metavar="0,1,…", help="The GPUs to use, one attempt on each.")] = None,
    at_once: Annotated[
        Optional[int], typer.Option(metavar="N", min=1, help="Ideas at work at once, thinking ones too (32).")
    ] = None,
    engine: Annotated[str, typer.Option(metavar="local|slurm", help="Where attempts are executed.")] = "local",
    add_to: Annotated[
        Optional[Path], typer.Option(metavar="BATCH", help="Give the ideas to this batch, which may be running.")
    ] = None,
    model: Annotated[Optional[str], typer.Option(help="As for run.")] = None,
    api_base: Annotated[Optional[str], typer.Option(metavar="URL", help="As for run.")] = None,
    max_runs: Annotated[Optional[int], typer.Option(min=1, help="How many runs each idea may have.")] = None,
    runs_dir: Annotated[Path, typer.Option(metavar="DIR", help="Where batches are kept.")] = Path("runs"),
    session: Annotated[Optional[str], typer.Option(metavar="NAME", help="The batch's name.")] = None,
    set_: Annotated[Optional[list[str]], typer.Option("--set", metavar="KEY=VALUE", help="A setting.")] = None,
    timeout: Annotated[Optional[str], typer.Option(metavar="DURATION", help="Limit of one attempt: 90s, 2h.")] = None,
    memory: Annotated[Optional[str], typer.Option(metavar="SIZE", help="Limit of one attempt: 8G.")] = None,
    disk: Annotated[Optional[str], typer.Option(metavar="SIZE", help="Limit of one attempt: 20G.")] = None,
    max_cost: Annotated[Optional[float], typer.Option(metavar="USD", min=0.0, help=_SHARED)] = None,
    max_tokens: Annotated[Optional[int], typer.Option(metavar="N", min=1, help=_SHARED)] = None,
    max_time: Annotated[Optional[str], typer.Option(metavar="DURATION", help=_SHARED)] = None,
    max_gpu_hours: Annotated[Optional[float], typer.Option(metavar="H", min=0.0, help=_SHARED)] = None,
    max_disk: Annotated[Optional[str], typer.Option(metavar="SIZE", help=_SHARED)] = None,
    session_max_cost: Annotated[Optional[float], typer.Option(metavar="USD", min=0.0, help=_EACH)] = None,
    session_max_tokens: Annotated[Optional[int], typer.Option(metavar="N", min=1, help=_EACH)] = None,
    session_max_time: Annotated[Optional[str], typer.Option(metavar="DURATION", help=_EACH)] = None,
    session_max_gpu_hours: Annotated[Optional[float], typer.Option(metavar="H", min=0.0, help=_EACH)] = None,
    session_max_disk: Annotated[Optional[str], typer.Option(metavar="SIZE", help=_EACH)] = None,
    context_window: Annotated[Optional[int], typer.Option(metavar="TOKENS", min=256, help="As for run.")] = None,
    python: Annotated[Optional[Path], typer.Option(metavar="PATH", help="Your own interpreter.")] = None,
    sandbox: Annotated[
        str, typer.Option(metavar="auto|bwrap|landlock|none", help="How attempts are kept in.")
    ] = "auto",
    allow_unsandboxed: Annotated[bool, typer.Option("--allow-unsandboxed", help="Accept having no sandbox.")] = False,
) -> None:
    """Work on many ideas at once: each a session of its own, sharing this machine's GPUs or CPUs."""
    from agent.batch import add_ideas, run_batch
    from agent.batch_plan import AT_ONCE, BatchOptions
    from agent.screen import PlainScreen
    from agent.start import RunOptions

    if slots is not None and gpus is not None:
        raise ConfigError("--slots and --gpus exclude each other: a slot is a GPU, or a share of the CPUs.")
    if engine not in ("local", "slurm"):
        raise ConfigError(f"--engine {engine} is unknown: it is local or slurm.")
    options = BatchOptions(
        ideas=ideas,
        templates=tuple(template or ["sae"]),
        name=session,
        slots=slots,
        gpus=_gpus(gpus),
        engine=engine,
        at_once=at_once or AT_ONCE,
        budgets=budgets(max_cost, max_tokens, max_time, max_gpu_hours, max_disk),
        session=RunOptions(
            idea="",
            model=model,
            api_base=api_base,
            max_runs=max_runs,
            runs_dir=runs_dir,
            overrides=overrides(set_ or []),
            timeout=quantity("--timeout", timeout, parse_duration),
            memory=quantity("--memory", memory, parse_size),
            disk=quantity("--disk", disk, parse_size),
            budgets=budgets(
                session_max_cost, session_max_tokens, session_max_time, session_max_gpu_hours, session_max_disk
            ),
            context_window=context_window,
            python=python,
            sandbox=sandbox,
            allow_unsandboxed=allow_unsandboxed,
        ),
    )
    screen = PlainScreen()
    if add_to is not None:
        refuse({"--slots": slots, "--gpus": gpus, "--session": session, "--model": model}, "is the batch's own")
        add_ideas(add_to, options, screen)
        return
    _end(lambda: run_batch(options, screen))


def resume(folder: Path, options: ResumeOptions) -> None:
    """`ai-sci resume BATCH`: the budgets given are of all sessions together."""
    from agent.batch import resume_batch
    from agent.desk import Budgets
    from agent.screen import PlainScreen

    each = replace(options, budgets=Budgets())
    _end(lambda: resume_batch(folder, each, options.budgets, PlainScreen()))


def _end(drive: Callable[[], tuple[Path, Any]]) -> None:
    """The batch's folder is the last line on stdout."""
    from agent.batch import BatchStopped, batch_exit_code

    try:
        folder, status = drive()
    except BatchStopped as stopped:
        print_last(stopped.folder)
        raise
    print_last(folder)
    raise typer.Exit(batch_exit_code(folder, status))


def _gpus(text: str | None) -> tuple[str, ...]:
    if text is None:
        return ()
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    if not names or len(set(names)) < len(names):
        raise ConfigError(f"--gpus {text}: name each GPU once, such as 0,1")
    return names
