"""The total function from a journal to wire messages: what any strict server insists on, for any journal."""

from __future__ import annotations

from hypothesis import given, settings

from ai_sci.agent.journal.conversation import Message, prompt_hash, wire_messages
from ai_sci.agent.journal.events import CallFailed, ConversationRebuilt, Replied, Told
from tests.agent.journal.journals import conversations


def reply(text: str, reasoning: str = "") -> Replied:
    return Replied(text, reasoning, "stop", "m", 1, 1, 0, None, 0.1)


@settings(max_examples=300)
@given(conversations)
def test_any_journal_gives_a_request_that_strict_servers_take(events):
    messages = wire_messages(events)
    assert [message.role for message in messages] == ["user", "assistant"] * (len(messages) // 2) + ["user"]
    for message in messages:
        assert message.content.strip() == message.content != ""
        message.content.encode("utf-8")


@given(conversations)
def test_nothing_that_was_said_is_lost_or_moved(events):
    events = [event for event in events if not isinstance(event, ConversationRebuilt)]
    sent = "\n".join(message.content for message in wire_messages(events))
    position = 0
    for event in events:
        if not isinstance(event, (Told, Replied)):
            continue
        said = event.text.encode("utf-8", "replace").decode("utf-8").strip()
        found = sent.find(said, position)
        assert found >= 0
        position = found + len(said)


def test_a_turn_only_appends_so_that_provider_caches_hit():
    events = [Told("task", "do it"), reply("first"), Told("failed", "no")]
    before = wire_messages(events)
    assert wire_messages([*events, reply("second"), Told("result", "yes")])[: len(before)] == before


def test_a_failed_request_changes_nothing():
    events = [Told("task", "do it"), CallFailed(500, "server", "down", 1.0)]
    assert wire_messages(events) == wire_messages(events[:1]) == [Message("user", "do it")]


def test_an_empty_reply_merges_what_stands_around_it():
    messages = wire_messages([Told("task", "do it"), reply("  \n", "thinking"), Told("no_edit", "and?")])
    assert messages == [Message("user", "do it\n\nand?")]


def test_reasoning_is_not_sent():
    messages = wire_messages([Told("task", "do it"), reply("done", "secret thoughts"), Told("result", "ok")])
    assert not any("secret" in message.content for message in messages)


def test_a_rebuilt_conversation_begins_with_the_task_and_drops_the_rest():
    events = [
        *(Told("task", "do it"), Told("code", "x = 1"), reply("first"), Told("failed", "no")),
        ConversationRebuilt("the short version", "too long", None),
    ]
    assert wire_messages(events) == [Message("user", "do it\n\nthe short version")]
    assert wire_messages([*events, reply("second"), Told("result", "yes")]) == [
        *(Message("user", "do it\n\nthe short version"), Message("assistant", "second"), Message("user", "yes"))
    ]


@given(conversations)
def test_a_request_hashes_to_the_same_and_any_other_to_another(events):
    messages = wire_messages(events)
    assert prompt_hash(messages) == prompt_hash(wire_messages(events))
    assert prompt_hash(messages) != prompt_hash([*messages, Message("assistant", "x")])
    assert prompt_hash([Message("user", messages[0].content + " ")]) != prompt_hash(messages[:1])
