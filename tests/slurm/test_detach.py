"""`--detach`: ai-sci itself is a job, which submits jobs."""

from __future__ import annotations

import pytest

from ai_sci.agent.cli.detach import without_detach
from tests.end_to_end.command import ai_sci, shown
from tests.end_to_end.templates import good_session, make_template, write_script
from tests.slurm.cluster import wait_for


@pytest.mark.slurm
def test_a_detached_session_runs_as_a_job_that_submits_jobs(lab):
    options = lab.options("s", "--detach", "--detach-slurm", "time=30", "--detach-slurm", "mem=1G", seconds=3.0)
    done = lab.run(*options, SECRET_API_KEY="for the driver")
    assert done.code == 0, done.err
    assert done.session == lab.session("s")
    [job] = lab.cluster.jobs()
    assert f"job {job} runs it" in done.err
    lab.wait_until_it_runs("s")
    assert len(lab.cluster.jobs()) == 2
    wait_for(lambda: not lab.cluster.jobs(), 90, lab.said())
    said = (lab.folder / "runs" / "s.detached.log").read_text()
    assert shown(lab.session("s"))["status"] == "completed", said
    assert lab.verdicts("s") == ["ok"] and lab.clock("s")["keys"] == []


@pytest.mark.slurm
def test_a_detached_session_that_is_requeued_resumes_and_its_jobs_end_with_it(lab):
    small = ("--detach", "--detach-slurm", "time=30", "--detach-slurm", "mem=1G")
    done = lab.run(*lab.options("s", *small, seconds=8.0))
    [driver] = lab.cluster.jobs()
    job = lab.wait_until_it_runs("s")
    lab.cluster.run("scontrol", "requeue", driver)
    wait_for(lambda: job not in lab.cluster.jobs(), 30, "the interrupted driver's job goes on")
    wait_for(lambda: not lab.cluster.jobs(), 120, lab.said())
    assert lab.verdicts("s") == ["lost", "ok"], (done.session.parent / "s.detached.log").read_text()


@pytest.mark.slurm
def test_a_driver_that_slurm_refuses_is_told_with_what_was_asked_for(lab):
    done = lab.run(*lab.options("s", "--detach", "--detach-slurm", "partition=nosuch"))
    assert done.code == 2, done.err
    assert "--partition=nosuch" in done.error and "--detach-slurm" in done.error


def test_the_job_is_told_everything_but_to_detach():
    given = ["run", "--detach", "--idea", "x", "--detach-slurm", "a=b", "--detach-slurm=c=d", "--slurm", "gres="]
    assert without_detach(given) == ["run", "--idea", "x", "--slurm", "gres="]


@pytest.mark.parametrize("option", ["--engine=slurm", "--detach"])
def test_without_slurm_one_line_says_so(tmp_path, option):
    make_template(tmp_path / "template")
    model = write_script(tmp_path / "script", good_session())
    empty = tmp_path / "bin"
    empty.mkdir()
    for program in ("git", "bwrap"):
        (empty / program).symlink_to(f"/usr/bin/{program}")
    options = ("run", "--template", "template", "--idea", "more_steps", "--model", model, option)
    done = ai_sci(*options, cwd=tmp_path, AI_SCI_CACHE=str(tmp_path / "cache"), PATH=str(empty))
    assert done.code == 2
    assert "there is no Slurm here (sbatch is not on the PATH)" in done.error and "login node" in done.error
    assert not list(tmp_path.glob("runs/*"))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--engine", "cloud"], "--engine cloud is unknown: it is one of local, slurm"),
        (["--slurm", "partition=main"], "--slurm is for --engine slurm"),
        (["--engine", "slurm", "--slurm", "partition"], "--slurm takes KEY=VALUE"),
    ],
)
def test_options_without_a_meaning_are_refused(tmp_path, options, said):
    done = ai_sci("run", "--template", "tiny", "--idea", "fourier_features", *options, cwd=tmp_path)
    assert (done.code, said in done.error) == (2, True), done.err
