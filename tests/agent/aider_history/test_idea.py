"""Which idea a history was about, and how its file is read."""

from __future__ import annotations

from pathlib import Path

import pytest

from ai_sci.agent.aider_history.file import choose_session, read_history, session_list
from ai_sci.agent.aider_history.idea import recognise_idea
from ai_sci.agent.aider_history.turns import HistorySession, parse_history
from ai_sci.agent.models.adapter import open_model
from ai_sci.agent.models.playback import USED_UP
from ai_sci.experiment.base.errors import ConfigError
from ai_sci.experiment.template.template import load_template
from tests.agent.aider_history.chats import FIRST, edit, edited, first, header, reply, tool, user
from tests.agent.models.calls import ask

HISTORIES = Path(__file__).parent / "histories"
TINY = load_template("tiny")


def only(text: str) -> HistorySession:
    (session,) = parse_history(text)
    return session


def test_a_title_of_the_template_is_recognised():
    for name, idea, runs in (("repaired_by_lint", "fourier_features", 3), ("two_in_a_row", "weight_decay", 4)):
        (session,) = read_history(HISTORIES / f"{name}.md")
        found = recognise_idea(session, TINY)
        assert (found.idea.name, found.max_runs) == (idea, runs)
        assert found.idea.experiment  # the template's words, not those of the history


def test_a_name_or_a_quoted_experiment_is_recognised_too():
    named = user(FIRST.replace("Wider and Wider", "weight_decay").format(baseline="{}"))
    assert recognise_idea(only(named), TINY).idea.name == "weight_decay"
    experiment = recognise_idea(only(named), TINY).idea.experiment
    assert recognise_idea(only(user(f"Please try this.\n{experiment}")), TINY).idea.name == "weight_decay"


def test_an_idea_of_its_own_is_made_from_ai_scientists_first_message():
    found = recognise_idea(only(first()), TINY)
    assert found.idea.title == "Wider and Wider"
    assert found.idea.name == "wider_and_wider"
    assert found.idea.experiment == "1. Double the width.\n2. Double it again"
    assert found.max_runs == 3


def test_any_other_first_message_is_the_idea_itself():
    found = recognise_idea(only(user("/add x.py") + user("Use weight decay?\nPlease.") + edited()), TINY)
    assert (found.idea.title, found.idea.experiment) == ("Use weight decay?", "Use weight decay?\nPlease.")
    assert found.max_runs is None


def test_a_title_that_is_no_word_still_gives_a_name():
    assert recognise_idea(only(user("→ ∞")), TINY).idea.name == "history"


def test_without_a_user_message_the_idea_has_to_be_given():
    with pytest.raises(ConfigError, match="--idea"):
        recognise_idea(only(header() + reply(edit())), TINY)


def test_one_session_needs_no_choice_and_several_do():
    (one,) = read_history(HISTORIES / "two_in_a_row.md")
    assert choose_session(Path("x.md"), [one], None) is one
    several = read_history(HISTORIES / "three_sessions.md")
    assert choose_session(Path("x.md"), several, 3) is several[2]
    with pytest.raises(ConfigError, match="holds 3 sessions: choose one with --history-session NUMBER"):
        choose_session(Path("x.md"), several, None)
    for number in (0, 4, -1):
        with pytest.raises(ConfigError, match="holds 3 sessions: there is no session"):
            choose_session(Path("x.md"), several, number)


def test_the_list_says_number_time_turns_edits_and_the_beginning():
    lines = session_list(read_history(HISTORIES / "three_sessions.md")).splitlines()
    assert lines[1] == "  2  2025-03-03 09:01:00    2 turns    2 edits  Use a wider network."
    assert len(lines) == 3


def test_a_file_that_is_no_history_is_refused(tmp_path):
    (tmp_path / "notes.md").write_text("Some *notes*.\n")
    (tmp_path / "empty.md").write_bytes(b"")
    for name in ("notes.md", "empty.md"):
        with pytest.raises(ConfigError, match="is not an aider chat history"):
            read_history(tmp_path / name)
    with pytest.raises(ConfigError, match="No such file"):
        read_history(tmp_path / "gone.md")


def test_bytes_that_are_no_utf8_are_read(tmp_path):
    (tmp_path / "h.md").write_bytes(b"\xef\xbb\xbf" + (header() + user("Do it.")).encode() + b"\n\xff\xfe\x00\n\n")
    (session,) = read_history(tmp_path / "h.md")
    assert session.turns[0].reply == "��\x00"


def test_the_replies_of_a_session_are_a_model(tmp_path):
    file = tmp_path / "a # b.md"
    chat = header("1") + user("x") + edited("Not this.") + header("2") + first() + edited("One.") + user("Silence")
    file.write_text(chat + user("Again") + reply("Two.") + tool("Tokens: 1k sent, 20 received."))
    model = open_model(f"history:{file}#2")
    answers = [ask(model, turn=turn).good for turn in (0, 1)]
    assert [answer.text for answer in answers] == [f"One.\n\n{edit()}", "Two."]
    assert (answers[1].usage.prompt_tokens, answers[1].usage.completion_tokens, answers[1].cost) == (1000, 20, 0.0)
    assert ask(model, turn=2).line.startswith(USED_UP)


def test_a_reply_that_breaks_off_counts_as_cut_off(tmp_path):
    file = tmp_path / "h.md"
    file.write_text((first() + reply("See:\n" + edit()))[:-30])
    assert ask(open_model(f"history:{file}#1")).good.finish_reason == "length"


@pytest.mark.parametrize("name", ["history:", "history:x.md", "history:#1", "history:x.md#", "history:x.md#a"])
def test_a_name_that_does_not_say_which_session_is_refused(name):
    with pytest.raises(ConfigError, match="which session"):
        open_model(name)
