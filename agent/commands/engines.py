"""Who executes the attempts: `--engine` and `--slurm`, looked at before a session is opened, and opened to drive it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from ai_sci.agent import interrupts
from ai_sci.agent.budgets import ResourceBroker
from ai_sci.agent.models import seconds_in
from ai_sci.experiment.attempt import Engine, LocalEngine
from ai_sci.experiment.base import Limits


def as_asked(limits: Limits, engine: str, options: Mapping[str, str]) -> Limits:
    """With the GPUs that a job holds: `--slurm gres=gpu:8` goes before the template, and all 8 are charged for."""
    if engine == "local":
        return limits
    from ai_sci.experiment.slurm import gpus_of

    return replace(limits, gpus=gpus_of(limits, options))


def check_engine(engine: str, options: Mapping[str, str], limits: Limits, tell: Callable[[str], None]) -> None:
    """Asks the cluster whether it would take the jobs of such a session, before anything is spent on it.

    Raises ConfigError when it would not, EnvironmentFailed when it does not answer.
    """
    if engine == "slurm":
        from ai_sci.experiment.slurm import commands as slurm_commands

        slurm_commands.require_commands()
        parameters = slurm_commands.parameters_of(limits, limits.time, options)
        slurm_commands.patiently(lambda: slurm_commands.test_only(parameters), slurm_patience(), tell)


def require_engine(engine: str) -> None:
    """Raises ConfigError where a session with this engine cannot go on."""
    if engine == "slurm":
        from ai_sci.experiment.slurm import require_commands

        require_commands()


def open_engine(
    engine: str, options: Mapping[str, str], broker: ResourceBroker, time_left: Callable[[], float]
) -> Engine:
    """`time_left`: seconds that the session still has."""
    if engine == "local":
        return LocalEngine(broker)
    from ai_sci.experiment.slurm import SlurmEngine

    def still() -> float:
        interrupts.check()
        return min(time_left(), broker.time_left())

    return SlurmEngine(dict(options), slurm_patience(), still)


def conditions_of(engine: str, options: Mapping[str, str]) -> str:
    """What stands for the machine in the key of a baseline; "" for this one."""
    if engine == "local":
        return ""
    return " ".join([engine, *(f"{key}={options[key]}" for key in sorted(options))])


def slurm_patience() -> float:
    """Seconds for which Slurm's controller may be silent before a session stops."""
    patience = seconds_in("AI_SCI_SLURM_PATIENCE")
    return 600.0 if patience is None else patience
