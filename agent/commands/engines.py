"""Engines execute the attempts: finds `--engine NAME`, ours or a plugin's, and opens it for a session."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from importlib.metadata import EntryPoint

from ai_sci.agent import interrupts
from ai_sci.agent.budgets import BudgetReached, ResourceBroker
from ai_sci.experiment.attempt import AttemptOutcome, AttemptPlan, Engine, EngineKind, OnLaunch, OnOutput
from ai_sci.experiment.base import ConfigError, EnvironmentFailed, installed_plugins, load_plugin, plugin_errors

GROUP = "ai_sci.engines"
# Not read from our package's own metadata, which an older version may have written.
_OURS = {
    "local": EntryPoint("local", "ai_sci.experiment.attempt:LOCAL", GROUP),
    "slurm": EntryPoint("slurm", "ai_sci.experiment.slurm:SLURM", GROUP),
}


def engine_kind(name: str) -> EngineKind:
    """The engine of this name. Raises ConfigError when there is none or its package is broken."""
    entry = _OURS.get(name) or installed_plugins(GROUP).get(name)
    if entry is None:
        names = dict.fromkeys([*_OURS, *installed_plugins(GROUP)])
        raise ConfigError(f"--engine {name} is unknown: it is one of {', '.join(names)}")
    kind = load_plugin(entry)
    if not isinstance(kind, EngineKind):
        raise ConfigError(f"--engine {name}: {entry.value} is not an EngineKind, as docs/extending.md describes it")
    return kind


def read_engine_options(engine: str, pairs: Sequence[str], slurm: Sequence[str] = ()) -> dict[str, str]:
    """Parses `--engine-option KEY=VALUE`, and `--slurm KEY=VALUE`, which means the same for that engine.

    Raises ConfigError for invalid options.
    """
    kind = engine_kind(engine)
    if slurm and engine != "slurm":
        raise ConfigError(f"--slurm is for --engine slurm, not for --engine {engine}.")
    return {**kind.read_options(pairs, "--engine-option"), **(kind.read_options(slurm, "--slurm") if slurm else {})}


def open_engine(
    engine: str, options: Mapping[str, str], broker: ResourceBroker, time_left: Callable[[], float]
) -> Engine:
    """`time_left` returns the seconds that the session has left."""

    def still() -> float:
        interrupts.check()
        return min(time_left(), broker.time_left())

    kind = engine_kind(engine)
    if engine in _OURS:
        return kind.open(options, broker, still)
    entry = installed_plugins(GROUP)[engine]
    with _plugin_errors(entry):
        return _InstalledEngine(entry, kind.open(options, broker, still))


class _InstalledEngine:
    """An engine from another package. What it raises by mistake is EnvironmentFailed, naming the package."""

    def __init__(self, entry: EntryPoint, engine: Engine) -> None:
        self._entry, self._engine = entry, engine

    def run(self, plan: AttemptPlan, on_launch: OnLaunch, on_output: OnOutput) -> AttemptOutcome:
        with _plugin_errors(self._entry):
            return self._engine.run(plan, on_launch, on_output)

    def reattach(self, plan: AttemptPlan, job: str, on_output: OnOutput) -> AttemptOutcome | None:
        with _plugin_errors(self._entry):
            return self._engine.reattach(plan, job, on_output)


def _plugin_errors(entry: EntryPoint) -> AbstractContextManager[None]:
    return plugin_errors(entry, EnvironmentFailed, passing=(OSError, BudgetReached))
