"""What reaches the servers, byte for byte, and what they report of it: keys, prefix caching, usage, cost."""

from __future__ import annotations

import json
import urllib.error
import urllib.request

import pytest

from ai_sci.agent.journal.conversation import Message
from tests.agent.models.calls import HELLO, PROTOCOLS, TALK, ask, every_protocol, model_at, serve
from tests.servers import faults
from tests.servers.answers import Answer, tokens
from tests.servers.loopback import Exchange, LoopbackServer, to_json
from tests.servers.openai_strict import StrictServer, prompt_text


@every_protocol
def test_nothing_but_the_conversation_is_sent(protocol):
    with serve(protocol, ["one", "two"]) as server:
        ask(model_at(server, protocol), TALK)
        ask(model_at(server, protocol), [Message("system", "Be brief."), *TALK])
    allowed = {
        "anthropic": {"model", "messages", "stream", "max_tokens", "system"},
        "gemini": {"contents", "system_instruction"},
        "ollama": {"model", "messages", "stream", "options"},
        "responses": {"model", "input", "instructions", "stream"},
    }
    for request in server.requests:
        assert set(request.body or {}) <= allowed.get(protocol, {"model", "messages", "stream", "stream_options"})
        assert all(set(message) == {"role", "content"} for message in request.messages)
    assert server.bad_requests == []
    assert [request.status for request in server.requests] == [200, 200]


def test_deepseek_gets_the_very_text_and_its_own_usage_is_kept():
    """litellm 1.81 drops the usage of a DeepSeek stream; what the cache saved would be lost with it."""
    long = [Message("user", "x" * 4000), Message("assistant", "yes"), Message("user", "y" * 400)]
    with serve("deepseek", ["one", Answer("two", reasoning="because")]) as server:
        model = model_at(server, "deepseek")
        first, second = ask(model, long[:1]).good, ask(model, long).good
    assert server.requests[1].messages == [{"role": m.role, "content": m.content} for m in long]
    assert first.usage.prompt_tokens == tokens(prompt_text(server.requests[0]))
    assert first.usage.cached_tokens == 0
    assert second.usage.cached_tokens > 900
    price = litellm_prices("deepseek/deepseek-reasoner")
    fresh = second.usage.prompt_tokens - second.usage.cached_tokens
    assert second.cost == pytest.approx(
        fresh * price["input_cost_per_token"]
        + second.usage.cached_tokens * price["cache_read_input_token_cost"]
        + second.usage.completion_tokens * price["output_cost_per_token"]
    )


def test_anthropic_caches_the_prefix_from_call_to_call():
    conversation = [Message("user", "The task. " * 500)]
    with serve("anthropic", [f"reply {i}" for i in range(4)]) as server:
        model = model_at(server, "anthropic")
        replies = []
        for turn in range(4):
            replies.append(ask(model, conversation, turn).good)
            conversation += [Message("assistant", replies[-1].text), Message("user", f"Result {turn}. " * 100)]
    for request in server.requests:
        marked = [i for i, m in enumerate(request.messages) if any("cache_control" in part for part in m["content"])]
        assert marked == sorted({0, len(request.messages) - 1})
    for earlier, later in zip(replies, replies[1:], strict=False):
        # Everything that was sent before is read from the cache; only the new part is written.
        assert later.usage.cached_tokens >= earlier.usage.prompt_tokens - 1
        assert later.usage.prompt_tokens > later.usage.cached_tokens
    price = litellm_prices("claude-sonnet-4-5")
    last = replies[-1]
    written = last.usage.prompt_tokens - last.usage.cached_tokens
    assert last.cost == pytest.approx(
        written * price["cache_creation_input_token_cost"]
        + last.usage.cached_tokens * price["cache_read_input_token_cost"]
        + last.usage.completion_tokens * price["output_cost_per_token"],
        rel=0.01,
    )


@pytest.mark.parametrize("protocol, sent", [("anthropic", 32_000), ("openai", None), ("deepseek", None)])
def test_only_anthropic_gets_max_tokens(protocol, sent):
    with serve(protocol, ["fine"]) as server:
        ask(model_at(server, protocol))
    assert (server.requests[0].body or {}).get("max_tokens") == sent


@every_protocol
@pytest.mark.parametrize(
    "messages",
    [
        [("user", "one"), ("user", "two")],
        [("user", "one"), ("assistant", "two")],
        [("assistant", "one"), ("user", "two")],
        [("user", "one"), ("assistant", ""), ("user", "two")],
        [("user", "   ")],
        [],
    ],
    ids=["twice user", "last assistant", "first assistant", "empty", "blank", "none"],
)
def test_the_servers_refuse_bad_conversations_on_raw_http(protocol, messages):
    """Otherwise all tests that count bad requests would mean nothing."""
    body = {"messages": [{"role": role, "content": content} for role, content in messages]}
    with serve(protocol, ["never given"]) as server:
        assert post(server, protocol, body) == 400
        assert len(server.bad_requests) == 1


@every_protocol
def test_the_servers_refuse_extra_keys_and_take_a_good_request(protocol):
    good = {"messages": [{"role": "user", "content": "hello"}]}
    with serve(protocol, ["hello"]) as server:
        assert post(server, protocol, {"messages": [{**good["messages"][0], "reasoning_content": "hm"}]}) == 400
        assert post(server, protocol, {**good, "temperature": 0}) == 400
        assert post(server, protocol, good) == 200


def test_a_server_without_usage_has_its_tokens_counted():
    with StrictServer(["four words of reply"], usage=False) as server:
        usage = ask(model_at(server)).good.usage
    assert 5 <= usage.prompt_tokens <= 20
    assert 3 <= usage.completion_tokens <= 6


def test_a_server_that_refuses_stream_options_is_asked_without():
    with StrictServer(["one", "two"], stream_options=False) as server:
        model = model_at(server)
        outcomes = [ask(model), ask(model)]
    assert [outcome.good.text for outcome in outcomes] == ["one", "two"]
    assert [request.status for request in server.requests] == [400, 200, 200]
    assert len(outcomes[0].failures) == 1 and outcomes[1].failures == []


@every_protocol
def test_a_whole_reply_is_taken_although_a_stream_was_asked_for(protocol):
    def whole(exchange: Exchange) -> None:
        exchange.streaming = False
        exchange.give(Answer("all at once"))

    with serve(protocol, [], [whole] * 2) as server:
        model = model_at(server, protocol)
        outcomes = [ask(model) for _ in range(2)]
    assert [outcome.good.text for outcome in outcomes] == ["all at once"] * 2
    assert [outcome.good.finish_reason for outcome in outcomes] == ["stop"] * 2
    assert [outcome.failures for outcome in outcomes] == [[], []]
    usage = outcomes[0].good.usage
    assert usage.prompt_tokens == tokens(f"<user>{HELLO[0].content}")
    assert usage.completion_tokens == tokens("all at once")


def test_a_server_that_ignores_stream_is_asked_for_the_whole_reply():
    def whole_without_a_length(exchange: Exchange) -> None:
        exchange.start_stream()
        exchange.event(to_json(exchange.server.whole(Answer("all at once"), exchange.request)))
        exchange.end_stream()

    def answer(exchange: Exchange) -> None:
        whole_without_a_length(exchange) if exchange.streaming else exchange.give(Answer("all at once"))

    with StrictServer([], [answer] * 8) as server:
        model = model_at(server)
        outcomes = [ask(model) for _ in range(4)]
    assert [outcome.good.text for outcome in outcomes] == ["all at once"] * 4
    assert [len(outcome.failures) for outcome in outcomes] == [1, 1, 0, 0]  # two calls to be sure, then no more


def test_the_failure_in_a_stream_decides_by_its_own_code():
    full = faults.stream_error(code=400, message="This model's maximum context length is 4096 tokens")
    with StrictServer(["never given"], [full]) as server:
        assert ask(model_at(server)).kind == "context_window"


PATHS = {
    "anthropic": "/v1/messages",
    "gemini": "/models/gemini-2.5-pro:generateContent",
    "ollama": "/api/chat",
    "responses": "/responses",
}
KEYS = {
    "Authorization": "Bearer key",
    "x-api-key": "key",
    "anthropic-version": "2023-06-01",
    "x-goog-api-key": "key",
}


def post(server: LoopbackServer, protocol: str, body: dict) -> int:
    """The status for a request in OpenAI's words, translated into the protocol's."""
    body = {"model": PROTOCOLS[protocol][1].split("/")[1], **body}
    if protocol == "anthropic":
        body["max_tokens"] = 10
    if protocol == "gemini":
        del body["model"]
        body["contents"] = [
            {"role": {"assistant": "model"}.get(role, role), "parts": [{"text": content}], **others}
            for role, content, others in map(_parts_of, body.pop("messages"))
        ]
    if protocol == "responses":
        body["input"] = body.pop("messages")
    headers = {"Content-Type": "application/json", **KEYS}
    url = server.url + PATHS.get(protocol, "/chat/completions")
    request = urllib.request.Request(url, json.dumps(body).encode(), headers, method="POST")
    try:
        with urllib.request.urlopen(request, timeout=5) as response:
            return response.status
    except urllib.error.HTTPError as error:
        return error.code


def _parts_of(message: dict) -> tuple[str, str, dict]:
    others = {key: value for key, value in message.items() if key not in ("role", "content")}
    return message["role"], message["content"], others


def litellm_prices(key: str) -> dict[str, float]:
    from ai_sci.agent.models.litellm_setup import load

    return load().model_cost[key]
