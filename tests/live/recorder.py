"""Stands between ai-sci and a real server on loopback, hands everything on as it comes, and keeps every request."""

from __future__ import annotations

import contextlib
import http.client
import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.servers.loopback import Recorded

_OWN_HEADERS = {"host", "connection", "transfer-encoding", "content-length", "keep-alive"}


class Recorder:
    def __init__(self, port: int) -> None:
        self.requests: list[Recorded] = []
        self.started = time.monotonic()
        recorder = self

        class Handler(_Handler):
            owner = recorder
            upstream = port

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self._http.block_on_close = False
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}/v1"

    @property
    def statuses(self) -> list[int]:
        return [request.status for request in self.requests]


@contextlib.contextmanager
def recording(port: int) -> Iterator[Recorder]:
    """A recorder in front of the server at `port`."""
    recorder = Recorder(port)
    thread = threading.Thread(target=recorder._http.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield recorder
    finally:
        recorder._http.shutdown()
        recorder._http.server_close()


class _Handler(BaseHTTPRequestHandler):
    owner: Recorder
    upstream: int
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = Recorded(self.path, headers, raw, json.loads(raw))
        request.seconds = time.monotonic() - self.owner.started
        self.owner.requests.append(request)
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.upstream)) as connection:
            try:
                passed = {name: value for name, value in headers.items() if name not in _OWN_HEADERS}
                connection.request("POST", self.path, raw, passed)
                response = connection.getresponse()
                request.status = response.status
                self._hand_on(response, request)
            except (OSError, http.client.HTTPException):
                self.close_connection = True  # one side went away: the other is left in the same way

    def _hand_on(self, response: http.client.HTTPResponse, request: Recorded) -> None:
        self.send_response(response.status)
        for name, value in response.getheaders():
            if name.lower() not in _OWN_HEADERS:
                self.send_header(name, value)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        answer = b""
        while data := response.read1(65536):
            answer += data
            self.wfile.write(b"%x\r\n" % len(data) + data + b"\r\n")
        self.wfile.write(b"0\r\n\r\n")
        if request.status >= 400:
            request.refusal = answer.decode("utf-8", "replace")

    def log_message(self, format: str, *args: object) -> None:
        """Silence: the requests are recorded."""
