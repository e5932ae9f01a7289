"""What the trackers of experiments are given, and what goes wrong with them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ai_sci.experiment.base import AiSciError, ConfigError


@dataclass(frozen=True)
class ExportedRun:
    """The baseline or a closed run, as nothing that happens later can change it.

    `key` is the same however often and from whatever folder the run is exported. Times are seconds since the epoch.
    """

    key: str
    name: str
    session: str
    accepted: bool
    began: float
    ended: float
    metrics: dict[str, float]
    params: dict[str, str]
    tags: dict[str, str]
    description: str
    files: dict[str, Path]  # by the name that they get


class ExportFailed(AiSciError):
    """The tracker refused, or does not answer."""

    exit_code = 2


def missing(package: str, name: str) -> ConfigError:
    """What to say when an extra is not installed."""
    return ConfigError(f"{name} is not installed: pip install 'ai-sci[{package}]' in the environment of ai-sci.")
