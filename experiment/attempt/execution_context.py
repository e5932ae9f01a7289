"""Everything that an attempt needs, prepared once per session: environment, data, sandbox, limits."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from ai_sci.experiment.attempt.baseline import BaselineOutcome, baseline_key, conditions_key, measure_baseline
from ai_sci.experiment.attempt.grading import open_grader
from ai_sci.experiment.attempt.plots import PLOT_TIME, PlotPlan
from ai_sci.experiment.attempt.runner import AttemptOutcome, AttemptPlan
from ai_sci.experiment.base import Limits
from ai_sci.experiment.environment import Environment, ensure_environment, ensure_prepared
from ai_sci.experiment.sandbox import Sandbox
from ai_sci.experiment.template import Template


@dataclass(frozen=True)
class ExecutionContext:
    """What all attempts of a session share. `machine` identifies where they are executed, if not on this machine."""

    template: Template
    environment: Environment
    data: Path | None
    sandbox: Sandbox
    limits: Limits
    machine: str = ""
    # Seconds since the epoch. Sessions that share it do not repeat a baseline measurement that has failed since then.
    begun: float = field(default_factory=time.time, compare=False)

    def attempt_plan(self, session: Path, run: int, attempt: int, kind: str) -> AttemptPlan:
        """The plan of one attempt; `kind` is "smoke" or "full"."""
        return AttemptPlan(
            session, run, attempt, kind, self.template, self.environment, self.data, self.sandbox, self.limits
        )

    def plot_plan(self, session: Path, number: int) -> PlotPlan:
        """The plan of one try at the plots, with their own time limit."""
        limits = replace(self.limits, time=PLOT_TIME)
        return PlotPlan(session, number, self.template, self.environment, self.sandbox, self.data, limits)

    @cached_property
    def baseline_key(self) -> str:
        """See `baseline.baseline_key`."""
        return baseline_key(self.template, self.environment, self.machine)

    @cached_property
    def conditions_key(self) -> str:
        """See `baseline.conditions_key`."""
        return conditions_key(self.template, self.environment, self.machine)

    def measure_baseline(
        self,
        session: Path,
        execute: Callable[[AttemptPlan], AttemptOutcome],
        tell: Callable[[str], None],
        try_start: bool,
        origin: Path,
    ) -> BaselineOutcome:
        """See `baseline.measure_baseline`."""
        return measure_baseline(
            *(session, self.template, self.environment, self.data, self.sandbox, execute, tell, self.limits),
            machine=self.machine,
            failed_since=self.begun,
            try_start=try_start,
            origin=origin,
        )


def prepare_execution(
    template: Template,
    limits: Limits,
    python: Path | None,
    sandbox: Sandbox,
    tell: Callable[[str], None],
    trusted: Template | None = None,
    machine: str = "",
) -> ExecutionContext:
    """Builds or finds the experiment environment and the prepared data; progress goes to `tell` line by line.

    `trusted` is the template whose prepare step runs, if `template` is a session's copy that a model may have edited.
    Raises ConfigError and EnvironmentFailed; anything half-built is removed, or rebuilt next time.
    """
    open_grader(template)
    for note in template.start_notes():
        tell(note)
    environment = ensure_environment(template, python, tell)
    data = ensure_prepared(trusted or template, environment, tell)
    return ExecutionContext(template, environment, data, sandbox, limits, machine)
