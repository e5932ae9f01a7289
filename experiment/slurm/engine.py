"""Attempts as jobs of a Slurm cluster: submitted, waited for, taken up again by another ai-sci, never left behind.

Slurm starts a job at least once, not exactly once; which execution counts is decided in the ticket's folder.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from ai_sci.experiment.attempt import AttemptLaunch, AttemptOutcome, AttemptPlan, OnLaunch, OnOutput, Slots
from ai_sci.experiment.base import Limits, seconds_in
from ai_sci.experiment.slurm.commands import (
    cancel,
    gpus_of,
    is_submitted,
    look,
    parameters_of,
    patiently,
    read_options,
    require_commands,
    submit,
    test_only,
)
from ai_sci.experiment.slurm.ticket import Ticket, begun_of, find_ticket, open_ticket
from ai_sci.experiment.slurm.wait import Waiting


@dataclass(frozen=True)
class SlurmEngine:
    """`options` are those of sbatch that go before ours. `patience`: seconds that the controller may be silent.

    `time_left` says how many seconds the session still has; what it raises ends the wait, and the job.
    """

    options: Mapping[str, str]
    patience: float = 600.0
    time_left: Callable[[], float] = lambda: math.inf

    def run(self, plan: AttemptPlan, on_launch: OnLaunch, on_output: OnOutput) -> AttemptOutcome:
        """Raises EnvironmentFailed too when Slurm refuses the job, cannot execute it, or does not answer for long."""
        plan = replace(plan, session=plan.session.resolve())
        ticket = find_ticket(plan)
        job = self._left_by_another(ticket, on_output) if ticket else ""
        if ticket is None or not job:
            ticket, job = open_ticket(plan), ""
        waiting = Waiting(plan, ticket, self.patience, self.time_left, on_output)
        with waiting.ends_the_job():
            job = job or self._submit(plan, ticket, on_output)
            on_launch(AttemptLaunch(plan, job=job, gpus=gpus_of(plan.limits, self.options)))
            return waiting.until_the_end(job)

    def reattach(self, plan: AttemptPlan, job: str, on_output: OnOutput) -> AttemptOutcome | None:
        plan = replace(plan, session=plan.session.resolve())
        ticket = find_ticket(plan)
        if ticket is None or ticket.is_closed:
            return None
        waiting = Waiting(plan, ticket, self.patience, self.time_left, on_output, taken_up=True)
        with waiting.ends_the_job():
            return waiting.until_the_end(job)

    def _submit(self, plan: AttemptPlan, ticket: Ticket, tell: OnOutput) -> str:
        parameters = parameters_of(plan.limits, plan.time_limit, self.options)

        def once() -> str:
            # An sbatch that got no answer may have been heard.
            return look(ticket).id or submit(ticket, plan, parameters)

        return patiently(once, self.patience, tell)

    def _left_by_another(self, ticket: Ticket, tell: OnOutput) -> str:
        """The job of an ai-sci that died before it could journal it; "" when there is none that could be taken up.

        Such a one never executes anything: its ticket is closed.
        """
        if ticket.accepted is None and not ticket.is_closed:
            job = patiently(lambda: look(ticket), self.patience, tell)
            if job.id and is_submitted(ticket, job.id):
                return job.id
        if not ticket.close():
            assert ticket.accepted is not None
            return begun_of(ticket.accepted).job
        patiently(lambda: cancel(ticket), self.patience, tell)
        return ""


class _Slurm:
    """`--engine slurm`: its options are those of sbatch."""

    uses_slots = False
    jobs_survive = True

    def read_options(self, pairs: Sequence[str], option: str) -> dict[str, str]:
        return read_options(pairs, option)

    def as_asked(self, limits: Limits, options: Mapping[str, str]) -> Limits:
        """`gres=gpu:8` goes before the template, and all 8 are charged for."""
        return replace(limits, gpus=gpus_of(limits, options))

    def require(self, options: Mapping[str, str]) -> None:
        require_commands()

    def check(self, limits: Limits, options: Mapping[str, str], tell: OnOutput) -> None:
        require_commands()
        parameters = parameters_of(limits, limits.time, options)
        patiently(lambda: test_only(parameters), _patience(), tell)

    def conditions(self, options: Mapping[str, str]) -> str:
        return " ".join(["slurm", *(f"{key}={options[key]}" for key in sorted(options))])

    def open(self, options: Mapping[str, str], slots: Slots, time_left: Callable[[], float]) -> SlurmEngine:
        return SlurmEngine(dict(options), _patience(), time_left)


def _patience() -> float:
    """Seconds for which Slurm's controller may be silent before a session stops."""
    patience = seconds_in("AI_SCI_SLURM_PATIENCE")
    return 600.0 if patience is None else patience


SLURM = _Slurm()
