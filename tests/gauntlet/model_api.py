"""Errors of the model's server and of the way to it. Each meets the request for run 2, when run 1 is accepted."""

from __future__ import annotations

from collections.abc import Sequence

from tests.gauntlet.case import Case, Ends
from tests.gauntlet.stage import Stage
from tests.servers import faults
from tests.servers.answers import tokens
from tests.servers.anthropic_strict import AnthropicServer
from tests.servers.deepseek_strict import DeepSeekServer
from tests.servers.loopback import Fault, LoopbackServer, Recorded
from tests.servers.openai_strict import StrictServer, prompt_text

TRIES = 8  # of one call, before the session stops
HTML = b"<html><head><title>502 Bad Gateway</title></head><body><center>nginx</center></body></html>"
IMPATIENT = {"AI_SCI_STALL_TIMEOUT": "3"}


def passes(
    name: str,
    fault: Fault,
    verdict: str = "",
    says: str = "",
    server: type[LoopbackServer] = StrictServer,
    **more,
) -> Case:
    """One such fault is got over: the session goes on to its end by itself."""
    verdicts = (verdict,) if verdict else ()
    return Case(name, server=server, faults=[None, fault], verdicts=verdicts, says=says, **more)


def stops(
    name: str,
    fault: Fault | Sequence[Fault],
    verdict: str,
    says: str,
    server: type[LoopbackServer] = StrictServer,
    **more,
) -> Case:
    """The session stops with what it has; when the fault is mended, resume goes on to the end."""
    many = [fault] if callable(fault) else list(fault)
    return Case(
        name,
        server=server,
        faults=[None, *many],
        verdicts=(verdict,) * len(many),
        status="model_unavailable",
        accepted=1,
        says=says,
        resumed=Ends(),
        **more,
    )


class SmallWindow(StrictServer):
    """A server whose window holds run 1 and little more, counted in the test servers' tokens."""

    window = 2400

    def refuse(self, request: Recorded) -> tuple[int, str] | None:
        count = tokens(prompt_text(request))
        if count > self.window:
            return 400, f"the request exceeds the available context size: {count} tokens, n_ctx {self.window}"
        return super().refuse(request)


def too_long(
    name: str, words: str, status: int = 400, server: type[LoopbackServer] = StrictServer, code: str = "", **more
) -> Case:
    """Once the conversation is too long for the model, in the words of some server: it is rebuilt shorter."""
    fault = faults.status(status, words, error_code=code or None)
    return passes(f"context window: {name}", fault, "context_window", "longer than the model's", server, **more)


STATUSES = [
    stops(
        "400 unknown parameter",
        faults.status(400, "Unknown parameter: foo"),
        "bad_request",
        "HTTP 400.*foo",
    ),
    stops("400 in plain text", faults.status(400, body=b"Bad Request"), "bad_request", "HTTP 400.*Bad Request"),
    stops("400 without a body", faults.status(400, body=b""), "bad_request", "HTTP 400"),
    stops(
        "400 in a list", faults.status(400, body=b'[{"error": {"message": "bad model"}}]'), "bad_request", "bad model"
    ),
    stops(
        "400 roles must alternate",
        faults.status(400, "roles must alternate user/assistant"),
        "bad_request",
        "alternate",
    ),
    stops(
        "400 content policy",
        faults.status(400, "flagged", error_code="content_policy_violation"),
        "bad_request",
        "flagged",
    ),
    passes(
        "400 no usage in a stream", faults.status(400, "unknown parameter: stream_options"), "bad_request", "at once"
    ),
    passes("400 no streaming", faults.status(400, "streaming is not supported"), "bad_request", "at once"),
    stops("401", faults.status(401, "Incorrect API key"), "auth", r"HTTP 401 .*OPENAI_API_KEY", quick=True),
    stops(
        "402",
        faults.status(402, "Insufficient Balance"),
        "payment",
        "HTTP 402.*cannot pay",
        server=DeepSeekServer,
    ),
    stops("403", faults.status(403, "Country not supported"), "auth", "HTTP 403"),
    stops("404", faults.status(404, "The model does not exist"), "not_found", "HTTP 404"),
    passes("408", faults.status(408), "timeout", "HTTP 408.*try 2 of 8"),
    passes("409", faults.status(409), "conflict", "HTTP 409"),
    stops(
        "422",
        faults.status(422, body=b'{"detail": [{"loc": ["body"], "msg": "field required"}]}'),
        "bad_request",
        "field required",
    ),
    passes("429 without Retry-After", faults.status(429), "rate_limited", "HTTP 429.*try 2 of 8", quick=True),
    passes(
        "429 with Retry-After in seconds",
        faults.status(429, headers={"Retry-After": "1"}),
        "rate_limited",
        r"in 1\.\d s",
    ),
    passes("429 with Retry-After as a date", faults.retry_at(2.5), "rate_limited", r"in [12]\.\d s"),
    passes(
        "429 with Retry-After in words",
        faults.status(429, headers={"Retry-After": "soon"}),
        "rate_limited",
        "at once|in 0",
    ),
    stops(
        "429 no credit",
        faults.status(429, "You exceeded it", error_code="insufficient_quota"),
        "payment",
        "cannot pay",
    ),
    stops("429 without end", [faults.status(429)] * TRIES, "rate_limited", "HTTP 429.*no further try"),
    passes("500", faults.status(500), "server_error", "HTTP 500", quick=True),
    stops("500 without end", [faults.status(500)] * TRIES, "server_error", "HTTP 500.*no further try"),
    passes("501", faults.status(501), "server_error", "HTTP 501"),
    passes("502 in HTML", faults.status(502, body=HTML), "server_error", "HTTP 502.*502 Bad Gateway"),
    passes("503", faults.status(503), "server_error", "HTTP 503"),
    passes("503 at DeepSeek", faults.status(503), "server_error", "HTTP 503", server=DeepSeekServer),
    passes("504 without a body", faults.status(504, body=b""), "server_error", "HTTP 504"),
    passes(
        "529 at Anthropic",
        faults.status(529, "Overloaded"),
        "server_error",
        "HTTP 529.*Overloaded",
        server=AnthropicServer,
    ),
    stops(
        "401 at Anthropic",
        faults.status(401, "invalid x-api-key"),
        "auth",
        "HTTP 401.*ANTHROPIC_API_KEY",
        server=AnthropicServer,
    ),
    stops(
        "400 no credit at Anthropic",
        faults.status(400, "Your credit balance is too low to access the Anthropic API."),
        "payment",
        "cannot pay",
        server=AnthropicServer,
    ),
    Case(
        "redirected without end",
        server=StrictServer,
        faults=[None, *[faults.redirect()] * 21],  # one more than httpx follows
        verdicts=("not_found",),
        status="model_unavailable",
        accepted=1,
        says="redirects every request",
        resumed=Ends(),
    ),
]

OPENAI = "This model's maximum context length is 8192 tokens. However, your messages resulted in 9001 tokens."
VLLM = "You passed 9001 input tokens. However, the model's context length is only 8192 tokens."
LLAMA_CPP = "the request exceeds the available context size (8192 tokens), try increasing it"
DEEPSEEK = "This model's maximum context length is 65536 tokens. However, you requested 70000 tokens."

WINDOWS = [
    too_long("OpenAI", OPENAI, code="context_length_exceeded", quick=True),
    too_long("vLLM", VLLM),
    too_long("llama.cpp", LLAMA_CPP),
    too_long("llama.cpp, as 500", LLAMA_CPP, 500),
    too_long("Anthropic", "prompt is too long: 210000 tokens > 200000 maximum", server=AnthropicServer),
    too_long("DeepSeek", DEEPSEEK, server=DeepSeekServer),
    too_long("Ollama", "input length exceeds the context length"),
    too_long("as 413", "Prompt is too long", 413),
    passes("413", faults.status(413, body=b"Payload Too Large"), "too_large", "HTTP 413"),
    stops("413 for the rebuilt conversation too", [faults.status(413)] * 2, "too_large", "larger window"),
    Case(
        "context window: of a small server",
        server=SmallWindow,
        verdicts=("context_window",),
        says="n_ctx 2400",
        refused_requests=1,
    ),
    Case(
        "context window: too small for the task",
        server=StrictServer,
        faults=[None, *[faults.status(400, OPENAI)] * 3],
        verdicts=("context_window",) * 2,
        status="model_unavailable",
        accepted=1,
        says="the task and the code alone are too long",
        resumed=Ends("model_unavailable", 1, ("context_window",)),
    ),
]

CONNECTION = [
    Case(
        "connection refused",
        server=StrictServer,
        faults=[None, faults.stop_listening()],
        verdicts=("cut", *["connection"] * (TRIES - 1)),
        status="model_unavailable",
        accepted=1,
        says="no connection to the server.*is a server running at",
        mend=lambda stage: listen(stage),
        resumed=Ends(),
        quick=True,
    ),
    passes("reset before an answer", faults.reset(), "cut", "connection broke"),
    passes("reset in the middle", faults.cut_stream(rudely=True), "cut", "connection broke", quick=True),
    passes("reset in the middle at Anthropic", faults.cut_stream(5, rudely=True), "cut", "", server=AnthropicServer),
    passes("hung up without an answer", faults.hang_up(), "cut", "hung up"),
    passes("stream cut", faults.cut_stream(), "cut", "connection broke"),
    passes(
        "stream ends in the middle of the reply", faults.cut_stream(politely=True), "cut", "in the middle of the reply"
    ),
    passes("stream cut at DeepSeek", faults.cut_stream(), "cut", "", server=DeepSeekServer),
    passes(
        "stream without an end at Anthropic",
        faults.cut_stream(6, politely=True),
        "cut",
        "middle of the reply",
        server=AnthropicServer,
    ),
    passes("no answer at all", faults.stalled_stream(0), "timeout", "no reply has begun for 3 s", env=IMPATIENT),
    passes("stream that stalls", faults.stalled_stream(), "timeout", "stalled", env=IMPATIENT, quick=True),
    passes(
        "stream that stalls at Anthropic",
        faults.stalled_stream(6),
        "timeout",
        "stalled",
        server=AnthropicServer,
        env=IMPATIENT,
    ),
    passes(
        "stream of comments only",
        faults.stalled_stream(keep_alive=0.2),
        "timeout",
        "stalled",
        server=DeepSeekServer,
        env=IMPATIENT,
    ),
    passes("fewer bytes than announced", faults.short_body(), "cut"),
]


def listen(stage: Stage) -> None:
    assert stage.server is not None
    stage.server.listen()


CASES: list[Case] = [
    *(
        Case(f"no fault, {name}", server=server)
        for name, server in [("OpenAI", StrictServer), ("DeepSeek", DeepSeekServer), ("Anthropic", AnthropicServer)]
    ),
    *STATUSES,
    *WINDOWS,
    *CONNECTION,
]
