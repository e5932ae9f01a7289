"""How a failed call is named, worded and waited out."""

from __future__ import annotations

import email.utils
import socket
import time
from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ai_sci.agent.models.adapter import open_model
from ai_sci.agent.models.connections import HttpTrace
from ai_sci.agent.models.errors import explain, one_line
from ai_sci.agent.models.reply import Usage
from ai_sci.agent.models.retrying import RetryPolicy
from tests.agent.models.calls import PATIENT, QUICK, Outcome, ask, every_protocol, model_at, serve
from tests.servers import faults
from tests.servers.loopback import LoopbackServer
from tests.servers.openai_strict import StrictServer

CONTEXT_WINDOW = [
    (400, "This model's maximum context length is 65536 tokens. However, you requested 70000 tokens."),
    (400, "context_length_exceeded"),
    (400, "Input tokens exceed the configured limit of 272000 tokens."),
    (400, "You passed 1015 input tokens. However, the model's context length is only 1024 tokens."),
    (400, "the request exceeds the available context size. try increasing the context size or enable context shift"),
    (500, "the request exceeds the available context size, try increasing it"),
    (400, "Requested tokens (2285) exceed context window of 2048"),
    (400, "The input (9000 tokens) is longer than the model's context length (8192 tokens)."),
    (400, "prompt is too long: 210000 tokens > 200000 maximum"),
    (413, "Prompt is too long"),
    (422, "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096"),
    (400, "The input token count (1100000) exceeds the maximum number of tokens allowed (1048576)."),
    (400, "input length exceeds the context length"),
    (400, "Trying to keep the first 9000 tokens when context the overflows. However, the model is loaded with context "
          "length of only 4096 tokens, which is not enough. context overflow"),
    (400, "Input is too long for requested model."),
    (400, "Please reduce the length of the messages or completion."),
    (400, "This model's maximum prompt length is 131072 but the request contains 131100 tokens."),
]  # fmt: skip


@pytest.mark.parametrize("status, words", CONTEXT_WINDOW)
def test_a_full_context_window_is_recognised_in_every_servers_words(status, words):
    with StrictServer(["never given"], [faults.status(status, words)] * 3) as server:
        outcome = ask(model_at(server))
    assert outcome.kind == "context_window"
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "status, words, kind",
    [
        (400, "max_tokens must be at least 1", "bad_request"),
        (400, "Unknown parameter: context", "bad_request"),
        (429, "Too large on tokens per min: Limit 30000. Please reduce the length of the messages", "rate_limited"),
        (404, "The model `maximum context length` does not exist", "not_found"),
        (400, "Your credit balance is too low to access the API", "payment"),
        (402, "Insufficient Balance", "payment"),
        (429, "You exceeded your current quota, please check your plan (limit per minute)", "rate_limited"),
    ],
)  # fmt: skip
def test_words_that_only_look_like_it(status, words, kind):
    with StrictServer(["never given"], [faults.status(status, words)] * 9) as server:
        assert ask(model_at(server)).kind == kind


def test_no_credit_is_not_waited_for():
    with StrictServer([], [faults.status(429, "You exceeded it", error_code="insufficient_quota")]) as server:
        assert ask(model_at(server)).kind == "payment"
    assert len(server.requests) == 1


def http_date(seconds: float) -> str:
    return email.utils.formatdate(time.time() + seconds, usegmt=True)


def waited(server: LoopbackServer, outcome: Outcome) -> float:
    """Seconds that the adapter said it would wait before its second try, and did at least."""
    promised = outcome.failures[0].retry_in
    assert promised is not None
    assert promised <= server.requests[1].seconds - server.requests[0].seconds
    return promised


@pytest.mark.parametrize("seconds, least, most", [(1, 1.0, 1.01), (0.3, 0.3, 0.31), ("date", 0.1, 4.01)])
def test_retry_after_is_honoured(seconds, least, most):
    fault = faults.status(429, headers={"Retry-After": http_date(4) if seconds == "date" else str(seconds)})
    with StrictServer(["fine"], [fault]) as server:
        outcome = ask(model_at(server))
    assert outcome.good.text == "fine"
    assert least <= waited(server, outcome) <= most


FAR_DATES = ["Thu, 31 Dec 2099 23:59:59 GMT", "Mon, 01 Jan 2001 00:00:00 GMT"]


@pytest.mark.parametrize("value", ["0", "-5", "soon", "nan", "inf", "", "9999999", *FAR_DATES])
def test_a_retry_after_beyond_reason_is_not(value):
    with StrictServer(["fine"], [faults.status(429, headers={"Retry-After": value})]) as server:
        outcome = ask(model_at(server))
    assert outcome.good.text == "fine"
    assert waited(server, outcome) <= 0.21


def test_openais_retry_after_in_milliseconds():
    header = {"retry-after-ms": "400", "Retry-After": "30"}
    with StrictServer(["fine"], [faults.status(429, headers=header)]) as server:
        outcome = ask(model_at(server))
    assert outcome.good.text == "fine"
    assert waited(server, outcome) == pytest.approx(0.4, abs=0.01)


@pytest.mark.parametrize("protocol", ["deepseek", "anthropic"])
def test_retry_after_is_honoured_by_every_protocol(protocol):
    from tests.agent.models.calls import PROTOCOLS

    with PROTOCOLS[protocol][0](["fine"], [faults.status(529, headers={"Retry-After": "0.5"})]) as server:
        outcome = ask(model_at(server, protocol))
    assert outcome.good.text == "fine"
    assert waited(server, outcome) == pytest.approx(0.5, abs=0.01)


def test_waits_grow_with_jitter_up_to_a_limit():
    policy = RetryPolicy(first_wait=2.0, max_wait=60.0)
    failure = explain(TimeoutError(), HttpTrace(status=500))
    waits = [[policy.wait(failure, failures) for _ in range(200)] for failures in range(1, 9)]
    for failures, many in enumerate(waits):
        middle = min(60.0, 2.0 * 2**failures)
        assert 0.75 * middle <= min(many) < max(many) <= 1.25 * middle
        assert max(many) - min(many) > 0.2 * middle


def test_the_time_for_all_tries_together_is_limited():
    with StrictServer([], [faults.status(500)] * 9) as server:
        outcome = ask(model_at(server, retry=RetryPolicy(tries=9, first_wait=0.5, max_wait=0.5, total=2.0)))
    assert outcome.kind == "server_error"
    assert 2 <= len(server.requests) <= 5


def test_nothing_listening_is_said_after_three_tries_with_the_address():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/v1"
        outcome = ask(open_model("openai/any", api_base=url, retry=replace(QUICK, tries=8)))
    assert outcome.kind == "connection"
    assert len(outcome.failures) == 3
    assert url in outcome.line


@pytest.mark.parametrize("name", ["deepseek/deepseek-reasoner", "anthropic/claude-sonnet-4-5"])
def test_a_host_without_an_address_is_a_connection_failure(name):
    outcome = ask(open_model(name, api_base="http://host.invalid", retry=QUICK))
    assert outcome.kind == "connection"
    assert "no connection to the server" in outcome.line


def test_a_server_that_was_reached_once_gets_all_tries():
    with StrictServer(["fine"]) as server:
        model = model_at(server)
        assert ask(model).good.text == "fine"
    outcome = ask(model)
    assert outcome.kind in ("connection", "cut")
    assert len(outcome.failures) == QUICK.tries


def test_a_refused_key_names_the_variable_and_hides_the_key(monkeypatch):
    monkeypatch.setenv("DEEPSEEK_API_KEY", "sk-very-secret-key")
    from tests.servers.deepseek_strict import DeepSeekServer

    with DeepSeekServer([], [faults.status(401, "Your api key: sk-very-secret-key is invalid")]) as server:
        outcome = ask(model_at(server, "deepseek"))
    assert "check DEEPSEEK_API_KEY" in outcome.line
    assert "sk-very-secret-key" not in outcome.line + outcome.failures[0].message


def test_keyboard_interrupt_in_the_middle_of_a_stream_passes_at_once():
    model = None

    def interrupt(_: str) -> None:
        raise KeyboardInterrupt

    with StrictServer(["some text"] * 3) as server:
        model = model_at(server)
        with pytest.raises(KeyboardInterrupt):
            model.complete([_hello()], turn=0, on_delta=interrupt, on_failure=lambda _: None)
        assert len(server.requests) == 1


def test_an_error_of_the_caller_is_not_taken_for_one_of_the_server():
    def broken(_: str) -> None:
        raise ValueError("a bug in the screen")

    with StrictServer(["some text"] * 3) as server, pytest.raises(ValueError, match="a bug in the screen"):
        model_at(server).complete([_hello()], turn=0, on_delta=broken, on_failure=lambda _: None)
    assert len(server.requests) == 1


def test_an_error_that_nothing_explains_is_fatal_and_says_its_type():
    error = explain(AttributeError("'NoneType' object has no attribute 'x'"), HttpTrace())
    assert (error.failure.kind, error.retry) == ("internal", False)
    assert "AttributeError" in error.failure.message


@pytest.mark.parametrize(
    "text, line",
    [
        ('{"error": {"message": "no such model", "code": "model_not_found"}}', "no such model [model_not_found]"),
        ('{"error": "plain words"}', "plain words"),
        ('{"detail": [{"loc": ["body"], "msg": "field required"}]}', "field required"),
        ('[{"error": {"code": 400, "message": "bad"}}]', "bad"),
        ("<html><head><style>x{}</style></head><body><h1>502</h1>Bad  Gateway</body></html>", "502 Bad Gateway"),
        ("litellm.APIError: APIError: OpenAIException - Error code: 402 - {'error'", "Error code: 402 - {'error'"),
        ("oops Traceback (most recent call last): File x", "oops"),
        ("", ""),
    ],
)
def test_the_words_in_an_error_body(text, line):
    assert one_line(text) == line


@given(st.text() | st.from_regex(r'\{"error": .{0,80}', fullmatch=True))
@example('{"error": ' * 2000)
def test_any_error_body_gives_one_short_line(text):
    line = one_line(text)
    assert len(line) <= 300
    assert len(line.splitlines()) <= 1


@given(st.integers(400, 599), st.text(max_size=200), st.dictionaries(st.text(max_size=12), st.text(max_size=12)))
def test_any_http_error_gets_a_name(status, body, headers):
    error = explain(RuntimeError("x"), HttpTrace(1, status, headers, body))
    assert error.failure.status == status
    assert error.failure.kind and error.failure.message
    if status in (401, 403, 404):
        assert not error.retry


def _hello():
    from tests.agent.models.calls import HELLO

    return HELLO[0]


@pytest.mark.parametrize(
    "code, words, kind, told",
    [
        (502, "Provider returned error", "stream_error", "Provider returned error"),
        ("null", "Provider returned error", "stream_error", "Provider returned error"),
        (402, "Insufficient credits", "payment", "Insufficient credits"),
        (400, "This model's maximum context length is 8192 tokens", "context_window", "8192"),
    ],
)
def test_an_error_in_an_answer_of_http_200_is_read(code, words, kind, told):
    """As some routers send it: neither a stream nor a reply, and its words say why."""
    body = f'{{"error": {{"message": "{words}", "code": {code}}}}}'.encode()
    with StrictServer(["never given"], [faults.status(200, body=body)] * 9) as server:
        outcome = ask(model_at(server))
    assert outcome.kind == kind
    assert told in outcome.line


def test_a_redirect_without_end_is_said_at_once():
    with StrictServer(["never given"], [faults.redirect()] * 99) as server:
        outcome = ask(model_at(server))
    assert len(outcome.failures) == 1
    assert "redirects every request" in outcome.line


@every_protocol
@pytest.mark.parametrize(
    "fault",
    [faults.cut_stream(6), faults.stream_error(6, 429), faults.stalled_stream(6, 3.0)],
    ids=["cut", "an error with a status in the stream", "stalled"],
)
def test_a_try_that_breaks_off_may_be_charged_for_what_was_sent_and_received(protocol, fault):
    with serve(protocol, ["good"], [fault]) as server:
        outcome = ask(model_at(server, protocol, timeouts=replace(PATIENT, between_tokens=1.0)))
    usage = outcome.failures[0].usage
    assert usage.prompt_tokens > 3 and usage.completion_tokens > 10


@every_protocol
def test_what_the_server_refused_is_not_charged(protocol):
    refusals = [faults.status(429), faults.status(503), faults.status(401)]
    with serve(protocol, ["good"], refusals) as server:
        failures = ask(model_at(server, protocol)).failures
    assert [one.status for one in failures] == [429, 503, 401]
    failures += ask(open_model("openai/strict-model", api_base="http://127.0.0.1:9/v1", retry=QUICK)).failures
    assert failures[-1].kind == "connection"
    assert all(one.usage == Usage() and one.cost == 0.0 for one in failures)


@pytest.mark.parametrize("fault", [faults.hang_up(), faults.html(), faults.status(504)])
def test_what_was_sent_and_never_answered_may_be_charged_for_the_prompt(fault):
    with StrictServer(["good"], [fault]) as server:
        [failure] = ask(model_at(server)).failures
    assert failure.usage.prompt_tokens > 3 and failure.usage.completion_tokens == 0
