"""Connections that find out when a server is gone without a word. Imports httpx: for live calls only."""

from __future__ import annotations

import socket
import ssl

import httpx

# Seconds. When nothing has come for so long, the kernel asks the server's kernel whether the connection still stands,
# again and again, and gives it up: a reset that got lost or a router that forgot us is known in a minute, however long
# the model may think. A server that only thinks never notices.
AFTER, EVERY, TIMES = 30, 10, 3


class ProbingTransport(httpx.HTTPTransport):
    """httpx's own, with TCP keep-alive. It may be shared: closing it is left to the end of the process, since litellm
    closes a client that it forgets, whoever else is using the transport."""

    def __init__(self, verify: ssl.SSLContext | str | bool, cert: str | None) -> None:
        super().__init__(verify=verify, cert=cert, socket_options=_options())

    def close(self) -> None:
        pass


def _options() -> list[tuple[int, int, int]]:
    wanted = {"TCP_KEEPIDLE": AFTER, "TCP_KEEPINTVL": EVERY, "TCP_KEEPCNT": TIMES}
    # What is sent and never acknowledged, such as a request, is given up as late.
    wanted["TCP_USER_TIMEOUT"] = 1000 * (AFTER + EVERY * TIMES)
    known = {name: value for name, value in wanted.items() if hasattr(socket, name)}  # macOS lacks some
    named = [(socket.IPPROTO_TCP, getattr(socket, name), value) for name, value in known.items()]
    return [(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1), *named]
