"""A loopback HTTP server that records every raw request, answers from a list and misbehaves exactly when told to."""

from __future__ import annotations

import contextlib
import json
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.servers.answers import Answer

Messages = list[dict[str, Any]]
Replies = Sequence["str | Answer"] | Callable[[Messages], "str | Answer"]
Fault = Callable[["Exchange"], None]


@dataclass
class Recorded:
    """One request as it came in, byte for byte, and what became of it."""

    path: str
    headers: dict[str, str]  # names in lower case
    raw: bytes
    body: dict[str, Any] | None  # None: not a JSON object
    messages: Messages = field(default_factory=list)  # the conversation, as role and content
    refusal: str | None = None  # why the server refused its form
    status: int = 0  # what was answered; 0 while pending or when the connection was dropped
    fault: str = ""
    seconds: float = 0.0  # since the server started

    @property
    def key(self) -> str:
        """The API key that came with it; "" without one."""
        bearer = self.headers.get("authorization", "").removeprefix("Bearer ")
        return self.headers.get("x-api-key") or self.headers.get("x-goog-api-key") or bearer


class LoopbackServer:
    """Base of the strict servers; a subclass gives the protocol: `refuse`, `events`, `whole`, `error`.

    `replies` are given in order, one for each request answered well (an `Answer`, or text); or a function from the
    request's messages to the reply, for callers that may ask again. `faults` are used up one a request, `None`
    meaning none; a fault takes no reply. With no reply left every request gets 404.
    """

    base_path = ""  # what a client's api_base ends with
    stream_type = "text/event-stream; charset=utf-8"
    keep_alive = b": keep-alive\n\n"  # says nothing, in the middle of a stream

    def __init__(self, replies: Replies = (), faults: Sequence[Fault | None] = (), *, piece: int = 64) -> None:
        self.replies = replies
        self.faults = list(faults)
        self.piece = piece  # characters in one streamed event
        self.requests: list[Recorded] = []
        self.answered = 0
        self.lock = threading.Lock()
        self.closing = threading.Event()
        self.started = time.monotonic()
        server = self

        class Handler(_Handler):
            owner = server

        self._handler = Handler
        self.port = 0
        self._bind()

    def __enter__(self):
        self._serve()
        return self

    def __exit__(self, *_: object) -> None:
        self.closing.set()
        self.stop_listening()

    def stop_listening(self) -> None:
        """Closes the port: every later request finds the connection refused."""
        if not self._listening:
            return
        self._listening = False
        self._http.shutdown()
        self._http.server_close()

    def listen(self) -> None:
        """Opens the same port again."""
        if not self._listening:
            self._bind()
            self._serve()

    def _bind(self) -> None:
        self._http = ThreadingHTTPServer(("127.0.0.1", self.port), self._handler)
        self._http.daemon_threads = True
        self._http.block_on_close = False
        self.port = self._http.server_address[1]
        self._listening = True

    def _serve(self) -> None:
        threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}{self.base_path}"

    @property
    def bad_requests(self) -> list[Recorded]:
        """The requests refused for their form."""
        return [request for request in self.requests if request.refusal]

    # The protocol.

    def refuse(self, request: Recorded) -> tuple[int, str] | None:
        """Status and message when the request has a form that the provider refuses."""
        raise NotImplementedError

    def events(self, answer: Answer, request: Recorded) -> Iterator[bytes]:
        """The answer as server-sent events, each complete with its blank line."""
        raise NotImplementedError

    def whole(self, answer: Answer, request: Recorded) -> Mapping[str, Any]:
        """The answer as one JSON object, for a request that does not stream."""
        raise NotImplementedError

    def error(self, status: int, message: str, code: str | None = None) -> Mapping[str, Any]:
        """The body of an error."""
        raise NotImplementedError

    def without_choices(self) -> Mapping[str, Any]:
        """A well-formed answer that holds no reply at all."""
        raise NotImplementedError

    def error_event(self, status: int, message: str) -> bytes:
        """An error in the middle of a stream."""
        return self.framed(to_json(self.error(status, message)))

    def framed(self, body: bytes) -> bytes:
        """One event of a stream."""
        return b"data: " + body + b"\n\n"

    def conversation(self, body: Mapping[str, Any]) -> Messages:
        """The messages of a request, as role and content where the protocol has other names."""
        return list(body.get("messages", []))

    def streams(self, request: Recorded) -> bool:
        """Whether the request asks for a stream."""
        return bool((request.body or {}).get("stream"))

    def think(self, request: Recorded) -> None:
        """What takes time before an answer; others are answered meanwhile."""
        return

    # What is common to all.

    def next_reply(self, messages: Messages) -> Answer | None:
        if callable(self.replies):
            reply: str | Answer = self.replies(messages)
        elif self.answered < len(self.replies):
            reply = self.replies[self.answered]
        else:
            return None
        self.answered += 1
        return Answer(reply) if isinstance(reply, str) else reply

    def pieces(self, text: str) -> Iterator[str]:
        piece = max(self.piece, len(text) // 2000)  # a reply of megabytes comes in larger pieces
        for start in range(0, len(text), piece):
            yield text[start : start + piece]


@dataclass
class Exchange:
    """One request being answered: what a fault may use."""

    server: LoopbackServer
    handler: BaseHTTPRequestHandler
    request: Recorded
    streaming: bool = field(init=False)

    def __post_init__(self) -> None:
        self.streaming = self.server.streams(self.request)

    def reply(self) -> Answer | None:
        with self.server.lock:
            return self.server.next_reply(self.request.messages)

    def give(self, answer: Answer) -> None:
        """Answer as asked: a stream of events, or whole."""
        if not self.streaming:
            self.send(200, self.server.whole(answer, self.request))
            return
        self.start_stream()
        for event in self.server.events(answer, self.request):
            self.event(event)
        self.end_stream()

    def send(self, status: int, body: Mapping[str, Any] | bytes, headers: Mapping[str, str] | None = None) -> None:
        payload = body if isinstance(body, bytes) else to_json(body)
        headers = {"Content-Type": "application/json", **(headers or {})}
        self.request.status = status
        self.handler.send_response(status)
        for name, value in headers.items():
            self.handler.send_header(name, value)
        self.handler.send_header("Content-Length", str(len(payload)))
        self.handler.end_headers()
        self.handler.wfile.write(payload)

    def start_stream(self) -> None:
        self.request.status = 200
        self.handler.send_response(200)
        self.handler.send_header("Content-Type", self.server.stream_type)
        self.handler.send_header("Transfer-Encoding", "chunked")
        self.handler.end_headers()

    def event(self, data: bytes) -> None:
        self.handler.wfile.write(b"%x\r\n" % len(data) + data + b"\r\n")
        self.handler.wfile.flush()

    def end_stream(self) -> None:
        self.handler.wfile.write(b"0\r\n\r\n")

    def hang_up(self, *, rudely: bool = False, silently: bool = False) -> None:
        """Close the connection here; `rudely` with a TCP reset, `silently` without a FIN."""
        self.handler.close_connection = True
        self.handler.wfile.flush()
        if rudely or silently:
            if rudely:
                self.handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            # The handler's file objects hold the descriptor open; only their end lets close() send the reset.
            self.handler.rfile.close()
            self.handler.connection.close()
            return
        self.handler.connection.shutdown(socket.SHUT_RDWR)

    def wait(self, seconds: float) -> None:
        """Say nothing for so long, or until the server closes."""
        self.server.closing.wait(seconds)


def to_json(value: Any) -> bytes:
    # Raw UTF-8, as real servers send it.
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass")


class _Handler(BaseHTTPRequestHandler):
    owner: LoopbackServer
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        server = self.owner
        raw = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        request = Recorded(self.path, {k.lower(): v for k, v in self.headers.items()}, raw, _json_object(raw))
        request.messages = server.conversation(request.body or {})
        request.seconds = time.monotonic() - server.started
        with server.lock:
            server.requests.append(request)
            refused = server.refuse(request)
            fault = server.faults.pop(0) if server.faults and refused is None else None
        exchange = Exchange(server, self, request)
        try:
            if refused is not None:
                status, request.refusal = refused
                exchange.send(status, server.error(status, request.refusal))
                return
            if fault is not None:
                request.fault = getattr(fault, "__name__", "fault")
                fault(exchange)
                return
            server.think(request)
            answer = exchange.reply()
            if answer is None:
                exchange.send(404, server.error(404, "this test server has no reply left"))
                return
            exchange.give(answer)
        except OSError:
            self.close_connection = True  # the client went away; it is recorded all the same

    def handle(self) -> None:
        with contextlib.suppress(OSError, ValueError):  # a connection that a fault has closed
            super().handle()

    def finish(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            super().finish()

    def log_message(self, format: str, *args: object) -> None:
        """Silence: the requests are recorded."""


def _json_object(raw: bytes) -> dict[str, Any] | None:
    try:
        value = json.loads(raw)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None
