"""`--detach`: ai-sci itself as one small job, so that a session needs no terminal and no login node."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path

from ai_sci.experiment.base import ConfigError, EnvironmentFailed
from ai_sci.experiment.slurm import ask, flags_of, patiently, read_options, require_commands
from ai_sci.import_path import python_argv

# Keys of the command line that are for this side of it only.
_OWN = ("--detach", "--detach-slurm")
_PATIENCE = 60.0  # seconds for a controller that does not answer


def detach(arguments: list[str], folder: Path, slurm: list[str]) -> str:
    """Queues `ai-sci ARGUMENTS`, which opens `folder`, as a job of one CPU; returns the job's id.

    `slurm`: KEY=VALUE for sbatch. A job that is begun again (preempted, its node lost) resumes the folder. It gets this
    environment, keys to models included. Raises ConfigError when Slurm refuses it.
    """
    require_commands()
    folder.parent.mkdir(parents=True, exist_ok=True)
    parameters = {
        **{"job_name": f"ai-sci-{folder.name}", "cpus_per_task": "1", "mem": "4G"},
        **{"output": f"{folder}.detached.log", "open_mode": "append", "requeue": True, "chdir": os.getcwd()},
        **_driver_options(slurm),
    }
    wrap = f"test -e {shlex.quote(str(folder))} && exec {_command('resume', str(folder))}; exec {_command(*arguments)}"
    flags = flags_of(parameters)
    try:
        said: str = patiently(lambda: ask("sbatch", "--parsable", *flags, "--wrap", wrap), _PATIENCE, _tell)
    except EnvironmentFailed as error:
        raise ConfigError(f"{error} Asked for: {' '.join(flags)}. --detach-slurm KEY=VALUE changes that.") from None
    return said.strip().partition(";")[0]


def without_detach(arguments: list[str]) -> list[str]:
    """The command line as the job executes it."""
    kept: list[str] = []
    rest = iter(arguments)
    for argument in rest:
        if argument == _OWN[1]:
            next(rest, None)
        elif argument != _OWN[0] and not argument.startswith(f"{_OWN[1]}="):
            kept.append(argument)
    return kept


def _driver_options(slurm: list[str]) -> Mapping[str, str]:
    return {key: value for key, value in read_options(slurm, "--detach-slurm").items() if value}


def _command(*arguments: str) -> str:
    return shlex.join(python_argv("ai_sci", *arguments))


def _tell(text: str) -> None:
    print(text, file=sys.stderr, end="")
