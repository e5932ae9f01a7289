"""Runs attempts as Slurm jobs: submits, waits, reattaches after a crash, and never leaves a job behind.

Slurm may start a job more than once; the ticket's folder decides which execution counts.
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
    """`options` are sbatch options that override ours. `patience`: how many seconds the controller may be silent.

    `time_left` returns the seconds the session still has; an exception from it ends the wait and the job.
    """

    options: Mapping[str, str]
    patience: float = 600.0
    time_left: Callable[[], float] = lambda: math.inf

    def run(self, plan: AttemptPlan, on_launch: OnLaunch, on_output: OnOutput) -> AttemptOutcome:
        """Also raises EnvironmentFailed when Slurm refuses the job, cannot start it, or stays silent too long."""
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
        """Waits for a job that an earlier ai-sci submitted; None when it is lost."""
        plan = replace(plan, session=plan.session.resolve())
        ticket = find_ticket(plan)
        if ticket is None or ticket.is_closed:
            return None
        waiting = Waiting(plan, ticket, self.patience, self.time_left, on_output, reattached=True)
        with waiting.ends_the_job():
            return waiting.until_the_end(job)

    def _submit(self, plan: AttemptPlan, ticket: Ticket, tell: OnOutput) -> str:
        parameters = parameters_of(plan.limits, plan.time_limit, self.options)

        def once() -> str:
            # An sbatch that timed out may have queued the job all the same.
            return look(ticket).id or submit(ticket, plan, parameters)

        return patiently(once, self.patience, tell)

    def _left_by_another(self, ticket: Ticket, tell: OnOutput) -> str:
        """The job of an ai-sci that died before journalling it; "" when it cannot be reattached.

        In that case its ticket is closed, so the job will never execute anything.
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
    """`--engine slurm`; its options are sbatch options."""

    uses_slots = False
    jobs_survive = True

    def read_options(self, pairs: Sequence[str], option: str) -> dict[str, str]:
        return read_options(pairs, option)

    def as_asked(self, limits: Limits, options: Mapping[str, str]) -> Limits:
        """`gres=gpu:8` overrides the template, and all 8 GPUs are charged."""
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
    """How many seconds Slurm's controller may be silent before a session stops."""
    patience = seconds_in("AI_SCI_SLURM_PATIENCE")
    return 600.0 if patience is None else patience


SLURM = _Slurm()
