"""Recorded replies first, then a model that goes on: decided by the turn, named so that a resume finds both."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.model import open_model
from agent.recorded_first import recorded_then, split_recorded_then
from agent.start import _with_absolute_path
from tests.agent.calls import ask
from tests.agent.test_scripted import script


def both(folder: Path) -> str:
    recorded = script(folder / "recorded session", "first", "second")
    live = script(folder / "live", "third", "fourth")
    return recorded_then(f"scripted:{recorded}", f"scripted:{live}")


def test_it_goes_on_live_where_the_recording_ends(tmp_path):
    model = open_model(both(tmp_path))
    assert [ask(model, turn=turn).good.text for turn in range(4)] == ["first", "second", "third", "fourth"]


def test_a_process_that_opens_it_anew_goes_on_at_the_same_reply(tmp_path):
    name = open_model(both(tmp_path)).name
    assert name == both(tmp_path)
    assert ask(open_model(name), turn=2).good.text == "third"
    assert ask(open_model(name), turn=1).good.text == "second"


def test_when_both_are_used_up_the_line_says_so(tmp_path):
    outcome = ask(open_model(both(tmp_path)), turn=4)
    assert outcome.kind == "script_ended"


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("replay:/a/b then deepseek/deepseek-chat", ("replay:/a/b", "deepseek/deepseek-chat")),
        ("history:/now then later.md#1 then openai/x", ("history:/now then later.md#1", "openai/x")),
        ("history:/a.md#2", None),
        ("deepseek/deepseek-chat", None),
        ("openai/then", None),
    ],
)
def test_the_name_holds_both_names(name, parts):
    assert split_recorded_then(name) == parts


def test_both_paths_are_journalled_as_absolute_ones(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    name = _with_absolute_path("history:old/chat.md#2 then scripted:more")
    assert name == f"history:{tmp_path}/old/chat.md#2 then scripted:{tmp_path}/more"
