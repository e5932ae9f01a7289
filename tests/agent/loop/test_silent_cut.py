"""A server that cuts a prompt is noticed by a count that the prompt cannot have, and no other way of counting is."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_sci.agent.journal import ConversationRebuilt, Event, Message, Replied, Resumed, Told, wire_messages
from ai_sci.agent.loop.silent_cut import _WORD, window_of_cut
from ai_sci.agent.models import Usage

ROOT = Path(__file__).resolve().parents[3]
TEXT = (ROOT / "docs" / "architecture.md").read_text()
WINDOW = 2050


def gpt4(text: str) -> int:
    from litellm.litellm_core_utils.default_encoding import encoding

    return len(encoding.encode(text, disallowed_special=()))


def replied(text: str, prompt_tokens: int, cached: int = 0) -> Replied:
    return Replied(text, "", "stop", "m", prompt_tokens, 1, cached, None, 0.0)


def session(count, turns: int = 8, first: int = 6000, said: int = 2000) -> list[int | None]:
    """The window found at each turn of a conversation. `count` gives the server's usage for a request, from its whole
    text and the part of it that the request before had."""
    events: list[Event] = [Told("task", TEXT[:first])]
    found: list[int | None] = []
    before = ""
    for turn in range(turns):
        messages = wire_messages(events)
        whole = "".join(message.content for message in messages)
        usage: Usage = count(whole, before)
        found.append(window_of_cut(messages, usage, events))
        part = TEXT[first + turn * said :][:said]
        events += [replied(part, usage.prompt_tokens, usage.cached_tokens), Told("outcome", part[::-1])]
        before = whole + part
    return found


def tokens(count: int, cached: int = 0) -> Usage:
    return Usage(count, 1, cached, reported=True)


def test_ollamas_window():
    """2,050 tokens for 45,000 characters."""
    message = Message("user", (TEXT * 3)[:45_000])
    assert window_of_cut([message], tokens(WINDOW), []) == WINDOW


def test_a_growing_conversation_is_cut_to_the_window():
    found = session(lambda whole, _: tokens(min(WINDOW, gpt4(whole))))
    cut = [window for window in found if window is not None]
    assert cut and set(cut) == {WINDOW}
    assert found[0] is None, "it fits at first"


def test_a_server_that_drops_whole_messages_gets_the_largest_count_as_its_window():
    """What fits is less than the window then; the window held more before."""
    sizes = iter([1500, 2040, 900, 1600, 1100, 1500, 1000, 1700])
    found = session(lambda whole, _: tokens(min(next(sizes), gpt4(whole))))
    assert [window for window in found if window is not None][-1] == 2040


@pytest.mark.parametrize(
    "count",
    [
        lambda whole, _: tokens(gpt4(whole)),
        lambda whole, _: tokens(round(gpt4(whole) * 0.75)),  # a tokenizer that is better by a third
        lambda whole, _: tokens(len(whole) // 4),  # an estimate
        lambda whole, _: tokens(len(whole) // 5),
        lambda whole, before: tokens(gpt4(whole), gpt4(before)),  # OpenAI, DeepSeek: the cache is part of the whole
        lambda whole, before: tokens(gpt4(whole) - gpt4(before), gpt4(before)),  # as Anthropic counts
        lambda whole, before: tokens(max(1, gpt4(whole[len(before) :]))),  # neither counted nor told
        lambda whole, before: tokens(gpt4(whole[len(before) // 64 * 64 :])),
        lambda whole, _: tokens(0),
        lambda whole, _: tokens(1),
        lambda whole, _: tokens(100),
        lambda whole, _: Usage(WINDOW, 1),  # counted by us
    ],
    ids=["GPT-4", "better", "a quarter", "a fifth", "cached", "uncached", "silent", "blocks", "0", "1", "100", "ours"],
)
def test_no_other_way_of_counting_is_taken_for_a_cut(count):
    assert session(count, turns=12) == [None] * 12


def resumed(model: str) -> Resumed:
    return Resumed(model, None, 5, None, None)


@pytest.mark.parametrize("then", [ConversationRebuilt(TEXT[:3000], "", None), resumed("m")], ids=["rebuilt", "resumed"])
def test_an_unreported_cache_outlives_a_rebuild_and_a_resume(then):
    events = [Told("task", TEXT[:9000]), replied(TEXT[:3000], 2000), Told("outcome", TEXT[:3000]), then]
    assert window_of_cut(wire_messages(events), tokens(700), events) is None


def test_another_model_counts_in_its_own_way():
    events = [Told("task", TEXT[:9000]), replied(TEXT[:3000], 2000), Told("outcome", TEXT[:3000]), resumed("other")]
    assert window_of_cut(wire_messages(events), tokens(700), events) == 700


@given(st.text() | st.from_regex(r"([a-z]{1,12}[ _.(]|[0-9.]{1,6}[, )]|\n {4,16}){0,60}", fullmatch=True))
def test_no_text_has_fewer_tokens_than_words(text):
    assert len(_WORD.findall(text)) <= gpt4(text)


def test_code_and_prose_of_this_project_have_more_tokens_than_words():
    files = [*ROOT.glob("docs/*.md"), *ROOT.glob("prompts/*.md"), *ROOT.glob("experiment/*/*.py")]
    for path in random.Random(0).sample(files, 30):
        text = path.read_text()
        assert window_of_cut([Message("user", text)], tokens(round(gpt4(text) / 1.3)), []) is None
