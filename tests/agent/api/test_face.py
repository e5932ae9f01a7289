"""`from ai_sci import run, …`: what is exported, that it is silent, and its errors."""

from __future__ import annotations

import dataclasses
import json
import logging
import pickle
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import ai_sci
from ai_sci.agent import api
from ai_sci.agent.api.options import batch_options, with_keywords
from tests.agent.api.conftest import finished, python, scripted
from tests.end_to_end.command import ROOT
from tests.end_to_end.templates import good_session


def test_importing_it_costs_nothing_and_leaves_the_path_alone(tmp_path):
    """A notebook's folder stays importable, and its `experiment.py` is not ours to import."""
    (tmp_path / "experiment.py").write_text("MINE = True")
    (tmp_path / "agent.py").write_text("MINE = True")
    (tmp_path / "script.py").write_text(
        "import sys\n"
        "before = list(sys.path)\n"
        "import ai_sci\n"
        "print([name for name in sys.modules if name.startswith('ai_sci')])\n"
        "from ai_sci import run, SessionView\n"
        "import agent, experiment\n"
        "print(agent.MINE and experiment.MINE, sys.path == before, 'litellm' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "script.py"], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("['ai_sci']\nTrue True False\n", "")


def test_what_is_public():
    assert ai_sci.__all__ == api.__all__ and set(ai_sci.__all__) <= set(dir(ai_sci))
    namespace: dict[str, object] = {}
    exec("from ai_sci import *", namespace)
    assert namespace["run"] is api.run and namespace["ConfigError"] is api.ConfigError
    with pytest.raises(AttributeError, match="no attribute 'drive'"):
        ai_sci.drive  # type: ignore[attr-defined]  # noqa: B018
    for error in (ai_sci.ConfigError, ai_sci.EnvironmentFailed, ai_sci.SessionStopped, ai_sci.JournalError):
        assert issubclass(error, ai_sci.AiSciError)


def test_the_page_and_the_docstrings_name_everything():
    page = (ROOT / "docs" / "python.md").read_text()
    assert [name for name in ai_sci.__all__ if name not in page] == []
    keywords = {one.name for one in dataclasses.fields(ai_sci.RunOptions)} - {"budgets"}
    keywords |= set(ai_sci.Budgets().by_option)
    assert [name for name in keywords if name not in (ai_sci.run.__doc__ or "")] == []


SCRIPT = """
import ai_sci
session = ai_sci.run(idea="more_steps", template="template", model={model!r}, progress={progress}, session="s")
assert session.status == "completed" and session.runs[0].accepted
assert ai_sci.resume(session, progress={progress}) == session
assert ai_sci.replay("runs/s", reuse=True, progress={progress}, session="again").runs[0].attempts
"""


def test_it_is_silent(place):
    """Nothing on the real file descriptors, whatever library would print there."""
    process = python(place, SCRIPT.format(model=scripted(place, good_session()), progress=False))
    assert finished(process) == ("", "")


def test_or_shows_its_progress(place):
    out, err = finished(python(place, SCRIPT.format(model=scripted(place, good_session()), progress=True)))
    assert out == "" and "run 1 accepted" in err and "there is nothing to resume" in err


def test_a_program_that_wants_the_lines_gets_them_from_logging(place, caplog):
    with caplog.at_level(logging.INFO, logger="ai_sci"):
        ai_sci.run(idea="more_steps", template="template", model=scripted(place, good_session()))
    assert any("run 1 accepted" in record.message for record in caplog.records)


def test_options_in_the_units_that_people_write(tmp_path):
    made = with_keywords(
        ai_sci.RunOptions,
        None,
        {
            **{
                "idea": "i",
                "timeout": "2h",
                "wait": "6h",
                "memory": "8G",
                "runs_dir": "elsewhere",
                "max_time": "1d",
                "max_cost": 2,
            },
            "overrides": {"epochs": 3, "amp": True, "name": "x"},
        },
    )
    assert made == ai_sci.RunOptions(
        idea="i",
        timeout=7200.0,
        wait=21600.0,
        memory=8 << 30,
        runs_dir=Path("elsewhere"),
        budgets=ai_sci.Budgets(cost=2, time=86400.0),
        overrides={"epochs": "3", "amp": "true", "name": "x"},
    )
    assert with_keywords(ai_sci.RunOptions, made, {}) == made, "options pass through as they are"
    idea = {"Name": "n", "Title": "t", "Experiment": "e", "Novelty": 2}
    assert with_keywords(ai_sci.RunOptions, None, {"idea": idea}).idea == ai_sci.Idea("n", "t", "e", idea)

    keywords = {"ideas": ["a", "b"], "templates": "tiny", "gpus": [0, 1], "max_cost": 20, "session_max_cost": 2}
    assert batch_options(None, {**keywords, "model": "m", "name": "night"}) == ai_sci.BatchOptions(
        ideas="a,b",
        session=ai_sci.RunOptions(idea="", model="m", budgets=ai_sci.Budgets(cost=2)),
        templates=("tiny",),
        name="night",
        budgets=ai_sci.Budgets(cost=20),
        gpus=("0", "1"),
    )


@pytest.mark.parametrize(
    ("keywords", "error", "words"),
    [
        ({"idea": "more_step"}, ai_sci.ConfigError, 'did you mean "more_steps"'),
        ({"template": "nowhere"}, ai_sci.ConfigError, "nowhere"),
        ({"timeout": "soon"}, ai_sci.ConfigError, "timeout: 'soon' is not a duration"),
        ({"max_time": -1}, ai_sci.ConfigError, "max_time: -1 is not a duration"),
        ({"max_runs": 0}, ai_sci.ConfigError, "max_runs must be at least 1, not 0"),
        ({"max_runs": 1.5}, ai_sci.ConfigError, "max_runs must be an integer, not 1.5"),
        ({"max_runs": "3"}, ai_sci.ConfigError, "max_runs must be an integer, not '3'"),
        ({"context_window": True}, ai_sci.ConfigError, "context_window must be an integer, not True"),
        ({"max_tokens": "1000"}, ai_sci.ConfigError, "max_tokens must be an integer, not '1000'"),
        ({"max_tokens": -5}, ai_sci.ConfigError, "max_tokens must be at least 1, not -5"),
        ({"max_tokens": 0}, ai_sci.ConfigError, "max_tokens must be at least 1, not 0"),
        ({"max_gpu_hours": "2"}, ai_sci.ConfigError, "max_gpu_hours must be a number, not '2'"),
        ({"max_cost": float("nan")}, ai_sci.ConfigError, "max_cost must be at least 0, not nan"),
        ({"idea": {"Name": "n"}}, ai_sci.ConfigError, 'the idea needs "Experiment"'),
        ({"engine": "cloud"}, ai_sci.ConfigError, "engine cloud is unknown"),
        ({"engine_options": {"partition": "gpu"}}, ai_sci.ConfigError, "engine"),
        ({"max_run": 1}, TypeError, "max_run"),
        ({"options": ai_sci.RunOptions("more_steps")}, TypeError, "RunOptions or keywords, not both"),
    ],
)
def test_errors_are_typed_and_nothing_is_started(place, keywords, error, words):
    with pytest.raises(error, match=words):
        ai_sci.run(**{"idea": "more_steps", "template": "template", **keywords})
    assert not (place / "runs").exists() or not any((place / "runs").iterdir())


@pytest.mark.parametrize(
    ("keywords", "words"),
    [
        ({"slots": 1.5}, "slots must be an integer"),
        ({"at_once": 0}, "at_once must be at least 1"),
        ({"max_tokens": "5"}, "^max_tokens must be an integer"),
        ({"session_max_tokens": "5"}, "^session_max_tokens must be an integer"),
        ({"session": ai_sci.RunOptions("", budgets=ai_sci.Budgets(cost=-1))}, "^session_max_cost must be at least 0"),
    ],
)
def test_errors_name_the_keyword_of_a_batch(keywords, words):
    with pytest.raises(ai_sci.ConfigError, match=words):
        batch_options(None, {"ideas": "all", **keywords})


def test_sessions_that_begin_in_the_same_second_have_folders_of_their_own(place, monkeypatch):
    monkeypatch.setattr("ai_sci.agent.commands.start.time.strftime", lambda *_: "20300101_000000")
    keywords: dict[str, Any] = {"idea": "more_steps", "template": "template", "model": scripted(place, good_session())}
    with ThreadPoolExecutor(2) as pool:
        names = [pool.submit(ai_sci.run, **keywords) for _ in range(2)]
    names = {one.result().name for one in names} | {ai_sci.run(**keywords).name}
    assert names == {f"20300101_000000_more_steps{counter}" for counter in ("", "_2", "_3")}
    with pytest.raises(ai_sci.ConfigError, match="exists"):
        ai_sci.run(**keywords, session="20300101_000000_more_steps")


def test_a_session_in_the_home_folder(place, monkeypatch):
    monkeypatch.setenv("HOME", str(place))
    keywords: dict[str, Any] = {"template": "~/template", "ideas_file": "~/template/ideas.json", "runs_dir": "~/runs"}
    ai_sci.run(idea="more_steps", model=scripted(place, good_session()), session="s", **keywords)
    assert ai_sci.resume("~/runs/s") == ai_sci.open_session("~/runs/s")
    assert ai_sci.replay("~/runs/s", session="again", runs_dir="~/runs").status == "completed"
    with pytest.raises(ai_sci.ConfigError, match=f"^{place}/runs/s is not a batch"):
        ai_sci.resume_batch("~/runs/s")


def test_a_session_that_cannot_go_on_says_which(place):
    replies = good_session()
    session = ai_sci.run(idea="more_steps", template="template", model=scripted(place, replies[:1]))
    assert session.status == "model_unavailable" and session.resumable
    shutil.move(session.folder / ".git", place / "kept.git")
    with pytest.raises(ai_sci.SessionStopped, match="git") as stopped:
        ai_sci.resume(session, model=scripted(place, replies, "whole"))
    assert stopped.value.folder == session.folder
    shutil.move(place / "kept.git", session.folder / ".git")
    assert ai_sci.resume(session, model=scripted(place, replies, "whole")).status == "completed"


def test_errors_reach_another_process():
    for error in (ai_sci.SessionStopped(Path("s"), "full"), ai_sci.BatchStopped(Path("b"), "full")):
        again = pickle.loads(pickle.dumps(error))
        assert (type(again), str(again), again.folder) == (type(error), str(error), error.folder)


def test_a_batch_from_a_process_with_threads(place):
    """In a process of its own: forking one that has threads, as every notebook's kernel has, is not safe."""
    ideas = [{"Name": name, "Title": name, "Experiment": "Train longer."} for name in ("one", "two")]
    (place / "template" / "ideas.json").write_text(json.dumps(ideas))
    keywords = {"templates": "template", "model": scripted(place, good_session()), "slots": 2, "name": "night"}
    batch = ai_sci.batch(ideas=["one", "two"], **keywords)
    assert batch.status == "completed" and batch.folder == place / "runs" / "night" and not batch.unopened
    assert [(row["session"], row["run"], row["status"]) for row in batch.table()] == [
        *(("one", 0, "ok"), ("one", 1, "ok"), ("two", 0, "ok"), ("two", 1, "ok")),
    ]
    assert ai_sci.resume_batch(batch) == batch
    with pytest.raises(ai_sci.ConfigError, match="resume_batch"):
        ai_sci.resume(batch)
    with pytest.raises(ai_sci.ConfigError, match="exists"):
        ai_sci.batch(ideas="all", **keywords)
    with pytest.raises(ai_sci.ConfigError, match='there is no idea "three"'):
        ai_sci.batch(ideas="three", **{**keywords, "name": "other"})
    with pytest.raises(TypeError, match="ideas=… and templates=…"):
        ai_sci.batch(ideas="all", template="template")
