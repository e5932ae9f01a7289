"""Options that several commands share, and how their values are parsed."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from typer import Argument, Option

from ai_sci.agent.cli.completion import template_names

if TYPE_CHECKING:
    from ai_sci.agent.budgets import Budgets
    from ai_sci.agent.commands import RunOptions

RUNS = Path("runs")
_EACH = "Batches: the same limit for each session."

Folder = Annotated[Path, Argument(metavar="SESSION|BATCH", help="The folder of a session or a batch.")]
RunsDir = Annotated[Path | None, Option(metavar="DIR", help="Folder of the sessions. [default: runs]")]
SessionName = Annotated[str | None, Option(metavar="NAME", help="Name of the new session.")]
IdeasFile = Annotated[Path | None, Option(metavar="FILE", help="Take the idea from this file, not the template's.")]
TemplateName = Annotated[
    str | None,
    Option(metavar="DIR|NAME", help="A bundled template, or your own. [default: sae]", autocompletion=template_names),
]


@dataclass(frozen=True)
class ModelOptions:
    """The model, and how many runs it gets. None means the value of the template or of the recorded session."""

    model: Annotated[
        str | None,
        Option(metavar="MODEL", help="Any litellm name, scripted:FOLDER, replay:SESSION or history:FILE#N."),
    ] = None
    api_base: Annotated[str | None, Option(metavar="URL", help="Server of the model (vLLM, Ollama, llama.cpp).")] = None
    max_runs: Annotated[int | None, Option(metavar="N", min=1, help="Number of runs the model may make.")] = None
    context_window: Annotated[
        int | None,
        Option(metavar="TOKENS", min=256, help="The model's context window; longer conversations are compacted."),
    ] = None
    wait: Annotated[
        str | None,
        Option(metavar="DURATION", help="Longest wait for the server's usage limit to reset. [default: 1h]"),
    ] = None

    def read(self) -> dict[str, Any]:
        """The fields, as options of a session. Raises ConfigError for an invalid duration."""
        from ai_sci.experiment.base import parse_duration

        return {**vars(self), "wait": _quantity("--wait", self.wait, parse_duration)}


@dataclass(frozen=True)
class BudgetOptions:
    """Hard limits of a session, or of all sessions of a batch together."""

    max_cost: Annotated[float | None, Option(metavar="USD", min=0.0, help="Stop before spending more than this.")] = (
        None
    )
    max_tokens: Annotated[
        int | None, Option(metavar="N", min=1, help="Stop before sending and receiving more than N tokens.")
    ] = None
    max_time: Annotated[str | None, Option(metavar="DURATION", help="Stop after this long, such as 90m or 8h.")] = None
    max_gpu_hours: Annotated[
        float | None, Option(metavar="H", min=0.0, help="Stop before using more than H GPU-hours.")
    ] = None
    max_disk: Annotated[str | None, Option(metavar="SIZE", help="Stop before the folder grows beyond this.")] = None

    def read(self) -> Budgets:
        """The parsed budgets. Raises ConfigError for an invalid amount."""
        return _budgets("--max", *vars(self).values())


@dataclass(frozen=True)
class SessionBudgetOptions:
    """Hard limits of each session of a batch."""

    session_max_cost: Annotated[float | None, Option(metavar="USD", min=0.0, help=_EACH)] = None
    session_max_tokens: Annotated[int | None, Option(metavar="N", min=1, help=_EACH)] = None
    session_max_time: Annotated[str | None, Option(metavar="DURATION", help=_EACH)] = None
    session_max_gpu_hours: Annotated[float | None, Option(metavar="H", min=0.0, help=_EACH)] = None
    session_max_disk: Annotated[str | None, Option(metavar="SIZE", help=_EACH)] = None

    def read(self) -> Budgets:
        """The parsed budgets. Raises ConfigError for an invalid amount."""
        return _budgets("--session-max", *vars(self).values())


@dataclass(frozen=True)
class AttemptOptions:
    """How experiments are executed."""

    set_: Annotated[list[str] | None, Option("--set", metavar="KEY=VALUE", help="Change a template's setting.")] = None
    timeout: Annotated[str | None, Option(metavar="DURATION", help="Time limit of an attempt, such as 2h.")] = None
    memory: Annotated[str | None, Option(metavar="SIZE", help="Memory limit of an attempt, such as 8G.")] = None
    disk: Annotated[str | None, Option(metavar="SIZE", help="Disk limit of an attempt, such as 20G.")] = None
    python: Annotated[Path | None, Option(metavar="PATH", help="Run experiments with this interpreter.")] = None
    sandbox: Annotated[str | None, Option(metavar="auto|bwrap|none", help="Sandbox backend. [default: auto]")] = None
    allow_unsandboxed: Annotated[bool, Option("--allow-unsandboxed", help="Allow attempts without a sandbox.")] = False


@dataclass(frozen=True)
class EngineOptions:
    """Where attempts run, and where ai-sci itself does."""

    engine: Annotated[
        str | None,
        Option(metavar="local|slurm|NAME", help="Run attempts here, as Slurm jobs, or by a plugin. [default: local]"),
    ] = None
    engine_option: Annotated[
        list[str] | None, Option(metavar="KEY=VALUE", help="An option of the engine, for every attempt.")
    ] = None
    slurm: Annotated[
        list[str] | None, Option(metavar="KEY=VALUE", help="sbatch option for every attempt, such as partition=main.")
    ] = None
    detach: Annotated[bool, Option("--detach", help="Run ai-sci itself as a small Slurm job.")] = False
    detach_slurm: Annotated[
        list[str] | None, Option(metavar="KEY=VALUE", help="sbatch option for that job, such as time=3-0.")
    ] = None


def run_options(model: ModelOptions, attempts: AttemptOptions, limits: Budgets, **more: Any) -> RunOptions:
    """The options of `run`, `batch` and the replay of a history. Raises ConfigError for invalid values."""
    from ai_sci.agent.commands import RunOptions
    from ai_sci.experiment.base import parse_duration, parse_size

    return RunOptions(
        **model.read(),
        overrides=_overrides(attempts.set_ or []),
        timeout=_quantity("--timeout", attempts.timeout, parse_duration),
        memory=_quantity("--memory", attempts.memory, parse_size),
        disk=_quantity("--disk", attempts.disk, parse_size),
        budgets=limits,
        python=attempts.python,
        sandbox=attempts.sandbox or "auto",
        allow_unsandboxed=attempts.allow_unsandboxed,
        **more,
    )


def read_engine(options: EngineOptions) -> dict[str, Any]:
    """`engine` and `engine_options` of RunOptions. Raises ConfigError for invalid options."""
    from ai_sci.agent.commands import read_engine_options

    engine = options.engine or "local"
    read = read_engine_options(engine, options.engine_option or [], options.slurm or [])
    return {"engine": engine, "engine_options": read}


def _overrides(pairs: list[str]) -> dict[str, str]:
    from ai_sci.experiment.base import ConfigError

    overrides = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key.strip():
            raise ConfigError(f'--set takes KEY=VALUE, not "{pair}"')
        overrides[key.strip()] = value
    return overrides


def _quantity(option: str, text: str | None, parse: Callable[[str], Any]) -> Any:
    from ai_sci.experiment.base import ConfigError

    if text is None:
        return None
    try:
        return parse(text)
    except ConfigError as error:
        raise ConfigError(f"{option}: {error}") from None


def _budgets(
    prefix: str, cost: float | None, tokens: int | None, time: str | None, gpu_hours: float | None, disk: str | None
) -> Budgets:
    from ai_sci.agent.budgets import Budgets
    from ai_sci.experiment.base import ConfigError, parse_duration, parse_size

    for name, number in (("cost", cost), ("gpu-hours", gpu_hours)):
        if number is not None and not math.isfinite(number):
            raise ConfigError(f"{prefix}-{name} must be a number, not {number}: leave it out for no limit")
    seconds = _quantity(f"{prefix}-time", time, parse_duration)
    return Budgets(cost, tokens, seconds, gpu_hours, _quantity(f"{prefix}-disk", disk, parse_size))
