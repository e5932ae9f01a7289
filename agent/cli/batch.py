"""`ai-sci batch` on the command line."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from ai_sci.agent.cli import options as given
from ai_sci.agent.cli.options import budgets, detach_job, overrides, print_last, quantity, read_engine, refuse
from ai_sci.experiment.base import ConfigError, parse_duration, parse_size

if TYPE_CHECKING:
    from ai_sci.agent.budgets import Budgets
    from ai_sci.agent.commands import ResumeOptions

# Of each idea: as for one session, with `--session-` before the name.
SessionMaxCost = Annotated[Optional[float], typer.Option(metavar="USD", min=0.0, help="A batch: of each idea.")]
SessionMaxTokens = Annotated[Optional[int], typer.Option(metavar="N", min=1, help="A batch: of each idea.")]
SessionMaxTime = Annotated[Optional[str], typer.Option(metavar="DURATION", help="A batch: of each idea.")]
SessionMaxGpuHours = Annotated[Optional[float], typer.Option(metavar="H", min=0.0, help="A batch: of each idea.")]
SessionMaxDisk = Annotated[Optional[str], typer.Option(metavar="SIZE", help="A batch: of each idea.")]
_SHARED = "Of all ideas together."


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
    add_to: Annotated[
        Optional[Path], typer.Option(metavar="BATCH", help="Give the ideas to this batch, which may be running.")
    ] = None,
    model: given.Model = None,
    api_base: given.ApiBase = None,
    max_runs: given.MaxRuns = None,
    runs_dir: given.RunsDir = Path("runs"),
    session: Annotated[Optional[str], typer.Option(metavar="NAME", help="The batch's name.")] = None,
    set_: given.Settings = None,
    timeout: given.Timeout = None,
    memory: given.Memory = None,
    disk: given.Disk = None,
    max_cost: Annotated[Optional[float], typer.Option(metavar="USD", min=0.0, help=_SHARED)] = None,
    max_tokens: Annotated[Optional[int], typer.Option(metavar="N", min=1, help=_SHARED)] = None,
    max_time: Annotated[Optional[str], typer.Option(metavar="DURATION", help=_SHARED)] = None,
    max_gpu_hours: Annotated[Optional[float], typer.Option(metavar="H", min=0.0, help=_SHARED)] = None,
    max_disk: Annotated[Optional[str], typer.Option(metavar="SIZE", help=_SHARED)] = None,
    session_max_cost: SessionMaxCost = None,
    session_max_tokens: SessionMaxTokens = None,
    session_max_time: SessionMaxTime = None,
    session_max_gpu_hours: SessionMaxGpuHours = None,
    session_max_disk: SessionMaxDisk = None,
    context_window: given.ContextWindow = None,
    python: given.Python = None,
    sandbox: given.SandboxChoice = "auto",
    allow_unsandboxed: given.AllowUnsandboxed = False,
    engine: given.EngineName = "local",
    engine_option: given.EngineOptions = None,
    slurm: given.Slurm = None,
    detach: given.Detach = False,
    detach_slurm: given.DetachSlurm = None,
) -> None:
    """SessionContext on many ideas at once: each a session of its own, sharing this machine's GPUs or CPUs."""
    given_values = dict(locals())
    from ai_sci.agent.batch import AT_ONCE, BatchOptions, add_ideas, folder_of, run_batch
    from ai_sci.agent.commands import RunOptions, engine_kind
    from ai_sci.agent.session import PlainScreen

    if slots is not None and gpus is not None:
        raise ConfigError("--slots and --gpus exclude each other: a slot is a GPU, or a share of the CPUs.")
    if not engine_kind(engine).uses_slots:
        refuse({"--slots": slots, "--gpus": gpus}, f"is for this machine: --engine {engine} decides what runs where")
    options = BatchOptions(
        ideas=ideas,
        templates=tuple(template or ["sae"]),
        name=session,
        slots=slots,
        gpus=_gpus(gpus),
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
            engine=engine,
            engine_options=read_engine(engine, engine_option, slurm),
        ),
    )
    screen = PlainScreen()
    if add_to is not None:
        _only_ideas(given_values)
        add_ideas(add_to, options, screen)
        return
    if detach or detach_slurm:
        folder = folder_of(options)
        detach_job([*([] if session else ["--session", folder.name])], folder, detach_slurm)
        return
    _end(lambda: run_batch(options, screen))


def _only_ideas(values: dict[str, Any]) -> None:
    """With --add-to everything else is as the batch has it."""
    usual = {"runs_dir": Path("runs"), "sandbox": "auto", "engine": "local"}
    asked = {name: value for name, value in values.items() if name not in ("ideas", "template", "add_to")}
    others = {
        f"--{name.rstrip('_').replace('_', '-')}": value for name, value in asked.items() if value != usual.get(name)
    }
    refuse(others, "is the batch's own, and cannot be another one for the ideas that are added")


def resume(folder: Path, options: ResumeOptions, each: Budgets) -> None:
    """`ai-sci resume BATCH`: the budgets in the options are of all sessions together, `each` of each."""
    from ai_sci.agent.batch import resume_batch
    from ai_sci.agent.session import PlainScreen

    _end(lambda: resume_batch(folder, replace(options, budgets=each), options.budgets, PlainScreen()))


def _end(drive: Callable[[], tuple[Path, Any]]) -> None:
    """The batch's folder is the last line on stdout."""
    from ai_sci.agent.batch import BatchStopped, batch_exit_code

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
