"""The host went down in the middle of an attempt: pids mean nothing any more."""

from __future__ import annotations

import dataclasses
import subprocess
import sys

import pytest

from ai_sci.agent.journal.events import AttemptStarted
from ai_sci.agent.journal.journal import Entry, encode, read_journal
from ai_sci.experiment.base.process_tree import identify
from tests.crash.compare import differences, read_session
from tests.crash.deaths import Death
from tests.crash.stories import STORIES
from tests.crash.trials import Stage


@pytest.mark.parametrize("boot", ["another boot", "this boot"])
def test_the_pid_of_the_attempt_is_now_another_process(launcher, tmp_path, boot):
    """After a reboot even its start time may be the same; without one, its start time is another."""
    stage = Stage(STORIES[0], tmp_path, launcher, None)
    begun = [entry.event for entry in read_journal(stage.trial / "runs" / "s" / "journal.jsonl")]
    # The first record is written with the folder; it is the appended ones that are counted.
    nth = next(index for index, event in enumerate(begun) if isinstance(event, AttemptStarted))
    trial = tmp_path / "killed"
    trial.mkdir()
    environment = {"AI_SCI_CACHE": str(tmp_path / "cache")}
    assert launcher.run(stage.opening(), trial, environment, Death("record", nth, "after")).killed
    session = trial / "runs" / "s"
    bystander = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, start_new_session=True)
    try:
        *before, last = read_journal(session / "journal.jsonl")
        assert isinstance(last.event, AttemptStarted)
        who = identify(bystander.pid)
        changed = dataclasses.replace(last.event, pid=who.pid, process_started=who.started, boot_id="of another day")
        if boot == "this boot":
            changed = dataclasses.replace(changed, process_started=who.started - 1, boot_id=who.boot_id)
        entries = [*before, Entry(last.at, changed)]
        (session / "journal.jsonl").write_bytes(b"".join(map(encode, entries)))
        # The lock's owner does not live here either.
        (session / "lock").write_text(f"{who.pid} {changed.process_started} {changed.boot_id}\n")
        ended = launcher.run(["resume", session], trial, environment)
        assert ended.code == 0, ended.err
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait()
    resumed = read_session(session)
    assert resumed.lost == 1
    assert differences(stage.whole.picture, resumed.picture) == []
