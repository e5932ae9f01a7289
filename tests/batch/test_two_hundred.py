"""A long night: 200 ideas, some of which crash, while processes are killed."""

from __future__ import annotations

import random
import shutil
import signal

import psutil
import pytest

from ai_sci.agent.batch.state import read_batch
from ai_sci.agent.journal.state import Status
from tests.batch.command import gone, ledger
from tests.batch.fleet import clocks, make_fleet, overlaps
from tests.batch.test_batch import some_closed
from tests.end_to_end.templates import block, write_script


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_two_hundred_ideas_come_out_as_if_nobody_had_been_killed(batch, resume, tmp_path):
    fleet = make_fleet(tmp_path, 200, 2, running=(0.05, 0.3))
    crash = [block("SECONDS = 0.0", "SECONDS = 1 / 0")] + ["I do not know."] * 20
    for number in range(0, 200, 20):  # one in twenty
        script = fleet.template / "scripted" / f"idea_{number:03d}"
        shutil.rmtree(script)
        write_script(script, crash)
    args = ("--ideas", "all", "--template", fleet.template, "--gpus", "0,1,2,3,4,5,6,7")
    night = batch(*args)
    night.until(some_closed(30))
    child = psutil.Process(random.choice(night.children()))
    tree = [child, *child.children(recursive=True)]
    child.kill()
    assert gone(tree)
    night.until(some_closed(90))
    tree = night.tree()
    night.signal(signal.SIGKILL)
    night.ended()
    assert gone(tree)
    done = resume().ended()
    assert done.code == 0, done.err
    state = read_batch(night.folder)
    assert state.status is Status.completed
    assert all(idea.done and idea.left is not None for idea in state.ideas.values())
    assert sum(idea.left.status == "gave_up" for idea in state.ideas.values() if idea.left) == 10
    found = list(clocks(night.folder))
    assert not overlaps(found)
    disturbed = ledger(night.folder)
    night.folder.rename(tmp_path / "disturbed")
    assert batch(*args).ended().code == 0
    assert ledger(night.folder) == disturbed
