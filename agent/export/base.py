"""What an experiment tracker receives, and the errors of exporting."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ai_sci.experiment.base import AiSciError, ConfigError


@dataclass(frozen=True)
class ExportedRun:
    """The baseline or a closed run: nothing that happens later changes it.

    `key` does not depend on the folder or the number of exports. Times are seconds since the epoch.
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
    files: dict[str, Path]  # name in the tracker -> local path


class ExportFailed(AiSciError):
    """The tracker refused or did not answer."""

    exit_code = 2


def missing(package: str, name: str) -> ConfigError:
    """The error for an extra that is not installed."""
    return ConfigError(f"{name} is not installed: pip install 'ai-sci[{package}]' in the environment of ai-sci.")
