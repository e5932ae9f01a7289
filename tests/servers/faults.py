"""The faults a test server can be told to have, one a request. Each takes an `Exchange` and answers it wrongly."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Mapping
from email.utils import formatdate
from typing import Any

from tests.servers.answers import EMPTY, NULL, REASONING_ONLY, WHITESPACE, Answer
from tests.servers.loopback import Exchange, Fault, to_json

_LONG = Answer("This reply breaks off. " * 40, reasoning="hm. " * 20)
_TCP_REPAIR = 19


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


def retry_at(seconds: float, code: int = 429) -> Fault:
    """HTTP `code` with a `Retry-After` that is a date, so many seconds from the moment of the request (whole ones)."""

    def play(exchange: Exchange) -> None:
        headers = {"Retry-After": formatdate(time.time() + seconds, usegmt=True)}
        exchange.send(code, exchange.server.error(code, "come back later"), headers)

    return _named(f"status {code} until a date", play)


def redirect(to: str = "") -> Fault:
    """307 to `to`, or to the very same address, for ever."""
    return _named("redirect", lambda exchange: exchange.send(307, b"", {"Location": to or exchange.request.path}))


def echo(make: Callable[[str], Fault]) -> Fault:
    """The fault that `make` makes of the key which came with the request, as servers do that show what they got."""

    def play(exchange: Exchange) -> None:
        make(exchange.request.key)(exchange)

    return _named("echo", play)


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


def refusal_field(text: str = "I cannot help with that.") -> Fault:
    """OpenAI's way to refuse: words in `refusal`, and no content."""
    return raw_events({"role": "assistant", "content": None, "refusal": text}, "stop", "refusal field")


def tool_call() -> Fault:
    """A call of a tool that nobody offered, and no content."""
    call = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "edit_file", "arguments": "{}"}}
    return raw_events({"role": "assistant", "content": None, "tool_calls": [call]}, "tool_calls", "tool call")


def raw_events(message: Mapping[str, Any], finish_reason: str, name: str) -> Fault:
    """This message (or delta) as it stands, in OpenAI's protocol."""

    def play(exchange: Exchange) -> None:
        choice = {"index": 0, "finish_reason": finish_reason}
        head = {"id": "chatcmpl-1", "created": 1_760_000_000, "model": "strict"}
        if not exchange.streaming:
            exchange.send(200, {**head, "object": "chat.completion", "choices": [{**choice, "message": message}]})
            return
        exchange.start_stream()
        body = {**head, "object": "chat.completion.chunk", "choices": [{**choice, "delta": message}]}
        exchange.event(b"data: " + to_json(body) + b"\n\n")
        exchange.event(b"data: [DONE]\n\n")
        exchange.end_stream()

    return _named(name, play)


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
                exchange.event(exchange.server.keep_alive)
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


def bad_event(data: bytes = b'{"choices": [{"delta": {"content": "half', after: int = 3) -> Fault:
    """An event that is not JSON among good ones."""

    def play(exchange: Exchange) -> None:
        if not exchange.streaming:
            exchange.send(200, b'{"choices": [{"message": {"content": "half')
            return
        events = list(exchange.server.events(_LONG, exchange.request))
        exchange.start_stream()
        for event in [*events[:after], exchange.server.framed(data), *events[after:]]:
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
        exchange.event(exchange.server.framed(to_json(body)))
        exchange.end_stream()

    return _named("no choices", play)


def error_in_200(message: str = "Provider returned error", code: int = 502) -> Fault:
    """Some routers answer 200 and put the error into the body."""
    return _named("error in 200", lambda exchange: exchange.send(200, exchange.server.error(code, message)))


def not_gzip() -> Fault:
    headers = {"Content-Encoding": "gzip"}
    return _named("not gzip", lambda exchange: exchange.send(200, b"this is not gzip", headers))


def null_body() -> Fault:
    return _named("null", lambda exchange: exchange.send(200, b"null"))


def no_body() -> Fault:
    return _named("no body", lambda exchange: exchange.send(200, b""))


# The connection.


def reset() -> Fault:
    """TCP reset before a single byte of an answer."""
    return _named("connection reset", lambda exchange: exchange.hang_up(rudely=True))


def vanish() -> Fault:
    """The connection is gone on this side and nobody is told, as when a reset gets lost. Needs the rights of root."""

    def play(exchange: Exchange) -> None:
        exchange.handler.connection.setsockopt(socket.IPPROTO_TCP, _TCP_REPAIR, 1)
        exchange.hang_up(silently=True)

    return _named("vanished", play)


def hang_up() -> Fault:
    """The connection closed without an answer."""
    return _named("hung up", lambda exchange: exchange.hang_up())


def stop_listening() -> Fault:
    """Hangs up and closes the port, as a server that crashes; `LoopbackServer.listen` opens it again."""

    def play(exchange: Exchange) -> None:
        exchange.server.stop_listening()
        exchange.hang_up()

    return _named("server gone", play)


def short_body() -> Fault:
    """Fewer bytes than `Content-Length` says, then the end."""

    def play(exchange: Exchange) -> None:
        exchange.handler.send_response(200)
        exchange.handler.send_header("Content-Type", "application/json")
        exchange.handler.send_header("Content-Length", "1000")
        exchange.handler.end_headers()
        exchange.handler.wfile.write(b'{"choices": [')
        exchange.hang_up()

    return _named("short body", play)


def _begin(exchange: Exchange, after: int) -> None:
    exchange.start_stream()
    for number, event in enumerate(exchange.server.events(_LONG, exchange.request)):
        if number >= after:
            return
        exchange.event(event)
