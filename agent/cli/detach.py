"""`--detach`: runs ai-sci itself as a small Slurm job, so that a session needs no terminal or login node."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path

from ai_sci.experiment.base import ConfigError, EnvironmentFailed
from ai_sci.experiment.slurm import ask, flags_of, patiently, read_options, require_commands
from ai_sci.import_path import python_argv

# Options that the job itself must not get.
_OWN = ("--detach", "--detach-slurm")
_PATIENCE = 60.0  # seconds to wait for a controller that does not answer


def detach(arguments: list[str], folder: Path, slurm: list[str]) -> str:
    """Queues `ai-sci ARGUMENTS`, which opens `folder`, as a one-CPU job; returns the job's id.

    `slurm`: KEY=VALUE for sbatch. A requeued job (preempted, node lost) resumes the folder. It inherits this
    environment, including API keys. Raises ConfigError when Slurm rejects it.
    """
    require_commands()
    folder.parent.mkdir(parents=True, exist_ok=True)
    parameters = {
        **{"job_name": f"ai-sci-{folder.name}", "cpus_per_task": "1", "mem": "4G"},
        **{"output": f"{folder}.detached.log", "open_mode": "append", "requeue": True, "chdir": os.getcwd()},
        **{key: value for key, value in read_options(slurm, "--detach-slurm").items() if value},
    }
    wrap = f"test -e {shlex.quote(str(folder))} && exec {_command('resume', str(folder))}; exec {_command(*arguments)}"
    flags = flags_of(parameters)
    try:
        said: str = patiently(lambda: ask("sbatch", "--parsable", *flags, "--wrap", wrap), _PATIENCE, _tell)
    except EnvironmentFailed as error:
        raise ConfigError(f"{error} Asked for: {' '.join(flags)}. --detach-slurm KEY=VALUE changes that.") from None
    return said.strip().partition(";")[0]


def without_detach(arguments: list[str]) -> list[str]:
    """The arguments for the job: these, without the options of `--detach`."""
    kept: list[str] = []
    rest = iter(arguments)
    for argument in rest:
        if argument == _OWN[1]:
            next(rest, None)
        elif argument != _OWN[0] and not argument.startswith(f"{_OWN[1]}="):
            kept.append(argument)
    return kept


def _command(*arguments: str) -> str:
    return shlex.join(python_argv("ai_sci", *arguments))


def _tell(text: str) -> None:
    print(text, file=sys.stderr, end="")
