"""A session as a value: what it holds, and that pandas takes it as it is."""

from __future__ import annotations

import dataclasses
import pickle

import pandas
import pytest

import ai_sci
from tests.agent.api.conftest import scripted
from tests.end_to_end.command import git_log, shown
from tests.end_to_end.old_sessions import unpack
from tests.end_to_end.templates import NOTES, PLOTS, block

REPLIES = [
    "Run 1.\n\n" + block("STEPS = 10", "STEPS = nowhere"),  # lint_failed: the edit stays
    "With a number.\n\n" + block("STEPS = nowhere", "STEPS = 20"),
    "Run 2.\n\n" + block("STEPS = 20", "STEPS = 20\n1 / 0"),
    "Mended.\n\n" + block("STEPS = 20\n1 / 0", "STEPS = 30"),
    *("ALL_COMPLETED", PLOTS, NOTES),
]


@pytest.fixture
def session(place) -> ai_sci.SessionView:
    return ai_sci.run(idea="more_steps", template="template", model=scripted(place, REPLIES))


def test_a_session_as_a_value(session):
    assert session.status == "completed" and session.status is ai_sci.Status.completed and not session.resumable
    assert session.reason == "2 runs accepted"
    assert session.idea["Title"] == "More Steps" and session.template == "template"
    assert session.metric == "loss" and session.baseline.status == "ok" and session.baseline.source == "measured"
    assert session.notes == "Run 1 trained longer.\n" and [path.name for path in session.plots] == ["loss.svg"]
    assert all(path.is_file() for path in session.plots)
    assert session.started < session.ended and session.started.utcoffset().total_seconds() == 0
    assert (session.spent.calls, session.spent.cost) == (7, 0.0)

    first, second = session.runs
    assert [run.run for run in session.runs] == [1, 2] and first.accepted and second.status == "ok"
    assert [one.verdict for one in second.attempts] == ["crashed", "ok"]
    assert "ZeroDivisionError" in second.attempts[0].reason and second.reason == second.attempts[1].reason
    assert "ZeroDivisionError" in second.attempts[0].log.read_text()
    assert second.seconds == sum(one.seconds for one in second.attempts) > 0
    assert [(reply.turn, reply.run, reply.refused) for reply in session.replies] == [
        *((1, 1, "lint_failed"), (2, 1, None), (3, 2, None), (4, 2, None)),
        *((5, None, None), (6, None, None), (7, None, None)),
    ]
    assert first.replies == session.replies[:2] and second.replies == session.replies[2:4]
    assert second.replies[1].text == REPLIES[3] and second.replies[1].completion_tokens > 0

    assert "-STEPS = 10\n+STEPS = 20\n" in first.diff, "against the baseline, whatever was tried in between"
    assert "-STEPS = 20\n+STEPS = 30\n" in second.diff and "1 / 0" not in second.diff, "against run 1"
    assert first.commit in git_log(session.folder, "%H")
    assert session.best in session.runs


def test_it_agrees_with_show(session):
    there = shown(session.folder)
    assert [run["metrics"] for run in there["runs"]] == [run.metrics for run in session.runs]
    assert [run["commit"] for run in there["runs"]] == [run.commit for run in session.runs]
    assert there["baseline"]["metrics"] == session.baseline.metrics
    assert there["llm"]["prompt_tokens"] == session.spent.prompt_tokens


def test_pandas_takes_it_without_help(session):
    table = pandas.DataFrame(session.table())
    assert list(table.columns) == ["run", "status", "loss", "steps", "attempts", "seconds", "commit"]
    assert list(table["steps"]) == [10, 20, 30] and list(table["run"]) == [0, 1, 2]
    assert table["loss"].idxmin() == 2 and table["loss"].dtype.kind == "f"
    runs = pandas.DataFrame(list(session.runs))
    assert list(runs["metrics"])[1]["steps"] == 30 and "+STEPS = 30" in runs["diff"][1]


def test_it_is_read_only_and_can_be_sent_to_another_process(session):
    with pytest.raises(dataclasses.FrozenInstanceError):
        session.runs[0].status = "better"
    session.table()[1]["loss"] = -1.0
    assert session.table()[1]["loss"] > 0
    assert pickle.loads(pickle.dumps(session)) == session
    assert ai_sci.open_session(session) == ai_sci.open_session(str(session.folder)) == session


def test_a_metric_with_the_name_of_a_column_keeps_its_own(session):
    run = ai_sci.RunView(1, "ok", {"seconds": 3.5, "run": 7.0, "loss": 1.0}, "c0ffee", (), "", ())
    [row] = dataclasses.replace(session, runs=(run,), baseline=None).table()
    assert (row["run"], row["metric run"], row["metric seconds"], row["seconds"]) == (1, 7.0, 3.5, 0.0)


def test_what_is_no_session_is_a_config_error(place):
    with pytest.raises(ai_sci.ConfigError, match="is not a session"):
        ai_sci.open_session(place)
    with pytest.raises(ai_sci.ConfigError, match="is not a batch"):
        ai_sci.open_batch(place)


@pytest.mark.parametrize("name", ["completed", "exhausted", "sigkilled"])
def test_sessions_of_an_earlier_version_open(tmp_path, name):
    old = unpack(name, tmp_path)
    session, there = ai_sci.open_session(old.folder), shown(old.folder)
    assert (session.status, [run.metrics for run in session.runs]) == (
        there["status"],
        [run["metrics"] for run in there["runs"]],
    )
    assert len(session.replies) == there["llm"]["calls"]
    assert all(run.diff for run in session.runs if run.accepted)


def test_a_batch_of_an_earlier_version_opens(tmp_path):
    folder = unpack("batch", tmp_path).folder
    batch = ai_sci.open_batch(folder)
    assert batch.sessions and not batch.unopened
    rows = batch.table()
    assert {row["session"] for row in rows} == {one.name for one in batch.sessions}
    assert list(rows[0])[:5] == ["session", "idea", "template", "run", "status"]

    lost, *others = [one.name for one in batch.sessions]
    (folder / lost / ".git" / "HEAD").unlink()
    batch = ai_sci.open_batch(folder)
    assert [one.name for one in batch.sessions] == others and "git" in batch.unopened[lost]
