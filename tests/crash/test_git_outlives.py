"""A git command that outlives the killed harness: nobody works on the session before it has ended."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from tests.crash.compare import differences
from tests.crash.deaths import Death
from tests.crash.stories import STORIES
from tests.crash.trials import Stage


def slow_git(folder: Path, nth: int, seconds: float, command: str = "commit") -> str:
    """A PATH with a git whose nth command of that kind takes so long."""
    real = shutil.which("git")
    folder.mkdir()
    program = folder / "git"
    program.write_text(
        f'#!/bin/sh\ncase " $* " in *" {command} "*) ;; *) exec {real} "$@";; esac\n'
        f"echo >> {folder}/commits && [ $(wc -l < {folder}/commits) = {nth} ] "
        f'&& sleep {seconds}\nexec {real} "$@"\n'
    )
    program.chmod(0o755)
    return f"{folder}:{os.environ['PATH']}"


def test_resume_waits_for_a_commit_that_the_dead_harness_began(launcher, tmp_path):
    story = next(story for story in STORIES if story.name == "given up")
    stage = Stage(story, tmp_path, launcher, None)
    for nth in (2, 4, 9):  # of an edit, of a run, of a drawing of plots
        stage.path = slow_git(tmp_path / f"bin{nth}", nth, 1.5)
        session, _ = stage.play([Death("commit", nth, "during")])
        assert differences(stage.whole.picture, session.picture) == [], nth


def test_resume_waits_for_a_reset_that_a_dead_resume_began(launcher, tmp_path):
    """It would take away the commits that were made meanwhile."""
    story = next(story for story in STORIES if story.name == "given up")
    stage = Stage(story, tmp_path, launcher, None)
    stage.path = slow_git(tmp_path / "bin", 1, 1.5, "reset")
    session, _ = stage.play([Death("commit", 4, "after"), Death("git", 1, "during")])
    assert stage.deaths == 2
    assert differences(stage.whole.picture, session.picture) == []
