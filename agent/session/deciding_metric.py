"""The metric that compares a session's runs, and the best run by it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ai_sci.agent.journal import RunRecord, State
from ai_sci.experiment.base import ConfigError
from ai_sci.experiment.template import Template, load_template


@dataclass(frozen=True)
class Deciding:
    """A metric and its direction. `name` is None while no metric is known."""

    name: str | None
    higher_is_better: bool = True

    def of(self, metrics: dict[str, float]) -> float | None:
        """This metric's value among `metrics`; None if it is missing."""
        return None if self.name is None else metrics.get(self.name)

    def better(self, one: float, other: float) -> bool:
        """Whether the value `one` beats `other`."""
        return one > other if self.higher_is_better else one < other

    def best(self, runs: Iterable[RunRecord]) -> RunRecord | None:
        """The best accepted run that has the metric; the first of equals."""
        best: RunRecord | None = None
        best_value: float | None = None
        for run in runs:
            value = self.of(run.closed.metrics) if run.accepted and run.closed else None
            if value is not None and (best_value is None or self.better(value, best_value)):
                best, best_value = run, value
        return best


def session_template(folder: Path, state: State) -> Template | None:
    """The session's copy of the template; None if it no longer loads."""
    assert state.started is not None
    try:
        return load_template(str(folder), state.started.overrides)
    except ConfigError:
        return None


def deciding(template: Template | None, state: State) -> Deciding:
    """The template's metric or, if it names none (as in AI-Scientist), the first one measured."""
    higher = template.higher_is_better if template else True
    if template is not None and template.metric is not None:
        return Deciding(template.metric, higher)
    measured = [state.baseline.metrics] if state.baseline else []
    measured += [run.closed.metrics for run in state.accepted if run.closed]
    return Deciding(next((name for metrics in measured for name in metrics), None), higher)
