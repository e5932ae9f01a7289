"""Options of the command line: those that several commands share, and what their text means."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Optional

import typer

from ai_sci.agent.budgets import Budgets
from ai_sci.experiment.base import ConfigError, parse_duration, parse_size

Model = Annotated[
    Optional[str],
    typer.Option(help="Any litellm name, scripted:FOLDER or replay:SESSION. Default: AI_SCI_MODEL, else a script."),
]
ApiBase = Annotated[Optional[str], typer.Option(metavar="URL", help="Server of the model (vLLM, Ollama, llama.cpp).")]
MaxCost = Annotated[Optional[float], typer.Option(metavar="USD", min=0.0, help="Never spend more than this.")]
MaxRuns = Annotated[Optional[int], typer.Option(min=1, help="How many runs the model may make.")]
MaxTokens = Annotated[Optional[int], typer.Option(metavar="N", min=1, help="Never send and receive more tokens.")]
MaxTime = Annotated[Optional[str], typer.Option(metavar="DURATION", help="Limit of the whole session.")]
MaxGpuHours = Annotated[
    Optional[float], typer.Option(metavar="H", min=0.0, help="Never hold GPUs for longer, each counted.")
]
MaxDisk = Annotated[Optional[str], typer.Option(metavar="SIZE", help="Limit of the whole session's folder.")]
RunsDir = Annotated[Path, typer.Option(metavar="DIR", help="Where sessions are kept.")]
ContextWindow = Annotated[
    Optional[int],
    typer.Option(metavar="TOKENS", min=256, help="The model's window; a longer conversation is rebuilt."),
]
IdeasFile = Annotated[Optional[Path], typer.Option(metavar="FILE", help="Another file of ideas.")]
SessionName = Annotated[Optional[str], typer.Option(metavar="NAME", help="The session's name.")]
Settings = Annotated[Optional[list[str]], typer.Option("--set", metavar="KEY=VALUE", help="A setting.")]
Timeout = Annotated[Optional[str], typer.Option(metavar="DURATION", help="Limit of one attempt: 90s, 2h.")]
Memory = Annotated[Optional[str], typer.Option(metavar="SIZE", help="Limit of one attempt: 8G.")]
Disk = Annotated[Optional[str], typer.Option(metavar="SIZE", help="Limit of one attempt: 20G.")]
Python = Annotated[Optional[Path], typer.Option(metavar="PATH", help="Your own interpreter.")]
SandboxChoice = Annotated[str, typer.Option(metavar="auto|bwrap|landlock|none", help="How attempts are kept in.")]
AllowUnsandboxed = Annotated[bool, typer.Option("--allow-unsandboxed", help="Accept having no sandbox.")]
EngineName = Annotated[
    str, typer.Option(metavar="local|slurm|NAME", help="Who executes attempts: this machine, a cluster, a plug-in.")
]
EngineOptions = Annotated[
    Optional[list[str]], typer.Option("--engine-option", metavar="KEY=VALUE", help="An option of the engine.")
]
Slurm = Annotated[
    Optional[list[str]],
    typer.Option(metavar="KEY=VALUE", help="An option of sbatch for each job: partition=main, account=…, gres=…"),
]
Detach = Annotated[bool, typer.Option("--detach", help="Run ai-sci itself as a small job of the cluster.")]
DetachSlurm = Annotated[
    Optional[list[str]], typer.Option(metavar="KEY=VALUE", help="For that job: partition=…, account=…, time=…")
]
TemplateOption = Annotated[str, typer.Option(metavar="DIR|NAME", help="A bundled template or a template's folder.")]


def refuse(options: dict[str, Any], why: str) -> None:
    """An option that would be without effect is an error."""
    for name, value in options.items():
        if value is not None and value is not False:
            raise ConfigError(f"{name} {why}.")


def overrides(pairs: list[str]) -> dict[str, str]:
    overrides = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key.strip():
            raise ConfigError(f'--set takes KEY=VALUE, not "{pair}"')
        overrides[key.strip()] = value
    return overrides


def read_engine(engine: str, pairs: list[str] | None, slurm: list[str] | None) -> dict[str, str]:
    """What `--engine-option KEY=VALUE` and `--slurm KEY=VALUE` say. Raises ConfigError for what cannot be meant."""
    from ai_sci.agent.commands.engines import read_engine_options

    return read_engine_options(engine, pairs or [], slurm or [])


def quantity(option: str, text: str | None, parse: Callable[[str], Any]) -> Any:
    if text is None:
        return None
    try:
        return parse(text)
    except ConfigError as error:
        raise ConfigError(f"{option}: {error}") from None


def budgets(
    max_cost: float | None,
    max_tokens: int | None,
    max_time: str | None,
    max_gpu_hours: float | None,
    max_disk: str | None,
) -> Budgets:
    """Raises ConfigError for what is no quantity."""
    for option, number in (("--max-cost", max_cost), ("--max-gpu-hours", max_gpu_hours)):
        if number is not None and not math.isfinite(number):
            raise ConfigError(f"{option} must be a number, not {number}: leave it out for no limit")
    time = quantity("--max-time", max_time, parse_duration)
    return Budgets(max_cost, max_tokens, time, max_gpu_hours, quantity("--max-disk", max_disk, parse_size))


def print_last(folder: Path) -> None:
    """The last line on stdout. The exit code counts also when nobody reads it any more (a closed terminal)."""
    try:
        print(folder, flush=True)
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for the flush at exit


def detach_job(more: list[str], folder: Path, slurm: list[str] | None) -> None:
    """Has this very command executed as a job; the folder that it opens is the last line on stdout."""
    from ai_sci.agent.cli.detach import detach, without_detach

    job = detach([*without_detach(sys.argv[1:]), *more], folder, slurm or [])
    print(f"job {job} runs it; what it says is in {folder}.detached.log", file=sys.stderr)
    print_last(folder)
