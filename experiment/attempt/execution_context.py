"""Everything that an attempt needs, made ready once per session: environment, data, sandbox, limits."""

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
    template: Template
    environment: Environment
    data: Path | None
    sandbox: Sandbox
    limits: Limits
    machine: str = ""  # what stands for the machine where attempts are executed, when it is not this one
    # Seconds since the epoch. Sessions that share it do not measure again a baseline that has failed since.
    begun: float = field(default_factory=time.time, compare=False)

    def attempt_plan(self, session: Path, run: int, attempt: int, kind: str) -> AttemptPlan:
        return AttemptPlan(
            session, run, attempt, kind, self.template, self.environment, self.data, self.sandbox, self.limits
        )

    def plot_plan(self, session: Path, number: int) -> PlotPlan:
        limits = replace(self.limits, time=PLOT_TIME)
        return PlotPlan(session, number, self.template, self.environment, self.sandbox, self.data, limits)

    @cached_property
    def baseline_key(self) -> str:
        return baseline_key(self.template, self.environment, self.machine)

    @cached_property
    def conditions_key(self) -> str:
        return conditions_key(self.template, self.environment, self.machine)

    def measure_baseline(
        self, session: Path, execute: Callable[[AttemptPlan], AttemptOutcome], tell: Callable[[str], None]
    ) -> BaselineOutcome:
        return measure_baseline(
            *(session, self.template, self.environment, self.data, self.sandbox, execute, tell, self.limits),
            machine=self.machine,
            failed_since=self.begun,
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
    """Builds or finds the experiment environment and the prepared data, telling about progress line by line.

    `trusted`: where the prepare step runs when `template` is the copy in a session, whose code a model has edited.
    `machine` is as in ExecutionContext.

    Raises ConfigError and EnvironmentFailed; what was half-built is removed or rebuilt the next time.
    """
    open_grader(template)
    environment = ensure_environment(template, python, tell)
    data = ensure_prepared(trusted or template, environment, tell)
    return ExecutionContext(template, environment, data, sandbox, limits, machine)
