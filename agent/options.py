"""Options of the command line whose text means something else: quantities, settings, and those without effect."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from experiment.errors import ConfigError

ENGINES = ("local", "slurm")


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


def read_engine(engine: str, slurm: list[str]) -> dict[str, str]:
    """The options of sbatch in `--slurm KEY=VALUE`. Raises ConfigError for what cannot be meant."""
    if engine not in ENGINES:
        raise ConfigError(f"--engine {engine} is unknown: it is one of {', '.join(ENGINES)}")
    if engine == "local":
        if slurm:
            raise ConfigError("--slurm is for --engine slurm: without that, attempts run on this machine.")
        return {}
    from experiment.slurm_commands import read_options

    return read_options(slurm)


def quantity(option: str, text: str | None, parse: Callable[[str], Any]) -> Any:
    if text is None:
        return None
    try:
        return parse(text)
    except ConfigError as error:
        raise ConfigError(f"{option}: {error}") from None
