"""Who executes the attempts: `--engine NAME`, ours or brought by another package, and opened to drive a session."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import EntryPoint

from ai_sci.agent import interrupts
from ai_sci.agent.budgets import ResourceBroker
from ai_sci.experiment.attempt import Engine, EngineKind
from ai_sci.experiment.base import ConfigError, installed_plugins, load_plugin

GROUP = "ai_sci.engines"
# Found without the metadata of our own package, which may be an older version's.
_OURS = {
    "local": EntryPoint("local", "ai_sci.experiment.attempt:LOCAL", GROUP),
    "slurm": EntryPoint("slurm", "ai_sci.experiment.slurm:SLURM", GROUP),
}


def engine_kind(name: str) -> EngineKind:
    """Raises ConfigError when there is none of this name, or the package that brings it is broken."""
    entry = _OURS.get(name) or installed_plugins(GROUP).get(name)
    if entry is None:
        names = dict.fromkeys([*_OURS, *installed_plugins(GROUP)])
        raise ConfigError(f"--engine {name} is unknown: it is one of {', '.join(names)}")
    kind = load_plugin(entry)
    if not isinstance(kind, EngineKind):
        raise ConfigError(f"--engine {name}: {entry.value} is not an EngineKind, as docs/extending.md describes it")
    return kind


def read_engine_options(engine: str, pairs: Sequence[str], slurm: Sequence[str] = ()) -> dict[str, str]:
    """What `--engine-option KEY=VALUE` says, or `--slurm KEY=VALUE`, which is the same for that engine.

    Raises ConfigError for what cannot be meant.
    """
    kind = engine_kind(engine)
    if slurm and engine != "slurm":
        raise ConfigError(f"--slurm is for --engine slurm, not for --engine {engine}.")
    return {**kind.read_options(pairs, "--engine-option"), **(kind.read_options(slurm, "--slurm") if slurm else {})}


def open_engine(
    engine: str, options: Mapping[str, str], broker: ResourceBroker, time_left: Callable[[], float]
) -> Engine:
    """`time_left`: seconds that the session still has."""

    def still() -> float:
        interrupts.check()
        return min(time_left(), broker.time_left())

    return engine_kind(engine).open(options, broker, still)
