"""Reasoning that comes as content, between think tags, is kept out of the reply, however it is cut into pieces."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ai_sci.agent.models.reasoning import ThinkSplitter, split_unopened
from tests.agent.models.calls import ask, model_at
from tests.servers.openai_strict import StrictServer


def fed(pieces: list[str]) -> tuple[str, str, str]:
    splitter = ThinkSplitter()
    shown = "".join(splitter.feed(piece) for piece in pieces) + splitter.finish()
    return splitter.reasoning, splitter.text, shown


@pytest.mark.parametrize(
    "content, reasoning, text",
    [
        ("<think>why</think>so", "why", "so"),
        ("\n <think>\nwhy\n</think>\n\nso\n", "\nwhy\n", "so\n"),
        ("<think></think>so", "", "so"),
        ("<think>cut off in thought", "cut off in thought", ""),
        ("<think>a</thi", "a</thi", ""),
        ("no tags", "", "no tags"),
        ("  indented", "", "  indented"),
        ("say <think>this</think>", "", "say <think>this</think>"),
        ("<thinking>other</thinking>", "", "<thinking>other</thinking>"),
        ("<think>a</think>b<think>c</think>", "a", "b<think>c</think>"),
        ("<thi", "", "<thi"),
        ("", "", ""),
        ("   ", "", "   "),
    ],
)
def test_tags_at_the_beginning_only(content, reasoning, text):
    assert fed([content]) == (reasoning, text, text)
    assert fed(list(content)) == (reasoning, text, text)


@given(st.lists(st.sampled_from(["<think>", "</think>", "<", "think", ">", "a", " ", "\n"]) | st.text(max_size=5)))
@example(["<", "think", ">", "a", "<", "/think", ">", "\n", "b"])
def test_pieces_make_no_difference_and_nothing_is_lost(pieces):
    whole = fed(["".join(pieces)])
    assert fed(pieces) == whole
    reasoning, text, shown = whole
    assert text == shown
    content = "".join(pieces)
    if not content.lstrip().startswith("<think>"):
        assert (reasoning, text) == ("", content)


@pytest.mark.parametrize(
    "content, reasoning, text",
    [
        ("I wonder.\n</think>\n\nThe plan.", "I wonder.", "The plan."),
        ("I wonder.\n</think>", "I wonder.", ""),
        ('parts = text.split("</think>")\n', "", 'parts = text.split("</think>")\n'),
        ("```\n</think>\n```\n", "", "```\n</think>\n```\n"),
        ("no tag", "", "no tag"),
    ],
)
def test_a_closing_tag_whose_opening_one_was_in_the_prompt(content, reasoning, text):
    assert split_unopened(content) == (reasoning, text)


def test_over_the_wire_and_live():
    with StrictServer(["<think>hm, sparsity</think>\nThe plan."], piece=3) as server:
        outcome = ask(model_at(server))
    assert outcome.good.text == "The plan."
    assert outcome.good.reasoning == "hm, sparsity"
    assert "".join(outcome.deltas) == "The plan."
