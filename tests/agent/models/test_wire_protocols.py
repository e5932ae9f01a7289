"""The adapter against strict servers of all protocols, checked on the raw requests that reached them."""

from __future__ import annotations

import gc
import time
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from ai_sci.agent.models.litellm_setup import load
from ai_sci.agent.models.one_try import Timeouts
from tests.agent.models.calls import IMPATIENT, QUICK, TALK, ask, every_protocol, every_reader, model_at, serve
from tests.servers import faults
from tests.servers.answers import Answer
from tests.servers.loopback import Exchange
from tests.servers.openai_strict import StrictServer

TRIES = 4

RETRIED = [
    *(pytest.param(faults.status(code), kind, id=str(code)) for code, kind in [
        (408, "timeout"), (409, "conflict"), (425, "conflict"), (429, "rate_limited"),
        (500, "server_error"), (502, "server_error"), (503, "server_error"), (529, "server_error"),
    ]),
    pytest.param(faults.reset(), "cut", id="reset"),
    pytest.param(faults.hang_up(), "cut", id="hang up"),
    pytest.param(faults.cut_stream(), "cut", id="cut"),
    pytest.param(faults.cut_stream(rudely=True), "cut", id="cut by reset"),
    pytest.param(faults.stream_error(), "stream_error", id="error event"),
    pytest.param(faults.html(), "not_a_reply", id="HTML"),
    pytest.param(faults.invalid_json(), "not_a_reply", id="invalid JSON"),
    pytest.param(faults.no_choices(), "not_a_reply", id="no choices"),
    pytest.param(faults.null_body(), "not_a_reply", id="null"),
    pytest.param(faults.no_body(), "not_a_reply", id="no body"),
]  # fmt: skip
STALLS = [
    pytest.param(faults.stalled_stream(), id="in the middle"),
    pytest.param(faults.stalled_stream(0), id="before the headers"),
    pytest.param(faults.stalled_stream(3, keep_alive=0.05), id="with keep-alive"),
]
FATAL = [
    (400, "bad_request"), (401, "auth"), (402, "payment"), (403, "auth"), (404, "not_found"), (413, "too_large"),
    (422, "bad_request"),
]  # fmt: skip


@every_protocol
@pytest.mark.parametrize("fault, kind", RETRIED)
def test_a_passing_failure_is_tried_again_with_one_request_a_try(protocol, fault, kind):
    with serve(protocol, ["here it is"], [fault, fault]) as server:
        outcome = ask(model_at(server, protocol), TALK)
    assert outcome.good.text == "here it is"
    assert [failure.kind for failure in outcome.failures] == [kind, kind]
    assert all(failure.retry_in is not None for failure in outcome.failures)
    assert "try 2 of 4" in outcome.failures[0].message and "try 3 of 4" in outcome.failures[1].message
    assert len(server.requests) == 3
    assert server.bad_requests == []
    assert all(request.messages == server.requests[0].messages for request in server.requests)


@every_reader
@pytest.mark.parametrize("fault, kind", RETRIED)
def test_a_lasting_failure_ends_with_its_name_after_as_many_requests_as_tries(protocol, fault, kind):
    with serve(protocol, ["never given"], [fault] * 9) as server:
        outcome = ask(model_at(server, protocol))
    assert outcome.kind == kind
    assert outcome.line
    assert len(outcome.failures) == len(server.requests) == TRIES
    assert outcome.failures[-1].retry_in is None


@every_protocol
@pytest.mark.parametrize("fault", STALLS)
def test_a_stall_is_given_up_in_time_and_tried_again(protocol, fault):
    with serve(protocol, ["here it is"], [fault]) as server:
        started = time.monotonic()
        outcome = ask(model_at(server, protocol, timeouts=IMPATIENT))
        assert time.monotonic() - started < 45  # the server would be silent for a minute
    assert outcome.good.text == "here it is"
    assert [failure.kind for failure in outcome.failures] == ["timeout"]
    assert "for 1 s" in outcome.failures[0].message
    assert len(server.requests) == 2


def test_a_server_that_stalls_for_ever_ends_the_call():
    with StrictServer(["never given"], [faults.stalled_stream()] * 9) as server:
        outcome = ask(model_at(server, timeouts=IMPATIENT, retry=replace(QUICK, tries=2)))
    assert outcome.kind == "timeout"
    assert len(server.requests) == 2


def test_a_reply_that_trickles_for_ever_is_given_up():
    with StrictServer(["never given"], [_trickle] * 9, piece=1) as server:
        patience = Timeouts(first_token=1.0, between_tokens=1.0, reply=0.5)
        outcome = ask(model_at(server, timeouts=patience, retry=replace(QUICK, tries=2)))
    assert outcome.kind == "timeout"
    assert "not complete after 0.5 s" in outcome.line


def _trickle(exchange: Exchange) -> None:
    exchange.start_stream()
    for event in exchange.server.events(Answer("a" * 500), exchange.request):
        exchange.event(event)
        exchange.wait(0.05)


@every_protocol
@pytest.mark.parametrize("code, kind", FATAL)
def test_a_fatal_status_ends_the_call_after_one_request(protocol, code, kind):
    with serve(protocol, ["never given"], [faults.status(code, "no, and here is why")]) as server:
        outcome = ask(model_at(server, protocol))
    assert (outcome.kind, outcome.error and outcome.error.failure.status) == (kind, code)
    assert f"HTTP {code}" in outcome.line and "no, and here is why" in outcome.line
    assert len(server.requests) == len(outcome.failures) == 1
    assert outcome.failures[0].retry_in is None


@every_protocol
@pytest.mark.parametrize(
    "words",
    [
        "Conversation roles must alternate user/assistant/user/assistant/...",
        "user and assistant roles should be alternating",
        "Last message must have role `user`",
    ],
)
def test_litellms_own_repair_of_messages_never_sends_a_second_request(protocol, words):
    """On these words litellm would add blank messages, ask again and then return None."""
    with serve(protocol, ["never given"], [faults.status(400, words)] * 3) as server:
        outcome = ask(model_at(server, protocol), TALK)
    assert outcome.kind == "bad_request"
    assert words in outcome.line
    assert len(server.requests) == 1


@every_protocol
@pytest.mark.parametrize(
    "fault, reasoned",
    [
        (faults.empty(), False),
        (faults.whitespace(), False),
        (faults.null_content(), False),
        (faults.reasoning_only(), True),
    ],
    ids=["empty", "whitespace", "null", "reasoning only"],
)
@pytest.mark.parametrize("streams", [True, False])
def test_a_reply_without_text_is_a_reply(protocol, fault, reasoned, streams):
    with serve(protocol, [], [fault]) as server:
        model = model_at(server, protocol)
        model._streams = streams  # type: ignore[attr-defined]
        outcome = ask(model)
    assert outcome.good.text == ""
    assert bool(outcome.good.reasoning) == reasoned
    assert outcome.failures == []
    assert len(server.requests) == 1


@every_protocol
def test_a_reply_cut_by_its_length_says_so(protocol):
    with serve(protocol, [], [faults.finish_length("<<<<<<< SEARCH\nx = 1\n===")]) as server:
        reply = ask(model_at(server, protocol)).good
    assert reply.finish_reason == "length"
    assert reply.text == "<<<<<<< SEARCH\nx = 1\n==="


@every_reader
def test_a_reply_of_two_megabytes_arrives_whole(protocol):
    with serve(protocol, [], [faults.big_reply()]) as server:
        outcome = ask(model_at(server, protocol))
    assert len(outcome.good.text) > 1_999_900
    assert "".join(outcome.deltas) == outcome.good.text


@every_protocol
def test_reasoning_stays_apart_and_only_text_is_shown_live(protocol):
    answer = Answer("The plan is this.\n" * 10, reasoning="First I thought of that.\n" * 10)
    with serve(protocol, [answer], piece=7) as server:
        outcome = ask(model_at(server, protocol))
    assert outcome.good.text == answer.text
    assert outcome.good.reasoning == answer.reasoning.strip()
    assert "".join(outcome.deltas) == answer.text
    assert len(outcome.deltas) > 10


AWKWARD = [
    "[DONE]",
    "data: [DONE]\n\n",
    "\u2028",
    "\x85",
    "think>",
    "<s>",
    "<|im_end|>",
    "\r\n",
    "\t",
    '"',
    "\\",
    "é😀",
    "\x00",
]


@every_protocol
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.lists(st.one_of(st.sampled_from(AWKWARD), st.text(max_size=12)), min_size=1).map("".join))
@example(text="x [DONE] y")
@example(text="a line\u2028 separator, and a next line\x85 character")
@example(text="<<<<<<< SEARCH\r\n=======\r\n>>>>>>> REPLACE\r\n")
def test_any_text_arrives_byte_for_byte(protocol, text):
    text = f"x{text}x"  # neither white space alone nor the beginning of <think>
    with serve(protocol, [text], piece=3) as server:
        outcome = ask(model_at(server, protocol))
    assert outcome.good.text == text
    assert len(server.requests) == 1
    assert server.bad_requests == []


def test_surrogate_pairs_sent_in_two_events_are_one_character():
    with StrictServer() as server:
        event = (
            b'data: {"id":"1","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":'
        )
        pieces = [b'{"content":"x\\ud83d"}', b'{"content":"\\ude00y \\udc00"}']
        halves = [event + piece + b',"finish_reason":null}]}\n\n' for piece in pieces]
        end = event + b'{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'

        def play(exchange: Exchange) -> None:
            exchange.start_stream()
            for data in [*halves, end]:
                exchange.event(data)
            exchange.end_stream()

        server.faults.append(play)
        outcome = ask(model_at(server))
    assert outcome.good.text == "x😀y �"
    assert "".join(outcome.deltas).encode("utf-8")  # can be shown as it comes


@pytest.mark.parametrize(
    "protocol, reason, heard",
    [
        ("anthropic", "content_filter", "refusal"),
        ("anthropic", "pause_turn", "pause_turn"),
        ("anthropic", "model_context_window_exceeded", "length"),
        ("openai", "model_length", "length"),
        ("openai", "a word of tomorrow", "a word of tomorrow"),
        ("deepseek", "a word of tomorrow", "a word of tomorrow"),
    ],
)
def test_a_reply_that_ends_for_an_unusual_reason_is_paid_for_once(protocol, reason, heard):
    with serve(protocol, [], [faults.says(Answer("All of the reply.", finish_reason=reason))]) as server:
        outcome = ask(model_at(server, protocol))
    assert (outcome.good.text, outcome.good.finish_reason) == ("All of the reply.", heard)
    assert outcome.good.usage.prompt_tokens > 0
    assert len(server.requests) == 1


@pytest.mark.parametrize("protocol, reason", [("deepseek", "insufficient_system_resource"), ("openai", "abort")])
def test_a_reply_that_the_server_broke_off_is_asked_for_again(protocol, reason):
    with serve(protocol, ["fine"], [faults.says(Answer("Half of the", finish_reason=reason))]) as server:
        outcome = ask(model_at(server, protocol))
    assert outcome.good.text == "fine"
    assert [failure.kind for failure in outcome.failures] == ["cut"]
    assert reason in outcome.failures[0].message


@every_protocol
@pytest.mark.parametrize("fault", [faults.bad_event(), faults.stream_error(), faults.cut_stream(politely=True)])
def test_a_response_is_closed_at_once_and_not_by_the_garbage_collector(protocol, fault):
    """Which may run inside httpcore's lock, and then the next call never begins."""
    gc.disable()
    try:
        with serve(protocol, ["fine"], [fault]) as server:
            assert ask(model_at(server, protocol)).good.text == "fine"
        connections = load().sync_transport._pool.connections
        assert connections and all(connection.is_idle() or connection.is_closed() for connection in connections)
    finally:
        gc.enable()
