"""The faults a test server can be told to have, one a request. Each takes an `Exchange` and answers it wrongly."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.servers.answers import EMPTY, NULL, REASONING_ONLY, WHITESPACE, Answer
from tests.servers.loopback import Exchange, Fault, to_json

_LONG = Answer("This reply breaks off. " * 40, reasoning="hm. " * 20)
_KEEP_ALIVE = b": keep-alive\n\n"


def _named(name: str, fault: Fault) -> Fault:
    fault.__name__ = name
    return fault


# Errors with a status.


def status(
    code: int,
    message: str = "",
    *,
    headers: Mapping[str, str] | None = None,
    error_code: str | None = None,
    body: Mapping[str, Any] | bytes | None = None,
) -> Fault:
    """HTTP `code` with the protocol's error body, or with `body`."""

    def play(exchange: Exchange) -> None:
        text = message or f"the test server was told to answer {code}"
        exchange.send(code, exchange.server.error(code, text, error_code) if body is None else body, headers)

    return _named(f"status {code}", play)


# Answers of the model that need care. They are good HTTP.


def says(answer: Answer, name: str = "") -> Fault:
    """This answer instead of the next reply, which stays for the next request."""
    return _named(name or f"says {(answer.text or '')[:20]!r}", lambda exchange: exchange.give(answer))


def empty() -> Fault:
    return says(EMPTY, "empty")


def whitespace() -> Fault:
    return says(WHITESPACE, "whitespace")


def null_content() -> Fault:
    return says(NULL, "null content")


def reasoning_only() -> Fault:
    return says(REASONING_ONLY, "reasoning only")


def finish_length(text: str) -> Fault:
    return says(Answer(text, finish_reason="length"), "finish_reason length")


def big_reply(characters: int = 2_000_000) -> Fault:
    line = "loss = reconstruction + penalty  # again\n"
    return says(Answer(line * (characters // len(line))), "big reply")


# Broken streams. A request that does not stream gets the same fault in one body.


def cut_stream(after: int = 3, *, politely: bool = False, rudely: bool = False) -> Fault:
    """The stream ends after so many events: in the middle of the HTTP body; `politely` with a proper end of the body
    and nothing that ends the reply; `rudely` with a TCP reset."""

    def play(exchange: Exchange) -> None:
        if not exchange.streaming:
            exchange.hang_up(rudely=rudely)
            return
        _begin(exchange, after)
        if politely:
            exchange.end_stream()
            return
        exchange.hang_up(rudely=rudely)

    return _named("cut stream", play)


def stalled_stream(after: int = 3, seconds: float = 60.0, *, keep_alive: float | None = None) -> Fault:
    """Silence after so many events (0: even the headers wait); with `keep_alive`, a comment that often."""

    def play(exchange: Exchange) -> None:
        if after or keep_alive:
            _begin(exchange, after)
        if keep_alive is None:
            exchange.wait(seconds)
        else:
            for _ in range(int(seconds / keep_alive)):
                exchange.event(_KEEP_ALIVE)
                exchange.wait(keep_alive)
        exchange.hang_up()

    return _named("stalled stream", play)


def stream_error(after: int = 3, code: int = 500, message: str = "the engine died") -> Fault:
    """An error event in the middle of a stream that began with HTTP 200."""

    def play(exchange: Exchange) -> None:
        if not exchange.streaming:
            exchange.send(code, exchange.server.error(code, message))
            return
        _begin(exchange, after)
        exchange.event(exchange.server.error_event(code, message))
        exchange.end_stream()

    return _named("stream error", play)


def bad_event(data: bytes = b'data: {"choices": [{"delta": {"content": "half\n\n', after: int = 3) -> Fault:
    """An event that is not JSON among good ones."""

    def play(exchange: Exchange) -> None:
        if not exchange.streaming:
            exchange.send(200, b'{"choices": [{"message": {"content": "half')
            return
        events = list(exchange.server.events(_LONG, exchange.request))
        exchange.start_stream()
        for event in [*events[:after], data, *events[after:]]:
            exchange.event(event)
        exchange.end_stream()

    return _named("invalid JSON", play)


def wrong_encoding() -> Fault:
    """Text in Latin-1 where the protocol says UTF-8."""

    def play(exchange: Exchange) -> None:
        answer = Answer("Größe und Länge", reasoning="")
        if not exchange.streaming:
            body = exchange.server.whole(answer, exchange.request)
            exchange.send(200, str(body).replace("'", '"').encode("latin-1"))
            return
        exchange.start_stream()
        for event in exchange.server.events(answer, exchange.request):
            exchange.event(event.decode().encode("latin-1"))
        exchange.end_stream()

    return _named("wrong encoding", play)


# HTTP 200 that is no reply.


def html() -> Fault:
    page = b"<!doctype html><html><body><h1>Sign in to the Wi-Fi</h1></body></html>"
    headers = {"Content-Type": "text/html"}
    return _named("HTML", lambda exchange: exchange.send(200, page, headers))


def invalid_json() -> Fault:
    return bad_event()


def no_choices() -> Fault:
    def play(exchange: Exchange) -> None:
        body = exchange.server.without_choices()
        if not exchange.streaming:
            exchange.send(200, body)
            return
        exchange.start_stream()
        exchange.event(b"data: " + to_json(body) + b"\n\n")
        exchange.end_stream()

    return _named("no choices", play)


def null_body() -> Fault:
    return _named("null", lambda exchange: exchange.send(200, b"null"))


def no_body() -> Fault:
    return _named("no body", lambda exchange: exchange.send(200, b""))


# The connection.


def reset() -> Fault:
    """TCP reset before a single byte of an answer."""
    return _named("connection reset", lambda exchange: exchange.hang_up(rudely=True))


def hang_up() -> Fault:
    """The connection closed without an answer."""
    return _named("hung up", lambda exchange: exchange.hang_up())


def _begin(exchange: Exchange, after: int) -> None:
    exchange.start_stream()
    for number, event in enumerate(exchange.server.events(_LONG, exchange.request)):
        if number >= after:
            return
        exchange.event(event)
