"""Histories of kinds that are found in public repositories: each is read as what it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from ai_sci.agent.aider_history.diagnosis import diagnose
from ai_sci.agent.aider_history.file import read_history
from ai_sci.agent.aider_history.turns import HistorySession, TurnKind, parse_history
from tests.agent.aider_history.chats import TOKENS, edit, edited, header, reply, tool, user

CASES = Path(__file__).parent / "cases"


def case(name: str) -> HistorySession:
    (session,) = read_history(CASES / f"{name}.md")
    return session


def only(text: str) -> HistorySession:
    (session,) = parse_history(text)
    return session


def test_a_command_line_of_several_lines_is_no_reply():
    (turn,) = case("multi_line_message").turns
    assert (turn.user, turn.reply) == ("You are an expert.\nDo this:\n1. x", "Reply.")


def test_a_command_line_with_blank_lines_is_no_reply():
    line = "> /usr/bin/aider --yes --message Do this:\n\n- x\n\n- y  \n"
    session = only(header() + line + tool("Aider v0.86.2") + user("Do this:\n\n- x\n\n- y") + edited("Yes."))
    assert len(session.turns) == 1
    assert session.notes[-1] == "Aider v0.86.2"


def test_a_question_of_aiders_and_its_answer_are_no_turn():
    asked, reflected = case("confirm_all").turns
    assert (asked.user, asked.reply) == ("fix it", "See a.js and b.js.")
    assert (reflected.kind, reflected.reply) == (TurnKind.reflection, "Now I see.")


@pytest.mark.parametrize(
    "line",
    [
        "<blank>",
        "  ",
        "Add URL to the chat? (Y)es/(N)o/(A)ll/(S)kip all/(D)on't ask again [Yes]: skip",
        "Create new file? (Y)es/(N)o [Yes]: <blank>",
    ],
)
def test_what_stands_behind_the_users_mark_and_is_not_the_users(line):
    assert len(only(user("a") + edited() + user(line) + user("b") + edited()).turns) == 2
    quoted = only(user(f"What does this mean?\n{line}") + edited())
    assert line in quoted.turns[0].user


def test_commands_that_aider_proposes_with_blank_lines_are_no_reply():
    proposal = "> cd here             \n                      \npython experiment.py  \n"
    question = "Run shell commands? (Y)es/(N)o/(S)kip all/(D)on't ask again [Yes]: n"
    session = only(user("a") + edited() + tool("") + proposal + tool(question) + user("b") + edited("Yes."))
    assert [turn.user for turn in session.turns] == ["a", "b"]


def test_output_of_a_command_with_several_lines_is_no_reply():
    output = "> commit 0a1b2c3\nAuthor: somebody\n\n    a subject  \n"
    session = only(user("a") + edited() + user("/git log") + output + user("b") + edited())
    assert [turn.user for turn in session.turns] == ["a", "b"]
    assert session.commands == 1


def test_an_error_with_a_prefix_is_named():
    assert "Turn 1 got no reply: error 429 (RateLimitError: “daily limit" in diagnose(case("unexpected_error"))


def test_a_reply_that_was_broken_off_is_told():
    session = case("ctrl_c_after_partial")
    assert session.turns[0].is_interrupted
    assert "The reply of turn 1 was broken off with Ctrl-C." in diagnose(session)


def test_reasoning_between_aiders_tags_holds_no_edit():
    (turn,) = case("thinking_content_tag").turns
    assert turn.reply == edit("lr = 0.1", "lr = 0.2")
    assert "lr = 99" in turn.reasoning


@pytest.mark.parametrize("fence", ["source", "code", "pre", "codeblock", "sourcecode"])
def test_aiders_other_fences_hide_what_looks_like_a_users_line(fence):
    code = f"x.md\n<{fence}>markdown\n#### heading  \n\n> quotation  \n</{fence}>"
    (turn,) = only(user("a") + reply(code) + tool(TOKENS)).turns
    assert turn.reply == code


def test_a_tag_that_is_never_closed_hides_no_turn():
    assert len(only(user("a") + reply("<pre>\nx") + tool(TOKENS) + user("b") + edited()).turns) == 2


def test_trailing_blanks_that_were_stripped_from_one_session_only():
    whole = header() + user("Do it.\n\nNow.") + edited("Yes.")
    stripped = "\n".join(line.rstrip() for line in whole.split("\n"))
    for text in (whole + stripped, stripped + whole):
        assert [[turn.user for turn in session.turns] for session in parse_history(text)] == [["Do it.\n\nNow."]] * 2


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-8-sig", "utf-8"])
def test_the_encodings_of_windows_shells(tmp_path, encoding):
    file = tmp_path / "chat.md"
    file.write_bytes((header() + user("Größer?") + edited("Ja.")).replace("\n", "\r\n").encode(encoding))
    (session,) = read_history(file)
    assert session.turns[0].user == "Größer?"
    assert session.turns[0].blocks == 1


def test_tokens_as_aider_wrote_them_until_2024():
    line = tool("10207 prompt tokens, 1220 completion tokens, $0.069335 cost")
    lint = tool(
        "",
        "# Fix any errors below, if possible.",
        "",
        "x.py:1:1: F821 undefined name 'F'",
        "",
        "Attempt to fix lint errors? yes",
    )
    session = only(
        user("a")
        + line
        + reply(edit())
        + tool("Applied edit to x.py")
        + lint
        + line.replace("10207", "11000")
        + reply(edit())
    )
    one, two = session.turns
    assert one.usage is not None and (one.usage.sent, one.usage.received, one.usage.cost) == (10207, 1220, 0.069335)
    assert two.usage is not None and two.usage.sent == 11000
    assert two.kind is TurnKind.lint and "prompt tokens" not in two.user


def test_tries_of_a_reflection_that_failed_belong_to_it():
    lint = tool("", "# Fix any errors below, if possible.", "", "x.py:1:1: F821 undefined name 'F'", "")
    asked = tool("Attempt to fix lint errors? (Y)es/(N)o [Yes]: y")
    slow = tool(
        "litellm.RateLimitError: AnthropicException - slow down",
        "The API provider has rate limited you. Try again later or check your quotas.",
        "Retrying in 0.2 seconds...",
    )
    one, two = only(user("a") + edited("First.") + lint + asked + slow * 3 + edited("Second.")).turns
    assert one.reply.startswith("First.") and two.reply.startswith("Second.")
    assert (two.kind, len(one.errors), len(two.errors)) == (TurnKind.lint, 0, 3)


@pytest.mark.parametrize("fence", ["source", "code", "pre", "codeblock", "sourcecode"])
def test_blocks_in_aiders_other_fences_are_found(fence):
    block = edit().replace("```python", f"<{fence}>python").replace("```", f"</{fence}>")
    (turn,) = only(user("a") + reply(block) + tool(TOKENS, "Applied edit to experiment.py")).turns
    assert (turn.blocks, turn.reply) == (1, block)
