"""What becomes of a wait that has to end before the job does."""

from __future__ import annotations

import os
import time

import pytest

from ai_sci.experiment.attempt.runner import AttemptPlan
from ai_sci.experiment.base.verdict import Verdict
from ai_sci.experiment.slurm.ticket import BEAT, Ticket, open_ticket
from ai_sci.experiment.slurm.wait import Waiting
from tests.experiment.slurm.test_slurm_ticket import begin
from tests.experiment.slurm.test_slurm_ticket import plan as plan


@pytest.fixture
def cancelled(tmp_path, monkeypatch):
    """What `scancel` was told; no other command of Slurm is there."""
    said, command = tmp_path / "cancelled", tmp_path / "bin" / "scancel"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\necho "$@" >> {said}\n')
    command.chmod(0o755)
    monkeypatch.setenv("PATH", str(command.parent), prepend=":")
    return said


def out_of_time(plan: AttemptPlan, ticket: Ticket) -> Waiting:
    return Waiting(plan, ticket, 1.0, lambda: 0.0, lambda text: None)


@pytest.mark.parametrize(
    ("has_begun", "reason"),
    [(False, "the session's time was used up in the queue"), (True, "the session's time was used up")],
)
def test_a_session_without_time_ends_its_job_and_the_code_is_not_to_blame(plan, cancelled, has_begun, reason):
    ticket = open_ticket(plan)
    if has_begun:
        begin(ticket, "n1")
    outcome = out_of_time(plan, ticket).until_the_end("7")
    assert (outcome.verdict, outcome.reason, outcome.digest) == (Verdict.lost, reason, "")
    assert ticket.is_closed
    assert ticket.job_name in cancelled.read_text()


def test_a_job_that_died_at_night_held_its_gpus_until_its_last_sign_of_life(plan, cancelled):
    ticket = open_ticket(plan)
    execution, _ = begin(ticket, "n1")
    now = time.time()
    os.utime(execution / "begun.json", (now - 30000, now - 30000))
    ticket.beat()
    os.utime(ticket.folder / "alive", (now - 29900, now - 29900))
    outcome = out_of_time(plan, ticket).until_the_end("7")
    assert outcome.begun and outcome.seconds == pytest.approx(100 + BEAT, abs=0.1)


def test_a_job_that_never_left_the_queue_held_nothing(plan, cancelled):
    outcome = out_of_time(plan, open_ticket(plan)).until_the_end("7")
    assert (outcome.begun, outcome.seconds) == (False, 0.0)


def test_an_outcome_that_is_there_counts_however_late_it_is_looked_at(plan, cancelled):
    ticket = open_ticket(plan)
    ticket.offer(*begin(ticket, "n1"))
    assert out_of_time(plan, ticket).until_the_end("7").verdict is Verdict.ok
