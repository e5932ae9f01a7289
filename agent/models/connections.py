"""Watches HTTP during a try: allows a single request, records the response, and detects servers that vanish."""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import re
import socket
import threading
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.request import getproxies

from ai_sci.experiment.base import ConfigError

if TYPE_CHECKING:
    import httpx

# TCP keep-alive, in seconds: idle time before the first probe, interval, probes. A lost reset or a router that dropped
# the connection is noticed within a minute, however long the model may think; a server that is thinking is unaffected.
AFTER, EVERY, TIMES = 30, 10, 3

_CERTIFICATES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "SSL_CERTIFICATE", "REQUESTS_CA_BUNDLE")

log = logging.getLogger(__name__)
_current = threading.local()
_lock = threading.Lock()


class SecondRequest(BaseException):
    """litellm was about to send another request within one try.

    Its OpenAI handler does so when the error says that roles must alternate, and inserts blank messages.
    Not an `Exception`, so that nothing in between retries or wraps it.
    """


class HeldBack(BaseException):
    """A request was ready to leave while the trace holds everything back."""


@dataclass
class HttpTrace:
    """What HTTP did during one try, independent of how litellm reports it."""

    requests: int = 0
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str = ""  # of an error response
    answer: bytes = b""  # a complete body that came with a success status
    connection: Any = None  # httpcore's stream, once the response has begun
    left: bool = False  # a request has left, for whatever: `requests` counts only those of OpenAI's client
    scheme: str = ""  # of the last one
    host: str = ""
    hold: bool = False  # let none leave: HeldBack is raised in its place
    streaming: bool = True  # what was asked for

    def hang_up(self) -> None:
        """Shut the socket down: wakes a thread that is reading from it, and makes the server stop generating."""
        connected = self.connection.get_extra_info("socket") if self.connection is not None else None
        if connected is not None:
            with contextlib.suppress(OSError):  # already closed
                connected.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def traced(trace: HttpTrace) -> Generator[None, None, None]:
    """Record this thread's HTTP traffic in `trace` until the block ends."""
    _current.trace = trace
    try:
        yield
    finally:
        _current.trace = None


def watch_http(litellm: Any) -> None:
    """Hook the HTTP client of the providers that use OpenAI's client, and see every request and response; needed once,
    before a live model is called.

    Raises ConfigError for a proxy or a certificate in the environment that cannot be used.
    """
    with _lock:
        if litellm.client_session is not None:
            return
        import httpx
        from litellm.llms.custom_httpx.http_handler import get_ssl_configuration

        _watch_transport(httpx.HTTPTransport)
        transport = None
        try:
            verify = get_ssl_configuration()
            if not getproxies():  # a proxy's socket says nothing about the server, and our transport would bypass it
                transport = _probing_transport(verify)
            client = httpx.Client(
                transport=transport,
                verify=verify,
                follow_redirects=True,
                event_hooks={"request": [_before_request]},
            )
        except (ValueError, ImportError, OSError) as error:
            raise ConfigError(f"no HTTP client can be made: {_unusable(error)}") from error
        litellm.sync_transport = transport  # for the providers that do not use OpenAI's client
        litellm.client_session = client


def _unusable(error: Exception) -> str:
    """What is wrong, and the variables that may say so."""
    of_files = isinstance(error, OSError)
    names = [name for name in _CERTIFICATES if of_files and os.environ.get(name)]
    names += [name for name in os.environ if not of_files and name.lower().endswith("_proxy") and os.environ[name]]
    words = re.sub(r"//[^/@\s]*@", "//", " ".join(str(error).split()))  # without a proxy's password
    return f"{words}; check {' and '.join(sorted(names)) or 'the certificates of this machine'}"


def _probing_transport(verify: Any) -> httpx.HTTPTransport:
    """httpx's transport with TCP keep-alive. It is shared, and litellm closes clients that it evicts from its cache, so
    `close` does nothing: the transport lives as long as the process."""
    import httpx

    transport = httpx.HTTPTransport(verify=verify, cert=os.getenv("SSL_CERTIFICATE"), socket_options=_socket_options())
    transport.close = lambda: None
    return transport


def _watch_transport(transport: Any) -> None:
    """Have every request of a traced thread noted as it leaves, and its response seen.

    litellm opens clients in many places, some of them at import and some with a proxy; only this method sees them all.
    """
    handle = transport.handle_request
    if hasattr(handle, "watched"):
        return

    @functools.wraps(handle)
    def handle_request(self: Any, request: httpx.Request) -> httpx.Response:
        trace: HttpTrace | None = getattr(_current, "trace", None)
        if trace is None:
            return handle(self, request)  # type: ignore[no-any-return]
        if request.url.scheme in ("http", "https") and request.url.host:  # else it cannot leave
            trace.left, trace.scheme, trace.host = True, request.url.scheme, request.url.host
            if trace.hold:
                raise HeldBack
        response: httpx.Response = handle(self, request)
        response.request = request
        response.iter_lines = lambda: _lines(response)
        _after_response(response)
        return response

    handle_request.watched = True  # type: ignore[attr-defined]
    transport.handle_request = handle_request


def _lines(response: httpx.Response) -> Iterator[str]:
    """The lines of a body. httpx also ends a line at U+2028 or U+0085, which JSON allows inside a string."""
    rest = ""
    for text in response.iter_text():
        *lines, rest = re.split("[\r\n]", rest + text)
        yield from lines
    if rest:
        yield rest


def _socket_options() -> list[tuple[int, int, int]]:
    wanted = {"TCP_KEEPIDLE": AFTER, "TCP_KEEPINTVL": EVERY, "TCP_KEEPCNT": TIMES}
    # Unacknowledged data, such as a request, is given up after the same time.
    wanted["TCP_USER_TIMEOUT"] = 1000 * (AFTER + EVERY * TIMES)
    known = {name: value for name, value in wanted.items() if hasattr(socket, name)}  # macOS lacks some of them
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
        return
    # A stream has no length. The stream reader would not see a body that comes whole.
    is_whole = "content-length" in response.headers or not trace.streaming
    if is_whole and "json" in response.headers.get("content-type", ""):
        trace.answer = response.read()
