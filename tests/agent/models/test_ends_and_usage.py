"""Why a reply ended, what it cost, and content in parts: the same facts from every protocol, streamed or whole."""

from __future__ import annotations

import pytest

from ai_sci.agent.models import wire_bodies
from ai_sci.agent.models.adapter import open_model
from tests.agent.models.calls import HELLO, PATIENT, PROTOCOLS, QUICK, TALK, ask, every_protocol, model_at, serve
from tests.agent.models.test_model_requests import litellm_prices
from tests.servers import faults, responses_strict
from tests.servers.answers import Answer, tokens
from tests.servers.gemini_strict import blocked_prompt
from tests.servers.loopback import Exchange, LoopbackServer, to_json
from tests.servers.openai_strict import StrictServer, prompt_text
from tests.servers.responses_strict import ResponsesServer

streamed_or_whole = pytest.mark.parametrize("streams", [True, False], ids=["streamed", "whole"])

ENDS = [
    ("gemini", "stop", "stop"),
    ("gemini", "length", "length"),
    ("gemini", "content_filter", "content_filter"),
    ("gemini", "RECITATION", "content_filter"),
    ("gemini", "PROHIBITED_CONTENT", "content_filter"),
    ("gemini", "OTHER", "OTHER"),
    ("gemini", "MALFORMED_RESPONSE", "MALFORMED_RESPONSE"),
    ("ollama", "stop", "stop"),
    ("ollama", "length", "length"),
    ("ollama", "unload", "unload"),
    ("mistral", "length", "length"),
    ("mistral", "model_length", "length"),
    ("responses", "stop", "stop"),
    ("responses", "length", "length"),
    ("responses", "content_filter", "content_filter"),
    ("openai", "eos", "stop"),
    ("openai", "recitation", "content_filter"),
    ("deepseek", "content_filter", "content_filter"),
    ("anthropic", "stop_sequence", "stop"),
    ("anthropic", "content_filter", "refusal"),
]


def model_that(server: LoopbackServer, protocol: str, streams: bool):
    model = model_at(server, protocol)
    model._streams = streams  # type: ignore[attr-defined]
    return model


@pytest.mark.parametrize("protocol, reason, heard", ENDS)
@streamed_or_whole
def test_every_end_has_its_name_and_is_paid_for_once(protocol, reason, heard, streams):
    with serve(protocol, [Answer("All of the reply.", finish_reason=reason)]) as server:
        outcome = ask(model_that(server, protocol, streams))
    assert (outcome.good.text, outcome.good.finish_reason) == ("All of the reply.", heard)
    assert len(server.requests) == 1


@every_protocol
@streamed_or_whole
def test_tokens_and_cost_are_the_servers_own(protocol, streams):
    answer = Answer("The plan is this.\n" * 10, reasoning="First I thought of that.\n" * 10)
    with serve(protocol, [answer]) as server:
        reply = ask(model_that(server, protocol, streams)).good
    assert (reply.text, reply.reasoning) == (answer.text, answer.reasoning.strip())
    said = tokens(answer.text or "") + tokens(answer.reasoning)
    assert reply.usage.completion_tokens == said
    prompt = sum(tokens(prompt_text(request)) for request in server.requests)
    if protocol != "anthropic":  # whose server counts what goes into the cache as well
        assert reply.usage.prompt_tokens == prompt
    name = PROTOCOLS[protocol][1]
    if protocol in ("openai", "ollama"):
        assert reply.cost is None
        return
    price = litellm_prices(name.removeprefix("anthropic/").removeprefix("openai/"))
    at_most = prompt * max(price["input_cost_per_token"], price.get("cache_creation_input_token_cost") or 0)
    output = said * price["output_cost_per_token"]
    assert reply.cost is not None and output < reply.cost <= at_most * 1.01 + output


@pytest.mark.parametrize("protocol", ["gemini", "mistral", "responses"])
def test_cached_tokens_are_counted_and_cheaper(protocol):
    task = "The task. " * 500
    with serve(protocol, ["one", "one"]) as server:
        model = model_at(server, protocol)
        first, second = (ask(model, [type(HELLO[0])("user", task)]).good for _ in range(2))
    assert (first.usage.cached_tokens, second.usage.cached_tokens > 1000) == (0, True)
    assert first.usage.prompt_tokens == second.usage.prompt_tokens
    price = litellm_prices(PROTOCOLS[protocol][1].removeprefix("openai/"))
    saved = price["input_cost_per_token"] - (price.get("cache_read_input_token_cost") or price["input_cost_per_token"])
    assert first.cost is not None and second.cost is not None
    assert first.cost - second.cost == pytest.approx(second.usage.cached_tokens * saved)


PARTS = [
    {"type": "thinking", "thinking": [{"type": "text", "text": "hm, "}, {"type": "text", "text": "sparsity"}]},
    {"type": "text", "text": "The "},
    {"type": "text", "text": "plan."},
]


@pytest.mark.parametrize(
    "content, text, reasoning",
    [
        (PARTS, "The plan.", "hm, sparsity"),
        ([{"type": "text", "text": "The plan."}], "The plan.", ""),
        ([{"text": "The plan."}], "The plan.", ""),
        (["The ", "plan."], "The plan.", ""),
        ([{"type": "reasoning", "text": "hm"}, {"type": "output_text", "text": "The plan."}], "The plan.", "hm"),
        ([{"type": "reasoning", "summary": [{"type": "summary_text", "text": "hm"}]}, "The plan."], "The plan.", "hm"),
        ([{"type": "thinking", "thinking": "hm"}], "", "hm"),
        ([{"type": "text", "text": "The plan."}, {"type": "image_url", "image_url": {}}], "The plan.", ""),
        ([], "", ""),
    ],
)
def test_content_in_parts(content, text, reasoning):
    assert wire_bodies.split_parts(content) == (text, reasoning)
    message = {"role": "assistant", "content": content}
    for streams in (True, False):
        with StrictServer([], [faults.raw_events(message, "stop", "parts")]) as server:
            outcome = ask(model_that(server, "openai", streams))
        assert (outcome.good.text, outcome.good.reasoning) == (text, reasoning)
        assert outcome.failures == []


@streamed_or_whole
def test_a_blocked_prompt_is_a_reply_that_the_filter_ended(streams):
    def play(exchange: Exchange) -> None:
        body = blocked_prompt()
        if not exchange.streaming:
            exchange.send(200, body)
            return
        exchange.start_stream()
        exchange.event(exchange.server.framed(to_json(body)))
        exchange.end_stream()

    with serve("gemini", [], [play]) as server:
        reply = ask(model_that(server, "gemini", streams)).good
    assert (reply.text, reply.finish_reason) == ("", "content_filter")


def test_a_response_that_failed_is_asked_for_again():
    def play(exchange: Exchange) -> None:
        exchange.start_stream()
        exchange.event(exchange.server.framed(to_json(responses_strict.failed("the engine died"))))
        exchange.end_stream()

    with ResponsesServer(["fine"], [play]) as server:
        outcome = ask(model_at(server, "responses"))
    assert outcome.good.text == "fine"
    assert [failure.kind for failure in outcome.failures] == ["stream_error"]
    assert "the engine died" in outcome.failures[0].message


@pytest.mark.parametrize("has_length", [True, False])
def test_a_model_that_cannot_stream_is_asked_whole_so_that_its_end_is_known(has_length):
    """litellm would cut the whole answer into a stream of its own, which always ends with stop."""
    answer = Answer("Half of the", finish_reason="length")

    def in_chunks(exchange: Exchange) -> None:
        exchange.server.stream_type = "application/json"
        exchange.start_stream()
        exchange.event(to_json(exchange.server.whole(answer, exchange.request)))
        exchange.end_stream()

    with ResponsesServer([answer], [None if has_length else in_chunks]) as server:
        model = open_model("openai/gpt-5-pro", api_base=server.url, retry=QUICK, timeouts=PATIENT)
        reply = ask(model).good
    assert (reply.text, reply.finish_reason) == ("Half of the", "length")
    assert "stream" not in (server.requests[0].body or {})
    assert reply.cost is not None and reply.cost > 0


def test_think_tags_in_the_text_of_ollama_stay():
    text = "say <think>this</think> and </think>"
    with serve("ollama", [Answer(text, reasoning="hm")]) as server:
        reply = ask(model_at(server, "ollama")).good
    assert reply.reasoning == "hm"
    assert reply.text == text


@pytest.mark.parametrize("word", ["stop", "STOP", "end_turn", "stop_sequence", "eos", "COMPLETE", "completed", None])
def test_normal_ends(word):
    assert wire_bodies.ended_normally(word)


@pytest.mark.parametrize("word", ["length", "content_filter", "SAFETY", "refusal", "pause_turn", "tool_calls", "", "x"])
def test_any_other_end_is_none(word):
    assert not wire_bodies.ended_normally(word)


@pytest.mark.parametrize("name", ["ollama/llama3.1", "ollama_chat/llama3.1"])
def test_ollama_gets_a_conversation_under_both_of_its_names(name):
    with serve("ollama", ["The plan."]) as server:
        model = open_model(name, api_base=server.url, retry=QUICK, timeouts=PATIENT)
        assert ask(model, TALK).good.text == "The plan."
    assert model.name == name
    assert server.requests[0].messages == [{"role": m.role, "content": m.content} for m in TALK]
