"""Limits of the model's server, what is in the way to it, and what keeps a request from leaving at all."""

from __future__ import annotations

import importlib.util
import json
import time
from collections.abc import Callable
from typing import Any

from tests.gauntlet.case import Case, Ends, Hook
from tests.gauntlet.model_api import HTML, TRIES, passes, stops
from tests.gauntlet.stage import Seen, Stage
from tests.gauntlet.story import ENDING, FIRST, SECOND
from tests.servers import faults
from tests.servers.anthropic_strict import AnthropicServer
from tests.servers.loopback import Exchange, Fault
from tests.servers.miscounting import CuttingOllama, CuttingServer, TinyWindow, UncachedOnlyServer
from tests.servers.openai_strict import StrictServer

FIVE_HOURS = r"takes requests again at [\d :-]+ \(in (5h|4h59m)\): resume then, or with --wait [56]h"


def resets_at(seconds: float) -> Fault:
    """429 with the time when the limit, which is used up, is reset: in seconds since 1970."""

    def play(exchange: Exchange) -> None:
        headers = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(round(time.time() + seconds))}
        exchange.send(429, exchange.server.error(429, "come back later"), headers)

    return play


LIMITS = [
    passes("403 of a rate limit", faults.status(403, "Rate limit exceeded"), "rate_limited", "HTTP 403", quick=True),
    passes("403 of a quota", faults.status(403, "Quota exceeded for requests per minute"), "rate_limited", "HTTP 403"),
    passes(
        "403 of a limit at Anthropic",
        faults.status(403, "You have reached your request limit"),
        "rate_limited",
        "HTTP 403",
        server=AnthropicServer,
    ),
    stops("403 no credit", faults.status(403, "no more", error_code="insufficient_user_quota"), "payment", "HTTP 403"),
    stops("403 budget used up", faults.status(403, "Budget limit exceeded for this key"), "auth", "HTTP 403"),
    stops(
        "429 for five hours",
        faults.status(429, headers={"Retry-After": "18000"}),
        "rate_limited",
        FIVE_HOURS,
        quick=True,
    ),
    stops("429 for five hours, as a date", faults.retry_at(18000), "rate_limited", FIVE_HOURS),
    stops("429 for five hours, as a reset", resets_at(18000), "rate_limited", FIVE_HOURS),
    stops(
        "429 for five hours, in words", faults.status(429, "Usage limit: try again in 5h"), "rate_limited", FIVE_HOURS
    ),
    stops(
        "429 for five hours at Anthropic",
        faults.status(429, headers={"retry-after": "18000"}),
        "rate_limited",
        FIVE_HOURS,
        server=AnthropicServer,
    ),
    Case(
        "429 for longer than --wait, which resume keeps to",
        server=StrictServer,
        faults=[None, *[faults.status(429, headers={"Retry-After": "600"})] * 2],
        verdicts=("rate_limited",),
        status="model_unavailable",
        accepted=1,
        says=r"\(in 10m\).*--wait 1h",
        args=("--wait", "5m"),
        resumed=Ends("model_unavailable", 1, ("rate_limited",)),
    ),
    passes(
        "429 within --wait",
        faults.status(429, "Your limit resets in 2s"),
        "rate_limited",
        r"try 2 of 8 in 2\.\d s",
        args=("--wait", "1m"),
    ),
]


def through(proxy: str) -> Hook:
    def prepare(stage: Stage) -> None:
        stage.env["HTTP_PROXY"] = proxy

    return prepare


def through_a_failing_proxy(stage: Stage) -> None:
    proxy = stage.at_the_end.enter_context(StrictServer((), [faults.status(503, body=HTML)] * TRIES))
    stage.env["HTTP_PROXY"] = proxy.url.removesuffix("/v1")


def without_proxy(stage: Stage) -> None:
    stage.env["NO_PROXY"] = "127.0.0.1"


PROXIES = [
    Case(
        "nearby server behind a proxy that fails",
        server=StrictServer,
        prepare=through_a_failing_proxy,
        mend=without_proxy,
        verdicts=("server_error",) * TRIES,
        status="model_unavailable",
        accepted=0,
        says=r"127\.0\.0\.1 is nearby, but .* the proxy http://127\S+ \(HTTP_PROXY\): set NO_PROXY=127\.0\.0\.1",
        resumed=Ends(),
        quick=True,
    ),
    Case(
        "nearby server behind a proxy that is gone",
        server=StrictServer,
        prepare=through("http://user:secret@127.0.0.1:9"),
        mend=without_proxy,
        verdicts=("connection",) * 3,
        status="model_unavailable",
        accepted=0,
        says=r"the proxy http://127\.0\.0\.1:9 \(HTTP_PROXY\): set NO_PROXY",
        resumed=Ends(),
    ),
    Case(
        "proxy of an unknown kind",
        server=StrictServer,
        prepare=through("gopher://127.0.0.1:9"),
        status=None,
        says="Unknown scheme.*check HTTP_PROXY",
    ),
]


def lacking(module: str) -> Callable[[], str]:
    return lambda: f"{module} is installed" if importlib.util.find_spec(module) else ""


def cannot_leave(name: str, model: str, says: str, **more) -> Case:
    """No request can be made: exit code 2, and no session."""
    return Case(f"no request: {name}", args=("--model", model), status=None, says=says, **more)


UNSENT = [
    cannot_leave(
        "boto3 is missing",
        "bedrock/anthropic.claude-3-haiku-20240307-v1:0",
        "pip install boto3",
        needs=lacking("boto3"),
        quick=True,
    ),
    cannot_leave("boto3 is missing for SageMaker", "sagemaker/x", "pip install boto3", needs=lacking("boto3")),
    cannot_leave(
        "Google's SDK is missing", "vertex_ai/gemini-1.5-pro", "google-cloud-aiplatform", needs=lacking("google")
    ),
    cannot_leave("Azure without an address", "azure/x", "AZURE_API_BASE", env={"AZURE_API_KEY": "key"}),
    cannot_leave("watsonx without a project", "watsonx/ibm/granite", "WX_PROJECT_ID"),
    cannot_leave("address without http", "openai/x", "OPENAI_API_BASE", env={"OPENAI_API_BASE": "localhost:8000/v1"}),
]

# With the thoughts in it, the conversation of run 2 is twice as long as the window.
THOUGHTS = "I weigh one thing against another, and nothing speaks for it. " * 200
LONG = [f"{THOUGHTS}\n{FIRST}", SECOND, *ENDING]


def records(seen: Seen) -> list[dict[str, Any]]:
    return [json.loads(line) for line in seen.journal.splitlines()]


def rebuilt(seen: Seen) -> str:
    windows = [record["cut_to"] for record in records(seen) if record.get("cut_to")]
    if windows != [CuttingServer.window] or not_rebuilt(seen) == "":
        return f"windows learned: {windows}"
    return "" if f"read only about {windows[0]} tokens" in seen.err else "nobody is told"


def not_rebuilt(seen: Seen) -> str:
    return next((record["reason"] for record in records(seen) if record["event"] == "conversation_rebuilt"), "")


def larger_window(stage: Stage) -> None:
    assert isinstance(stage.server, CuttingServer)
    stage.server.window = 100_000


WINDOWS = [
    Case("prompt cut without a word", LONG, server=CuttingServer, check=rebuilt, quick=True),
    Case("prompt cut without a word by Ollama", LONG, server=CuttingOllama, check=rebuilt),
    Case(
        "prompt cut without a word, whatever is left out",
        server=TinyWindow,
        status="model_unavailable",
        accepted=1,
        says="read only about 700 tokens.*a second time.*--context-window",
        mend=larger_window,
        resume_args=("--context-window", "100000"),
        resumed=Ends(),
    ),
    Case("prompt counted without what a cache held", LONG, server=UncachedOnlyServer, check=not_rebuilt),
    Case("long prompt at Anthropic, from its cache", LONG, server=AnthropicServer, check=not_rebuilt),
]

CASES: list[Case] = [*LIMITS, *PROXIES, *UNSENT, *WINDOWS]
