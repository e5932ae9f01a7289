"""What goes wrong around the sessions of a batch: repeated crashes, lost templates, requests that are none."""

from __future__ import annotations

import json
import os
import shutil
import signal
import stat

import pytest

from ai_sci.agent.batch.driver import Driver  # noqa: F401  imported here, so that a broken import is seen first
from ai_sci.agent.batch.state import read_batch
from ai_sci.agent.journal.state import Status
from tests.batch.fleet import make_fleet
from tests.end_to_end.command import ai_sci


@pytest.fixture
def add(tmp_path, cache):
    """Gives more ideas to the batch."""
    env = {"AI_SCI_CACHE": cache, "AI_SCI_SLOTS": str(tmp_path / "slots")}
    night = tmp_path / "runs" / "night"
    return lambda *args: ai_sci("batch", "--add-to", night, *args, cwd=tmp_path, **env)


def test_ideas_that_are_added_to_a_batch_that_has_ended_wait_for_its_resume(batch, resume, add, tmp_path):
    fleet = make_fleet(tmp_path, 2, 1)
    assert batch("--ideas", "idea_000", "--template", fleet.template, "--gpus", "0").ended().code == 0
    night = tmp_path / "runs" / "night"
    added = add("--ideas", "idea_001", "--template", fleet.template)
    assert added.code == 0 and f"they wait for: ai-sci resume {night}" in added.err
    done = resume(AI_SCI_MODEL="openai/any").ended()  # a batch of scripts stays one: nobody's money is spent unasked
    assert done.code == 0, done.err
    assert {name: idea.done for name, idea in read_batch(night).ideas.items()} == {"idea_000": True, "idea_001": True}


def test_a_session_that_ends_again_and_again_is_given_up(batch, tmp_path):
    fleet = make_fleet(tmp_path, 2, 1)
    tools = tmp_path / "tools"
    tools.mkdir()
    git = tools / "git"
    git.write_text(
        f'#!/bin/sh\ncase "$PWD $*" in *night/idea_000*" commit "*) echo "No space left" >&2; exit 1;; esac\n'
        f'exec {shutil.which("git")} "$@"\n'
    )
    git.chmod(git.stat().st_mode | stat.S_IXUSR)
    night = batch(
        "--ideas", "all", "--template", fleet.template, "--gpus", "0", PATH=f"{tools}{os.pathsep}{os.environ['PATH']}"
    )
    done = night.ended()
    state = read_batch(night.folder)
    assert done.code == 3 and state.ideas["idea_001"].done
    assert state.ideas["idea_000"].launches == 3
    assert "3 times without getting on: see logs/idea_000.log" in done.err


def test_a_server_that_has_never_answered_is_not_waited_for(batch, tmp_path):
    fleet = make_fleet(tmp_path, 3, 1)
    night = batch(
        "--ideas", "all", "--template", fleet.template, "--gpus", "0", "--model", "openai/any", "--api-base",
        "http://127.0.0.1:9/v1",
    )  # fmt: skip
    done = night.ended()
    assert done.code == 3 and "no session is begun for" not in done.err
    assert read_batch(night.folder).status is Status.model_unavailable


@pytest.mark.slow
def test_what_is_wrong_with_one_idea_does_not_stop_a_resume_of_the_others(batch, resume, tmp_path):
    one, other = make_fleet(tmp_path, 2, 2, running=(1.0, 1.2)), make_fleet(tmp_path, 1, 1, name="armada", seed=1)
    args = ("--template", one.template, "--template", other.template)
    night = batch("--ideas", "all", *args, "--gpus", "0")
    night.until(lambda state: len([idea for idea in state.ideas.values() if idea.launches]) >= 2)
    night.signal(signal.SIGINT)
    night.ended()
    spoiled = night.folder / "idea_000" / "journal.jsonl"
    spoiled.parent.mkdir(exist_ok=True)
    spoiled.write_bytes(b"no journal\n" + (spoiled.read_bytes() if spoiled.exists() else b"{}\n"))
    other.template.rename(tmp_path / "away")
    unopened = [name for name in read_batch(night.folder).ideas if not (night.folder / name).exists()]
    done = resume().ended()
    assert done.code == 3 and "a bug" not in done.err, done.err
    state = read_batch(night.folder)
    assert state.ideas["idea_001"].done
    assert state.ideas["idea_000"].left is not None and not state.ideas["idea_000"].done
    if "armada_idea_000" in unopened:
        assert "armada" in str(state.ideas["armada_idea_000"].left)


def test_requests_that_are_none_are_set_aside(batch, tmp_path):
    fleet = make_fleet(tmp_path, 2, 1, running=(2.0, 2.2))
    night = batch("--ideas", "all", "--template", fleet.template, "--gpus", "0")
    night.until(lambda state: True)
    added = night.folder / "added"
    added.mkdir(exist_ok=True)
    (added / "a.json").write_text("nonsense")
    (added / "b.json").write_text(json.dumps([{"template": str(fleet.template), "idea": {"Name": 3}}]))
    (added / "c.json").write_text(json.dumps([{"template": str(tmp_path / "nowhere"), "idea": {"Name": "a"}}]))
    (added / "d.json").mkdir()
    done = night.ended()
    assert done.code == 0 and "a bug" not in done.err, done.err
    assert sorted(path.name for path in added.iterdir()) == ["a.refused", "b.refused", "c.refused", "d.refused"]


def test_hostile_names_stay_in_the_batch(batch, tmp_path):
    fleet = make_fleet(tmp_path, 1, 1)
    names = ["../x", "logs", "batch.jsonl", "report.html", "é" * 200, "..", "/etc"]
    ideas = [{"Name": name, "Title": name, "Experiment": "Try idea_000."} for name in names]
    (tmp_path / "ideas.json").write_text(json.dumps(ideas))
    script = f"scripted:{fleet.template / 'scripted' / 'idea_000'}"
    args = ("--ideas", str(tmp_path / "ideas.json"), "--template", fleet.template, "--model", script)
    night = batch(*args, "--gpus", "0,1")
    done = night.ended()
    assert done.code == 0, done.err
    state = read_batch(night.folder)
    assert len(state.ideas) == len(names) and all((night.folder / name).is_dir() for name in state.ideas)
    assert (night.folder / "batch.jsonl").is_file() and sorted(os.listdir(tmp_path / "runs")) == ["night"]


def test_a_signal_while_everything_is_imported_leaves_a_batch_that_can_be_resumed(batch, resume, tmp_path):
    fleet = make_fleet(tmp_path, 1, 1)
    night = batch("--ideas", "all", "--template", fleet.template, "--gpus", "0")
    night.until(lambda state: True)
    night.signal(signal.SIGINT)
    done = night.ended()
    assert done.code == 3 and done.session == night.folder, done.err
    assert resume().ended().code == 0


def test_options_without_effect_are_refused(batch, add, tmp_path):
    two = make_fleet(tmp_path, 1, 1, toml='[experiment]\neditable = ["experiment.py"]\n[limits]\ngpus = 2\n')
    done = batch("--ideas", "all", "--template", two.template, "--gpus", "0").ended()
    assert done.code == 2 and "needs 2 GPUs" in done.error
    done = add("--ideas", "all", "--template", two.template, "--max-runs", "9")
    assert done.code == 2 and "--max-runs is the batch's own" in done.error
