"""The grammar of a chat history: which line is whose."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_sci.agent.aider_history.pieces import scan_history
from tests.agent.aider_history.chats import edit, edited, header, histories, reply, tool, user

FILES = sorted((Path(__file__).parent / "histories").glob("*.md"))


def kinds(text: str) -> list[tuple[str, str]]:
    return [(piece.kind.value, piece.text.strip("\n")) for piece in scan_history(text) if not piece.is_blank]


@given(st.one_of(st.text(), histories))
def test_the_pieces_of_any_text_join_to_that_text(text):
    pieces = scan_history(text)
    assert "".join(piece.raw for piece in pieces) == text
    assert all(piece.raw for piece in pieces)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_the_pieces_of_every_prefix_join_to_that_prefix(file):
    text = file.read_text(encoding="utf-8")
    for end in range(len(text)):
        assert "".join(piece.raw for piece in scan_history(text[:end])) == text[:end]


def test_who_wrote_a_line_is_told_by_its_marker_and_two_blanks_at_its_end():
    text = header("now") + user("Do it.\n\nSoon.") + reply("Done.") + tool("Tokens: 1 sent, 2 received.", "", "Bye")
    assert kinds(text) == [
        ("header", "now"),
        ("user", "Do it.\n\nSoon."),
        ("text", "Done."),
        ("tool", "Tokens: 1 sent, 2 received.\n\nBye"),
    ]


def test_headings_and_quotations_of_a_reply_are_its_own():
    markdown = "#### A heading\n\n> a quotation\n>> a deeper one\n\n#hashtag"
    assert kinds(user("Explain.") + reply(markdown)) == [("user", "Explain."), ("text", markdown)]


def test_a_code_fence_keeps_lines_that_look_like_a_users_or_a_tools():
    code = "```markdown\n#### heading  \n\n> quotation  \n```"
    assert kinds(reply(code) + tool("Tokens: 1 sent, 2 received.")) == [
        ("text", code),
        ("tool", "Tokens: 1 sent, 2 received."),
    ]


def test_a_fence_that_is_never_closed_does_not_swallow_the_turns_after_it():
    text = reply("```python\nx = 1") + tool("Tokens: 1 sent, 2 received.") + user("Go on.") + reply("```\ny\n```")
    assert [kind for kind, _ in kinds(text)] == ["text", "tool", "user", "text"]


def test_a_reply_that_broke_off_in_a_fence_ends_before_the_next_reply_with_one():
    text = reply("```python\nx = 1") + user("Go on.") + reply(edit())
    assert [kind for kind, _ in kinds(text)] == ["text", "user", "text"]


def test_a_tool_message_of_which_only_the_first_line_is_marked_is_read_to_its_end():
    message = f"# 1 SEARCH/REPLACE block failed to match!\n\n## No match\n{edit()}\n\nAll white space, etc"
    text = tool("The LLM did not conform to the edit format.") + f"> {message}  \n" + reply("Again.")
    assert kinds(text) == [("tool", f"The LLM did not conform to the edit format.\n{message}  "), ("text", "Again.")]


def test_carriage_returns_do_not_end_a_line():
    text = user("Run failed\rStep 1\x0bStep 2\u2028Step 3") + reply("I see.")
    assert kinds(text) == [("user", "Run failed\rStep 1\x0bStep 2\u2028Step 3"), ("text", "I see.")]


def test_line_ends_of_windows_are_line_ends():
    text = (header("now") + user("Do it.") + reply("Done.") + tool("Bye")).replace("\n", "\r\n")
    assert [kind for kind, _ in kinds(text)] == ["header", "user", "text", "tool"]


def test_a_file_whose_line_ends_were_stripped_is_read_by_the_markers_alone():
    text = "\n".join(line.rstrip() for line in (user("Do it.\n\nNow.") + edited("Yes.")).split("\n"))
    assert [kind for kind, _ in kinds(text)] == ["user", "text", "tool"]


def test_a_last_line_that_breaks_off_is_read_by_its_marker():
    assert kinds(user("Do it.") + "\n#### And th")[-1] == ("user", "And th")
    assert kinds(reply("Done.") + "> Tok")[-1] == ("tool", "Tok")


@pytest.mark.parametrize(
    "line", ["```x\n", "> x\n", "> x  \n> y\n", "> a  \nb\n", "#### x  \n```\n", "> Tokens: 1k sent\n```a\n"]
)
def test_a_long_file_takes_steps_in_proportion(line):
    few, many = (steps(line * lines) for lines in (400, 1600))
    assert many < 5 * few


def steps(text: str) -> int:
    """Lines of Python that are executed for it: the same on every machine, however busy."""
    count = 0

    def trace(*_: object) -> Any:
        nonlocal count
        count += 1
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        scan_history(text)
    finally:
        sys.settrace(before)
    return count
