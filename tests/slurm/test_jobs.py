"""Attempts as jobs of a real Slurm: what comes back, what is shared, what fails."""

from __future__ import annotations

import itertools

import pytest

from ai_sci.agent.journal.events import BaselineMeasured
from tests.end_to_end.templates import block
from tests.slurm.cluster import wait_for
from tests.slurm.lab import LIMITS

pytestmark = pytest.mark.slurm

RUN = "Run 1.\n\n" + block("STEPS = 10", "STEPS = 20")


def test_baseline_and_attempt_are_jobs_whose_files_lie_where_they_always_do(lab):
    lab.template(baseline=False)
    lab.session("another").mkdir(parents=True)
    driver = lab.start(*lab.options("s", seconds=1.5), ANTHROPIC_API_KEY="sk-ant-not-for-the-cluster")
    spool = lab.cluster.folder
    wait_for(lambda: list(spool.glob("state/hash.*/job.*/environment")), 60, lab.said())
    assert not any(b"sk-ant" in path.read_bytes() for path in spool.glob("state/hash.*/job.*/*"))
    done = lab.end(driver)
    assert done.code == 0, done.err
    session = lab.session("s")
    baseline = next(event for event in lab.events("s") if isinstance(event, BaselineMeasured))
    assert (baseline.source, baseline.gpus, baseline.metrics["steps"]) == ("measured", 1, 10)
    [started], [finished] = lab.started("s"), lab.finished("s")
    assert started.job.isdigit() and started.gpus == 1
    assert finished.verdict == "ok" and finished.metrics["steps"] == 20
    assert finished.place.startswith("node n") and finished.place.endswith(f"gpu {lab.clock('s')['gpu']}")
    assert lab.clock("s")["keys"] == [] and lab.clock("s")["baseline"]["toy"]["means"]["steps"] == 10
    assert lab.clock("s")["seen"] == [["attempts", "run_0"], ["s"]]  # neither the journal nor another session
    assert "begins" in (session / "attempts" / "run_1.1" / "output.log").read_text()
    assert "begins" in done.err and f"job {started.job} begins on node" in done.err
    assert (session / "attempts" / "run_1.1" / "code" / "experiment.py").is_file()
    assert not list(session.glob("attempts/*/work/*/execution-*/session"))
    assert lab.cluster.jobs() == {}


def test_more_jobs_than_gpus_wait_and_never_share_one(lab):
    names = [f"s{number}" for number in range(6)]
    lab.template(LIMITS.replace("40s", "6s"))
    drivers = [lab.start(*lab.options(name, seconds=4.0)) for name in names]
    assert [lab.end(driver).code for driver in drivers] == [0] * 6, lab.said()
    clocks = {name: (lab.finished(name)[-1].place, lab.clock(name)) for name in names}
    assert len({place for place, _ in clocks.values()}) == 4  # both GPUs of both nodes
    for (place, one), (other_place, other) in itertools.combinations(clocks.values(), 2):
        assert place != other_place or one["end"] <= other["begin"] or other["end"] <= one["begin"]
    waits = sorted(lab.finished(name)[-1].waited for name in names)
    assert waits[-1] > 2.0  # longer than the limit leaves, and nobody was timed out
    assert "is pending (Resources)" in lab.said() or "is pending (Priority)" in lab.said()


@pytest.mark.parametrize(
    ("code", "verdict", "words"),
    [
        ("raise ValueError('no good')", "crashed", "no good"),
        ("time.sleep(60)", "timed_out", "limits.time"),
        ("hog = bytearray(2_000_000_000)\nhog[::4096] = b'x' * len(hog[::4096])", "out_of_memory", "memory"),
    ],
)
def test_what_fails_on_a_node_is_told_as_here(lab, code, verdict, words):
    lab.template(LIMITS.replace("40s", "5s") + "[experiment]\nmax_failures = 1\n")
    reply = "Run 1.\n\n" + block("STEPS = 10", f"STEPS = 20\n{code}")
    done = lab.run(*lab.options("s", replies=[reply, "ALL_COMPLETED"]))
    assert done.code == 1, done.err
    [finished] = lab.finished("s")
    assert finished.verdict == verdict, finished
    assert words in finished.reason + finished.digest
    assert "execution-" not in finished.digest + finished.reason  # a replay compares what the model was told
    assert lab.cluster.jobs() == {}


def test_a_job_that_slurm_ends_in_time_is_timed_out(lab):
    toml = LIMITS.replace("40s", "10m") + "[experiment]\nmax_failures = 1\n"
    lab.template(toml)
    done = lab.run(*lab.options("s", "--slurm", "time=1", replies=[RUN, "ALL_COMPLETED"], seconds=500), timeout=280)
    assert done.code == 1, done.err
    [finished] = lab.finished("s")
    assert (finished.verdict, "Slurm ended the job at its time limit" in finished.reason) == ("timed_out", True)
    assert "begins" in finished.digest


def test_what_slurm_would_refuse_is_told_before_a_session_is_opened(lab):
    done = lab.run(*lab.options("s", "--slurm", "partition=nosuch"))
    assert done.code == 2
    assert "invalid partition" in done.error.lower() and "--partition=nosuch" in done.error
    assert not lab.session("s").exists()


def test_a_job_that_can_never_start_stops_the_session(lab):
    lab.template(LIMITS.replace("40s", "3h"))  # the partition allows one hour
    done = lab.run(*lab.options("s"))
    assert done.code == 3, done.err
    assert "it asks for more time than the partition allows (PartitionTimeLimit)" in done.error
    assert lab.cluster.jobs() == {}


def test_a_folder_that_the_node_does_not_see_is_named(lab):
    lab.cluster.kill("n2")
    lab.cluster.start_node("n2", hidden=lab.folder)
    wait_for(lambda: lab.cluster.states() == {"idle"}, 60, "n2 does not come back")
    done = lab.run(*lab.options("s", "--slurm", "nodelist=n2"))
    lab.cluster.kill("n2")
    assert done.code == 3, done.err
    assert "file system that the nodes share" in done.error and "--runs-dir" in done.error
