"""Gemini, Ollama, Mistral, the Responses: how they answer and fail; and replies that did not end well."""

from __future__ import annotations

from tests.end_to_end.templates import block
from tests.gauntlet.case import Case
from tests.gauntlet.model_api import IMPATIENT, TRIES, passes, stops
from tests.gauntlet.story import COMPLETED, RUN_1, SECOND, story
from tests.servers import faults, responses_strict
from tests.servers.answers import Answer
from tests.servers.anthropic_strict import AnthropicServer
from tests.servers.gemini_strict import GeminiServer, blocked_prompt
from tests.servers.loopback import Exchange, Fault, Recorded, to_json
from tests.servers.mistral_strict import MistralServer
from tests.servers.ollama_strict import OllamaServer
from tests.servers.openai_strict import StrictServer
from tests.servers.responses_strict import ResponsesServer

DRAFT = "I could claim a perfect fit:\n\n" + block(RUN_1, "    return 0 * x[:, None]") + "\nNo, that would be a lie."
OVERLOADED = "The model is overloaded. Please try again later."
HALF = SECOND + "\nThe plot comes now.\n"  # between two blocks


class PartsServer(MistralServer):
    """A router that speaks OpenAI's protocol with content in parts."""

    def refuse(self, request: Recorded) -> tuple[int, str] | None:
        return StrictServer.refuse(self, request)


def thinking() -> list[Answer]:
    """A good session whose every reply comes after a draft that the model rejects."""
    return [Answer(reply, reasoning=DRAFT) for reply in story()]


def one_event(body: dict) -> Fault:
    """A stream of this event alone."""

    def play(exchange: Exchange) -> None:
        exchange.start_stream()
        exchange.event(exchange.server.framed(to_json(body)))
        exchange.end_stream()

    return play


NO_FAULT = [
    Case("no fault, Gemini", replies=thinking(), server=GeminiServer, quick=True),
    Case("no fault, Ollama", replies=thinking(), server=OllamaServer),
    Case("no fault, Mistral", replies=thinking(), server=MistralServer),
    Case("no fault, Responses", replies=thinking(), server=ResponsesServer),
    Case("no fault, content in parts", replies=thinking(), server=PartsServer),
]

FAULTS = [
    passes("429 at Gemini", faults.status(429, "Resource exhausted"), "rate_limited", "HTTP 429", server=GeminiServer),
    passes("503 at Gemini", faults.status(503, OVERLOADED), "server_error", OVERLOADED, server=GeminiServer),
    stops(
        "400 bad key at Gemini",
        faults.status(400, "API key not valid. Please pass a valid API key."),
        "bad_request",
        "HTTP 400.*API key not valid",
        server=GeminiServer,
    ),
    stops(
        "404 at Ollama",
        faults.status(404, "model 'llama3.1' not found"),
        "not_found",
        "HTTP 404.*'llama3.1' not found",
        server=OllamaServer,
    ),
    passes("500 at Ollama", faults.status(500, "runner died"), "server_error", "runner died", server=OllamaServer),
    passes("429 at Mistral", faults.status(429, "Requests rate limit exceeded"), "rate_limited", server=MistralServer),
    stops("500 at the Responses", [faults.status(500)] * TRIES, "server_error", "HTTP 500", server=ResponsesServer),
    passes("stream cut at Gemini", faults.cut_stream(), "cut", server=GeminiServer),
    passes(
        "stream without an end at Gemini", faults.cut_stream(politely=True), "cut", "middle of", server=GeminiServer
    ),
    passes(
        "stream without an end at Ollama", faults.cut_stream(politely=True), "cut", "middle of", server=OllamaServer
    ),
    passes("stream cut at the Responses", faults.cut_stream(6, politely=True), "cut", server=ResponsesServer),
    passes("stream that stalls at Ollama", faults.stalled_stream(), "timeout", server=OllamaServer, env=IMPATIENT),
    passes("HTML at Gemini", faults.html(), "not_a_reply", "cannot be read", server=GeminiServer),
    passes("error in the stream at Ollama", faults.stream_error(), "stream_error", "engine died", server=OllamaServer),
    passes("error in the stream at Mistral", faults.stream_error(), "stream_error", "engine", server=MistralServer),
    passes(
        "failed at the Responses",
        one_event(responses_strict.failed("the engine died")),
        "stream_error",
        "engine died",
        server=ResponsesServer,
    ),
]

ENDS = [
    passes("a prompt that Gemini blocks", one_event(blocked_prompt()), "no_edit", "empty", server=GeminiServer),
    *(
        passes(
            f"broken off between two blocks, {where}",
            faults.says(Answer(HALF, finish_reason=reason)),
            "edit_refused",
            f"broken off by the provider .{reason}.",
            server=server,
            quick=where == "OpenAI",
        )
        for where, server, reason in [
            ("OpenAI", StrictServer, "content_filter"),
            ("Anthropic", AnthropicServer, "refusal"),
            ("Gemini", GeminiServer, "OTHER"),
            ("Ollama", OllamaServer, "unload"),
            ("Responses", ResponsesServer, "content_filter"),
        ]
    ),
    passes(
        "broken off after the marker",
        faults.says(Answer(COMPLETED, finish_reason="content_filter")),
        "no_edit",
        "broken off by the provider",
    ),
    passes(
        "cut off in a block at Gemini",
        faults.finish_length(SECOND[: SECOND.index(">>>>>>>")]),
        "edit_refused",
        "cut off",
        server=GeminiServer,
    ),
    passes(
        "cut off in a block at the Responses",
        faults.finish_length(SECOND[: SECOND.index(">>>>>>>")]),
        "edit_refused",
        "cut off",
        server=ResponsesServer,
    ),
    passes(
        "cut off where it announces a block",
        faults.finish_length(SECOND + "\nNext, I will change the labels in plot.py so"),
        "edit_refused",
        "announces",
    ),
    passes(
        "ends where it announces a block",
        faults.says(Answer(SECOND + "\nI will now also edit plot.py:")),
        "edit_refused",
        "announces",
    ),
]

CASES: list[Case] = [*NO_FAULT, *FAULTS, *ENDS]
