"""Options of the command line whose text means something else: quantities, settings, and those without effect."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from experiment.errors import ConfigError


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


def quantity(option: str, text: str | None, parse: Callable[[str], Any]) -> Any:
    if text is None:
        return None
    try:
        return parse(text)
    except ConfigError as error:
        raise ConfigError(f"{option}: {error}") from None


def print_last(folder: Path) -> None:
    """The last line on stdout. The exit code counts also when nobody reads it any more (a closed terminal)."""
    try:
        print(folder, flush=True)
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for the flush at exit
