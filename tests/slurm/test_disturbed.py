"""Whatever happens to a job, to Slurm or to ai-sci: an attempt has one outcome, and nothing is left behind."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from pathlib import Path

import pytest

from ai_sci.agent.journal.events import SessionEnded
from tests.crash.deaths import Death
from tests.crash.launcher import open_launcher
from tests.slurm.cluster import wait_for
from tests.slurm.lab import LIMITS, Lab

pytestmark = pytest.mark.slurm


def is_still(lab: Lab, name: str, attempt: str = "") -> bool:
    """Whether no process, sandboxed or not, is at home in the attempt's folder any more; waits a moment for that."""
    folder = str(lab.session(name) / "attempts" / attempt)

    def alive() -> list[str]:
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if os.readlink(process / "cwd").startswith(folder):
                    found.append((process / "cmdline").read_text())
        return found

    deadline = time.monotonic() + 3
    while (left := alive()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return left == []


def test_a_preempted_job_is_begun_anew(lab):
    driver = lab.start(*lab.options("s", seconds=8.0))
    job = lab.wait_until_it_runs("s")
    high = ("--partition=high", "--nodes=2", "--gres=gpu:2", "--exclusive", "--output=/dev/null")
    lab.cluster.run("sbatch", *high, "--wrap", "sleep 3")
    wait_for(lambda: lab.cluster.jobs().get(job) == "PENDING", 30, lab.said())
    assert is_still(lab, "s")
    done = lab.end(driver)
    assert done.code == 0, done.err
    assert lab.verdicts("s") == ["ok"]
    assert len(lab.executions("s")) == 2
    assert "begins again on node" in done.err
    clock = lab.clock("s")
    assert clock["end"] - clock["begin"] >= 8.0
    assert lab.finished("s")[0].waited > 3.0


@pytest.mark.parametrize("sandbox", [(), ("--sandbox", "none", "--allow-unsandboxed")], ids=["bwrap", "none"])
def test_scancel_from_outside_is_a_lost_attempt_that_is_repeated(lab, sandbox):
    driver = lab.start(*lab.options("s", *sandbox, seconds=5.0))
    job = lab.wait_until_it_runs("s")
    lab.cluster.run("scancel", job)
    wait_for(lambda: lab.cluster.jobs().get(job) is None, 30, "the job does not end")
    assert is_still(lab, "s", "run_1.1")
    done = lab.end(driver)
    assert done.code == 0, done.err
    assert lab.verdicts("s") == ["lost", "ok"]
    assert "was cancelled from outside" in lab.finished("s")[0].reason
    assert "begins" in (lab.session("s") / "attempts" / "run_1.1" / "output.log").read_text()


def test_a_session_whose_jobs_are_cancelled_again_and_again_stops_and_can_be_resumed(lab):
    driver = lab.start(*lab.options("s", seconds=3.0))
    for number in range(1, 4):
        wait_for(lambda number=number: len(lab.started("s")) == number, 60, lab.said())
        lab.cluster.run("scancel", lab.started("s")[-1].job)
    done = lab.end(driver)
    assert done.code == 3, done.err
    ended = next(event for event in lab.events("s") if isinstance(event, SessionEnded))
    assert "3 attempts in a row were lost" in ended.reason and "was cancelled from outside" in ended.reason
    assert lab.run("resume", lab.session("s")).code == 0
    assert lab.verdicts("s") == ["lost", "lost", "lost", "ok"]


def test_a_controller_that_dies_right_after_the_submission_gives_one_result(lab):
    driver = lab.start(*lab.options("s", seconds=12.0))
    wait_for(lambda: lab.started("s"), 60, lab.said())
    time.sleep(2)
    lab.cluster.kill("slurmctld")
    time.sleep(2)
    lab.cluster.start_controller()
    done = lab.end(driver)
    assert done.code == 0, done.err
    assert lab.verdicts("s") == ["ok"]
    wait_for(lambda: not lab.cluster.jobs(), 30, "a second execution goes on")
    assert is_still(lab, "s")


def test_a_job_whose_node_s_daemon_dies_runs_twice_and_counts_once(lab):
    lab.template(LIMITS.replace("40s", "5m"))
    driver = lab.start(*lab.options("s", "--slurm", "nodelist=n1", seconds=45.0))
    lab.wait_until_it_runs("s")
    lab.cluster.kill("n1")
    time.sleep(1)
    wait_for(lambda: "PENDING" in lab.cluster.jobs().values(), 60, "the job is not requeued")
    lab.cluster.run("scontrol", "update", f"JobId={lab.started('s')[0].job}", "ReqNodeList=n2")
    wait_for(lambda: len(lab.executions("s")) == 2, 60, f"it is not begun again: {lab.cluster.jobs()}")
    done = lab.end(driver)
    assert done.code == 0, done.err
    assert lab.verdicts("s") == ["ok"]
    assert "was started 2 times; the first outcome counts" in done.err
    assert lab.finished("s")[0].place.startswith("node n1")  # which the controller had given up
    wait_for(lambda: not lab.cluster.jobs(), 30, "the second execution goes on")
    assert is_still(lab, "s")
    wait_for(lambda: not list(lab.session("s").glob("attempts/*/work/*/execution-*/session")), 10, "files are left")


def test_a_killed_driver_s_job_goes_on_and_its_outcome_is_recorded_once(lab):
    driver = lab.start(*lab.options("s", seconds=6.0))
    job = lab.wait_until_it_runs("s")
    os.kill(driver.pid, signal.SIGKILL)
    driver.wait()
    time.sleep(1)
    assert lab.cluster.jobs() == {job: "RUNNING"}
    done = lab.run("resume", lab.session("s"))
    assert done.code == 0, done.err
    assert lab.verdicts("s") == ["ok"]
    assert [started.job for started in lab.started("s")] == [job]
    assert len(lab.executions("s")) == 1


def test_the_outcome_of_a_job_that_ended_while_nobody_looked_is_recorded(lab):
    driver = lab.start(*lab.options("s", seconds=2.0))
    job = lab.wait_until_it_runs("s")
    os.kill(driver.pid, signal.SIGKILL)
    driver.wait()
    wait_for(lambda: not lab.cluster.jobs(), 30, "the job does not end")
    assert lab.run("resume", lab.session("s")).code == 0
    assert lab.verdicts("s") == ["ok"]
    assert [started.job for started in lab.started("s")] == [job]


@pytest.mark.parametrize("wanted", [signal.SIGTERM, signal.SIGINT])
def test_an_interrupted_driver_leaves_no_job(lab, wanted):
    driver = lab.start(*lab.options("s", seconds=15.0))
    lab.wait_until_it_runs("s")
    driver.send_signal(wanted)
    assert lab.end(driver).code == 3
    wait_for(lambda: not lab.cluster.jobs(), 10, "the job goes on")
    assert is_still(lab, "s")
    assert lab.run("resume", lab.session("s")).code == 0
    assert lab.verdicts("s") == ["lost", "ok"]


def test_a_driver_that_dies_between_submission_and_journal_leaves_no_job_that_nobody_knows(lab):
    """The record of the attempt is torn: Slurm has the job, the journal does not."""
    with open_launcher() as launcher:
        folder = lab.folder / "first"
        folder.mkdir()
        whole = launcher.run(lab.options("whole", seconds=0.1), folder, lab.env)
        assert whole.code == 0, whole.err
        records = [type(event).__name__ for event in lab.events_in(folder / "runs" / "whole")]
        nth = records.index("AttemptStarted")  # the first record is written with the folder, and not counted
        options = lab.options("s", seconds=4.0)
        died = launcher.run(options, lab.folder, lab.env, Death("record", nth, "torn"))
        assert died.killed, died.err
        assert len(lab.cluster.jobs()) == 1
        resumed = launcher.run(["resume", lab.session("s")], lab.folder, lab.env)
    assert resumed.code == 0, resumed.err
    assert lab.verdicts("s") == ["ok"]
    assert len(lab.executions("s")) == 1 and lab.cluster.jobs() == {}


def test_a_driver_that_dies_while_it_takes_the_files_in_takes_them_in_again(lab):
    with open_launcher() as launcher:
        deaths = 0
        for nth in range(1, 30):
            name = f"s{nth}"
            died = launcher.run(lab.options(name, seconds=0.1), lab.folder, lab.env, Death("rename", nth, "after"))
            if not died.killed:
                break
            if [type(event).__name__ for event in lab.events(name)][-1:] != ["AttemptStarted"]:
                continue
            deaths += 1
            resumed = launcher.run(["resume", lab.session(name)], lab.folder, lab.env)
            assert resumed.code == 0, resumed.err
            assert lab.verdicts(name) == ["ok"]
            assert (lab.session(name) / "run_1" / "final_info.json").is_file()
            assert (lab.session(name) / "attempts" / "run_1.1" / "output.log").is_file()
    assert deaths >= 3  # code, log and output


def test_a_controller_that_stays_away_stops_the_session_and_the_job_is_taken_up_later(lab):
    driver = lab.start(*lab.options("s", seconds=25.0), AI_SCI_SLURM_PATIENCE="4")
    job = lab.wait_until_it_runs("s")
    lab.cluster.kill("slurmctld")
    done = lab.end(driver)
    assert done.code == 3, done.err
    assert "Slurm does not answer" in done.error and "ai-sci resume" in done.error
    lab.cluster.start_controller()
    # A controller that had not saved the job ends it, and the wait for a sign of life alone takes two minutes.
    done = lab.run("resume", lab.session("s"), timeout=300)
    assert done.code == 0, done.err
    assert [started.job for started in lab.started("s")][0] == job
    assert lab.verdicts("s")[-1] == "ok" and lab.verdicts("s").count("ok") == 1


def test_a_submission_waits_for_a_controller_that_comes_back(lab):
    lab.cluster.kill("slurmctld")
    driver = lab.start(*lab.options("s", seconds=0.5))
    wait_for(lambda: "Slurm does not answer" in lab.said(), 60, lab.said())
    lab.cluster.start_controller()
    done = lab.end(driver)
    assert done.code == 0, done.err
    assert lab.verdicts("s") == ["ok"]


def test_time_in_the_queue_counts_for_the_session_s_own_limit(lab):
    lab.cluster.run("sbatch", "--nodes=2", "--exclusive", "--gres=gpu:2", "--output=/dev/null", "--wrap", "sleep 60")
    done = lab.run(*lab.options("s", "--max-time", "12s"))
    assert done.code == 3, done.err
    assert "--max-time" in done.err
    assert lab.verdicts("s") == ["lost"]
    assert len(lab.cluster.jobs()) == 1
