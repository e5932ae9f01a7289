"""Reasoning that comes as content is journalled apart from the reply, is not sent back and is not shown."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ai_sci.agent.journal import Replied, Told, wire_messages
from ai_sci.agent.models.reasoning import LiveReply
from tests.agent.edits.reasoning_corpus import ANSWERS, DRAFTS, FORMS, WHY
from tests.agent.models.calls import ask, every_protocol, model_at, serve
from tests.agent.models.test_scripted import scripted
from tests.servers.openai_strict import StrictServer

ANSWER = ANSWERS["a block"]


def shown(pieces: list[str]) -> str:
    live = LiveReply()
    return "".join(live.feed(piece) for piece in pieces) + live.finish()


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("<think>why</think>so", "so"),
        ("\n <think>\nwhy\n</think>\n\nso\n", "so\n"),
        ("<think></think>so", "so"),
        ("<think>cut off in thought", ""),
        ("<think>a</thi", ""),
        ("<thinking>other</thinking>\nso", "so"),
        ("◁think▷why◁/think▷so", "so"),
        ("<|channel|>analysis<|message|>why<|end|><|start|>assistant<|channel|>final<|message|>so", "so"),
        ("no tags", "no tags"),
        ("  indented", "  indented"),
        ("<thi", "<thi"),
        ("<html> is a tag", "<html> is a tag"),
        ("", ""),
        ("   ", "   "),
    ],
)
def test_reasoning_at_the_beginning_is_not_shown_as_it_streams(content, text):
    assert shown([content]) == text
    assert shown(list(content)) == text


@given(st.lists(st.sampled_from(["<think>", "</think>", "<", "think", ">", "a", " ", "\n"]) | st.text(max_size=5)))
@example(["<", "think", ">", "a", "<", "/think", ">", "\n", "b"])
def test_pieces_make_no_difference_to_what_is_shown(pieces):
    assert shown(pieces) == shown(["".join(pieces)])


def test_every_form_is_journalled_and_kept_out_of_the_next_request(tmp_path):
    model = scripted(tmp_path / "s", *(write(DRAFTS["a block"], ANSWER) for write in FORMS.values()))
    for turn, form in enumerate(FORMS):
        reply = ask(model, turn=turn).good
        assert WHY in reply.reasoning, form
        replied = Replied(reply.text, reply.reasoning, "stop", "m", 1, 1, 0, None, 0.1)
        _, assistant, _ = wire_messages([Told("task", "Go."), replied, Told("result", "Done.")])
        assert "Next I try lr = 0.2." in assistant.content, form
        assert WHY not in assistant.content and "loss = 0.0" not in assistant.content, form


@every_protocol
def test_over_the_wire_and_live(protocol):
    with serve(protocol, ["<think>hm, sparsity</think>\nThe plan."], piece=3) as server:
        outcome = ask(model_at(server, protocol))
    assert outcome.good.text == "The plan."
    assert outcome.good.reasoning == "hm, sparsity"
    assert "".join(outcome.deltas) == "The plan."


@pytest.mark.parametrize("piece", [1, 7, 5000])
def test_an_unopened_thought_over_the_wire(piece):
    content = f"{DRAFTS['a block']}\n</think>\n\n{ANSWER}"
    with StrictServer([content], piece=piece) as server:
        outcome = ask(model_at(server))
    assert outcome.good.text == ANSWER
    assert WHY in outcome.good.reasoning
