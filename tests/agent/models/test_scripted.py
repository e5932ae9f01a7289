"""The scripted model: numbered files played on the path of a live model, the next one told by the turn alone."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from ai_sci.agent.journal.conversation import Message
from ai_sci.agent.models.adapter import open_model
from ai_sci.agent.models.litellm_setup import load
from ai_sci.agent.models.protocol import Model
from ai_sci.agent.models.scripted import load_script
from ai_sci.experiment.base.errors import ConfigError
from tests.agent.models.calls import HELLO, TALK, ask


def script(folder: Path, *replies: str) -> Path:
    folder.mkdir(exist_ok=True)
    for number, reply in enumerate(replies, start=1):
        (folder / f"{number:02}.md").write_bytes(reply.encode("utf-8"))
    return folder


def scripted(folder: Path, *replies: str) -> Model:
    return open_model(f"scripted:{script(folder, *replies)}")


def test_the_turn_says_which_reply_comes_next(tmp_path):
    model = scripted(tmp_path / "s", "plan", "edit", "ALL_COMPLETED")
    assert [ask(model, turn=turn).good.text for turn in (0, 1, 2, 1, 0)] == [
        "plan",
        "edit",
        "ALL_COMPLETED",
        "edit",
        "plan",
    ]


def test_a_model_opened_anew_goes_on_where_the_journal_is(tmp_path):
    folder = script(tmp_path / "s", "plan", "edit")
    assert ask(open_model(f"scripted:{folder}"), TALK, turn=1).good.text == "edit"


def test_empty_replies_count_as_replies(tmp_path):
    """They are not in the messages, so the number of assistant messages would point to the wrong file."""
    model = scripted(tmp_path / "s", "", "  \n", "<think>only thought</think>\n", "at last")
    replies = [ask(model, HELLO, turn=turn).good for turn in range(4)]
    assert [reply.text for reply in replies] == ["", "", "", "at last"]
    assert replies[2].reasoning == "only thought"


def test_two_scripts_in_one_process_do_not_mix(tmp_path):
    one, two = scripted(tmp_path / "a", "of a"), scripted(tmp_path / "b", "of b")
    assert [ask(model).good.text for model in (one, two, one)] == ["of a", "of b", "of a"]


def test_two_scripts_that_begin_at_once_do_not_mix(tmp_path, monkeypatch):
    litellm = load()
    monkeypatch.setattr(litellm, "custom_provider_map", [])  # as before the first call of a process
    monkeypatch.setattr(litellm.CustomLLM, "__init__", lambda _: time.sleep(0.2))  # so that the two overlap
    models = [scripted(tmp_path / name, f"of {name}") for name in "ab"]
    with ThreadPoolExecutor(2) as pool:
        assert [outcome.good.text for outcome in pool.map(ask, models)] == ["of a", "of b"]


def test_used_up_replies_end_with_a_clear_line(tmp_path):
    outcome = ask(scripted(tmp_path / "s", "one", "two"), turn=2)
    assert outcome.kind == "script_ended"
    assert outcome.line == "the scripted session has 2 replies and they are used up"
    assert len(outcome.failures) == 1
    assert outcome.error is not None and outcome.error.exit_code == 3


def test_it_streams_and_tells_usage_and_costs_nothing(tmp_path):
    text = "A plan and an edit.\n" * 500
    outcome = ask(scripted(tmp_path / "s", text), [Message("user", "x" * 4000)])
    assert "".join(outcome.deltas) == outcome.good.text == text
    assert len(outcome.deltas) > 3
    assert outcome.good.usage.prompt_tokens == 1000
    assert outcome.good.usage.completion_tokens == len(text) // 4
    assert outcome.good.cost == 0.0
    assert outcome.good.finish_reason == "stop"


def test_its_worst_case_is_free(tmp_path):
    model = scripted(tmp_path / "s", "one")
    assert model.worst_case_cost(TALK) == 0.0
    assert model.context_window is None


def test_names_may_have_words_and_other_files_are_ignored(tmp_path):
    folder = tmp_path / "s"
    script(folder, "one")
    (folder / "02-repair.md").write_text("two")
    (folder / "README.md").write_text("not a reply")
    (folder / "notes.txt").write_text("not a reply")
    assert load_script(folder).replies == ("one", "two")


def test_more_than_ninety_nine_replies_keep_their_order(tmp_path):
    replies = [str(number) for number in range(1, 121)]
    assert load_script(script(tmp_path / "s", *replies)).replies == tuple(replies)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(min_size=1))
@example(text="[DONE]")
@example(text="\r\n\ta\r\n")
@example(text="<|im_end|></s>")
def test_any_text_is_played_byte_for_byte(tmp_path, text):
    text = f"x{text}x"
    assert ask(scripted(tmp_path / "any", text)).good.text == text


@pytest.mark.parametrize(
    "files, words",
    [
        ({}, "no scripted replies"),
        ({"notes.txt": b"x"}, "no scripted replies"),
        ({"01.md": b"x", "03.md": b"x"}, "02.md is missing"),
        ({"02.md": b"x"}, "01.md is missing"),
        ({"00.md": b"x", "01.md": b"x"}, "numbered from 01.md"),
        ({"01.md": b"x", "1-again.md": b"x"}, "have the number 1"),
        ({"01.md": b"\xff\xfe"}, "not UTF-8"),
    ],
)
def test_a_wrong_folder_is_refused_before_anything_starts(tmp_path, files, words):
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    with pytest.raises(ConfigError, match=words):
        open_model(f"scripted:{tmp_path}")


def test_a_missing_folder_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="no folder of scripted replies"):
        open_model(f"scripted:{tmp_path / 'nowhere'}")
