"""What a budget cut short on a cluster is done again when there is more of it, and no fault of the code."""

from __future__ import annotations

import os
import signal

import pytest

from ai_sci.agent.journal.state import Status
from ai_sci.agent.session.reading import read_state
from tests.slurm.cluster import wait_for

pytestmark = pytest.mark.slurm
SIX_SECONDS = ("--max-gpu-hours", f"{6 / 3600:.6f}")
ENOUGH = ("--max-gpu-hours", "1")


def test_a_baseline_that_a_budget_cut_short_is_measured_anew(lab):
    lab.template(baseline=False)
    done = lab.run(*lab.options("s", *SIX_SECONDS, seconds=9.0))
    assert done.code == 3 and "--max-gpu-hours" in done.err, done.err
    done = lab.run("resume", lab.session("s"), *ENOUGH)
    assert done.code == 0, done.err
    assert lab.verdicts("s") == ["ok"]


def test_a_job_that_a_budget_cut_short_while_nobody_looked_is_repeated(lab):
    driver = lab.start(*lab.options("s", *SIX_SECONDS, seconds=9.0))
    lab.wait_until_it_runs("s")
    os.kill(driver.pid, signal.SIGKILL)
    driver.wait()
    wait_for(lambda: not lab.cluster.jobs(), 40, "the job does not end")
    done = lab.run("resume", lab.session("s"), *ENOUGH)
    assert done.code == 0, done.err
    assert lab.verdicts("s") == ["lost", "ok"]
    state = read_state(lab.session("s"))
    assert state.status is Status.completed
    assert 14 < state.spent.gpu_seconds < 30


def test_a_job_that_runs_when_the_session_s_time_is_up_ends_and_is_no_failure(lab):
    done = lab.run(*lab.options("s", "--max-time", "10s", seconds=30.0))
    assert done.code == 3 and "--max-time" in done.err, done.err
    assert lab.verdicts("s") == ["lost"]
    wait_for(lambda: not lab.cluster.jobs(), 20, "the job is left behind")
