"""A batch whose attempts are jobs: each idea's job outlives the batch's process and is taken up again."""

from __future__ import annotations

import json
import os
import signal
import time

import pytest

from ai_sci.agent.batch.state import read_batch
from ai_sci.agent.journal.state import Status
from tests.end_to_end.templates import IDEA, write_script
from tests.slurm.lab import GOOD

IDEAS = ("one", "two")


@pytest.mark.slurm
def test_a_killed_batch_s_jobs_go_on_and_are_taken_up_again(lab):
    template = lab.template()
    (template / "ideas.json").write_text(json.dumps([{**IDEA, "Name": name} for name in IDEAS]))
    options = ["--ideas", "all", "--template", template, "--session", "night", "--engine", "slurm"]
    options += ["--model", write_script(lab.folder / "script", GOOD), "--set", "seconds=8"]
    driver = lab.start("batch", *options)
    jobs = {name: lab.wait_until_it_runs(f"night/{name}") for name in IDEAS}
    os.kill(driver.pid, signal.SIGKILL)
    driver.wait()
    time.sleep(1)
    assert lab.cluster.jobs() == dict.fromkeys(jobs.values(), "RUNNING")
    done = lab.run("resume", lab.session("night"))
    assert done.code == 0, done.err
    assert read_batch(lab.session("night")).status is Status.completed
    for name, job in jobs.items():
        assert lab.verdicts(f"night/{name}") == ["ok"]
        assert [started.job for started in lab.started(f"night/{name}")] == [job]
        assert len(lab.executions(f"night/{name}")) == 1
