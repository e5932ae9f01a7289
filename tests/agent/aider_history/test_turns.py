"""Sessions and turns of a chat history."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_sci.agent.aider_history.diagnosis import diagnose
from ai_sci.agent.aider_history.pieces import Kind
from ai_sci.agent.aider_history.turns import TokenReport, TurnKind, parse_history
from tests.agent.aider_history.chats import TOKENS, edit, edited, first, header, histories, refusal, reply, tool, user

FILES = sorted((Path(__file__).parent / "histories").glob("*.md"))


def only(text: str):
    (session,) = parse_history(text)
    return session


def read(text: str) -> None:
    """Everything that can be asked of a history."""
    sessions = parse_history(text)
    for session in sessions:
        assert diagnose(session, len(sessions))
        assert session.first_message is not None
        for turn in session.turns:
            assert turn.refused >= 0 and turn.blocks >= 0 and turn.lint is not turn.applied
            assert turn.usage is None or turn.usage.sent >= 0
            assert turn.error is None or turn.error.name


@given(st.one_of(st.text(), histories))
def test_any_text_can_be_read(text):
    read(text)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_prefix_can_be_read(file):
    text = file.read_text(encoding="utf-8")
    for end in range(len(text)):
        read(text[:end])


def test_a_turn_is_a_message_its_reply_and_aiders_lines():
    session = only(header() + first() + edited("The plan."))
    (turn,) = session.turns
    assert turn.user.startswith("Your goal is to implement")
    assert turn.reply == f"The plan.\n\n{edit()}"
    assert turn.blocks == 1
    assert turn.applied == ["experiment.py"]
    assert turn.kind is TurnKind.user
    assert session.started == "2025-03-01 21:04:10"
    assert session.ends_on is Kind.tool


def test_an_accepted_lint_reflection_is_rebuilt_from_the_tool_lines():
    report = [
        "# Fix any errors below, if possible.",
        "",
        "experiment.py:3:5: F821 undefined name 'F'",
        "F.relu(x)",
        "^",
    ]
    asked = "Attempt to fix lint errors? (Y)es/(N)o [Yes]: y"
    session = only(first() + edited() + tool("", *report, "", asked) + edited("I'll import F."))
    one, two = session.turns
    assert one.lint == ["F821 undefined name 'F'"]
    assert two.kind is TurnKind.lint
    assert two.user == "\n".join(report)
    assert two.reply.startswith("I'll import F.")
    assert two.lint == []


def test_a_declined_lint_reflection_is_no_turn():
    report = ["# Fix any errors below, if possible.", "experiment.py:3:5: F821 undefined name 'F'"]
    session = only(first() + edited() + tool(*report, "Attempt to fix lint errors? (Y)es/(N)o [Yes]: n"))
    assert len(session.turns) == 1


def test_a_refused_edit_that_aider_sends_back_is_a_turn_of_its_own():
    message = "> # 2 SEARCH/REPLACE blocks failed to match!\n\n## No match\n" + edit() + "\n\nand so on, etc  \n"
    refused = reply(edit()) + tool(TOKENS, "The LLM did not conform to the edit format.") + message
    one, two = only(first() + refused + edited("Better.")).turns
    assert one.refused == 2
    assert one.applied == []
    assert two.kind is TurnKind.reflection
    assert two.user.startswith("# 2 SEARCH/REPLACE blocks failed to match!")
    assert two.blocks == 1


def test_a_failed_request_is_a_turn_without_a_reply():
    turns = only(first() + edited() + user("Run failed") + refusal(400, "roles must alternate") + user("Again")).turns
    assert [turn.has_failed for turn in turns] == [False, True, True]
    error = turns[1].error
    assert error is not None
    assert (error.name, error.status, error.message) == ("BadRequestError", 400, "roles must alternate")
    assert turns[2].error is None


def test_a_try_that_failed_before_the_reply_belongs_to_the_same_turn():
    retried = refusal(429, "slow down", "RateLimitError") + tool("Retrying in 0.2 seconds...")
    (turn,) = only(first() + retried + edited()).turns
    assert not turn.has_failed
    assert turn.error is not None and turn.error.status == 429


@pytest.mark.parametrize(
    ("line", "usage"),
    [
        ("Tokens: 13k sent, 2.9k received. Cost: $0.08 message, $0.13 session.", TokenReport(13000, 2900, 0.08, 0.13)),
        ("Tokens: 15k sent, 7.9k cache hit, 254 received.", TokenReport(15000, 254, None, None)),
        ("Tokens: 1.2M sent, 3k cache write, 1k cache hit, 7 received.", TokenReport(1200000, 7, None, None)),
        ("Tokens: ... sent, 7 received.", TokenReport(0, 7, None, None)),
    ],
)
def test_the_line_on_tokens(line, usage):
    (turn,) = only(first() + reply("Yes.") + tool(line)).turns
    assert turn.usage == usage


def test_a_quotation_with_two_blanks_does_not_split_a_reply():
    (turn,) = only(user("Hm?") + "\nSee:\n\n> a line  \n\nThat is it.\n\n" + tool(TOKENS)).turns
    assert turn.reply == "See:\n\n> a line  \n\nThat is it."
    assert turn.tools == (TOKENS,)


def test_reasoning_that_aider_shows_is_not_part_of_the_reply():
    shown = "--------------\n► **THINKING**\n\nIs it a = 2?\n\n------------\n► **ANSWER**\n\nIt is."
    (turn,) = only(user("Hm?") + reply(shown)).turns
    assert (turn.reasoning, turn.reply) == ("Is it a = 2?", "It is.")


def test_a_reply_that_breaks_off_is_known_as_such():
    whole = first() + edited()
    inside = whole[: whole.index(">>>>>>>")]
    assert only(inside).turns[-1].is_cut
    assert not only(whole).turns[-1].is_cut


def test_a_file_can_hold_many_sessions():
    sessions = parse_history((Path(__file__).parent / "histories" / "three_sessions.md").read_text(encoding="utf-8"))
    assert [(session.number, len(session.turns), session.edits) for session in sessions] == [
        (1, 0, 0),
        (2, 2, 2),
        (3, 1, 0),
    ]
    assert sessions[1].notes == ("Aider v0.86.2",)
    assert sessions[1].first_message == "Use a wider network.\nSixty-four hidden units, please."


def test_edits_in_another_format_are_counted_by_file():
    diff = reply("```diff\n--- a.py\n+++ a.py\n@@ @@\n-a\n+b\n```") + tool(TOKENS, "Applied edit to a.py")
    assert only(user("a") + diff + user("b") + edited()).edits == 2


def test_nothing_holds_no_session():
    assert parse_history("") == parse_history("\n\n  \n") == []


def test_reasoning_in_aiders_own_tag_is_not_part_of_the_reply():
    history = (Path(__file__).parent / "histories" / "thinking_content_tag.md").read_text(encoding="utf-8")
    (turn,) = only(history).turns
    assert turn.blocks == 1
    assert "lr = 99" in turn.reasoning and "lr = 99" not in turn.reply
    assert "lr = 0.2" in turn.reply
