"""What HTTP does during a try: one request and no other, what came back, and servers that are gone without a word."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import threading
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.request import getproxies

if TYPE_CHECKING:
    import httpx

# Seconds. When nothing has come for so long, the kernel asks the server's kernel whether the connection still stands,
# again and again, and gives it up: a reset that got lost or a router that forgot us is known in a minute, however long
# the model may think. A server that only thinks never notices.
AFTER, EVERY, TIMES = 30, 10, 3

log = logging.getLogger(__name__)
_current = threading.local()
_lock = threading.Lock()


class SecondRequest(BaseException):
    """litellm was about to send another request within one try.

    Its OpenAI handler does so when the error says that roles must alternate; it would insert blank messages.
    Not an `Exception`, so that nothing on the way retries or rewraps it.
    """


@dataclass
class HttpTrace:
    """What was seen of HTTP during one try, however litellm reports it."""

    requests: int = 0
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str = ""  # of an error
    answer: bytes = b""  # a whole body that came with a good status
    connection: Any = None  # httpcore's stream, once the answer has begun

    def hang_up(self) -> None:
        """Wake a thread that is reading from the connection, and have the server stop generating."""
        connected = self.connection.get_extra_info("socket") if self.connection is not None else None
        if connected is not None:
            with contextlib.suppress(OSError):  # closed meanwhile
                connected.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def traced(trace: HttpTrace) -> Generator[None, None, None]:
    """Writes what HTTP does in this thread until the end of the block into `trace`."""
    _current.trace = trace
    try:
        yield
    finally:
        _current.trace = None


def watch_http(litellm: Any) -> None:
    """Have the providers that go through OpenAI's client report what they send and get; needed once for live models."""
    with _lock:
        if litellm.client_session is not None:
            return
        import httpx
        from litellm.llms.custom_httpx.http_handler import get_ssl_configuration

        verify, transport = get_ssl_configuration(), None
        if not getproxies():  # a socket to a proxy says nothing of the server, and a transport of ours would go past it
            transport = _probing_transport(verify)
            litellm.sync_transport = transport  # for the providers that do not go through OpenAI's client
        litellm.client_session = httpx.Client(
            transport=transport,
            verify=verify,
            follow_redirects=True,
            event_hooks={"request": [_before_request], "response": [_after_response]},
        )


def _probing_transport(verify: Any) -> httpx.HTTPTransport:
    """httpx's own, with TCP keep-alive. It may be shared: closing it is left to the end of the process, since litellm
    closes a client that it forgets, whoever else is using the transport."""
    import httpx

    transport = httpx.HTTPTransport(verify=verify, cert=os.getenv("SSL_CERTIFICATE"), socket_options=_socket_options())
    transport.close = lambda: None
    return transport


def _socket_options() -> list[tuple[int, int, int]]:
    wanted = {"TCP_KEEPIDLE": AFTER, "TCP_KEEPINTVL": EVERY, "TCP_KEEPCNT": TIMES}
    # What is sent and never acknowledged, such as a request, is given up as late.
    wanted["TCP_USER_TIMEOUT"] = 1000 * (AFTER + EVERY * TIMES)
    known = {name: value for name, value in wanted.items() if hasattr(socket, name)}  # macOS lacks some
    named = [(socket.IPPROTO_TCP, getattr(socket, name), value) for name, value in known.items()]
    return [(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1), *named]


def _before_request(_: Any) -> None:
    trace: HttpTrace | None = getattr(_current, "trace", None)
    if trace is None:
        return
    redirected = trace.status is not None and 300 <= trace.status < 400
    if trace.requests and not redirected:
        raise SecondRequest
    trace.requests += 1


def _after_response(response: Any) -> None:
    log.debug("HTTP %s from %s", response.status_code, response.request.url.host)
    trace: HttpTrace | None = getattr(_current, "trace", None)
    if trace is None:
        return
    trace.status = response.status_code
    trace.connection = response.extensions.get("network_stream")
    if response.status_code >= 400:
        trace.headers = dict(response.headers)
        trace.body = response.read().decode("utf-8", "replace")
    elif "content-length" in response.headers and "json" in response.headers.get("content-type", ""):
        # A stream has no length: this is a whole body, which nobody would read who asked for a stream.
        trace.answer = response.read()
