"""Turns whatever a failed call raised into a named failure: its kind, a one-line message, and whether to retry.

The HTTP status decides, never litellm's class: 402, 403 and 413 arrive as plain APIError, a refused connection as
InternalServerError 500, and llama.cpp's message for a full context window is not recognised.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from ai_sci.agent.models.connections import HttpTrace
from ai_sci.agent.models.refusal_words import says_limited, says_no_credit, says_too_long
from ai_sci.agent.models.reply import CallFailure
from ai_sci.agent.models.server_wait import server_wait
from ai_sci.keys import mask_keys

_UNANSWERED = {504, 524}  # a gateway gave up waiting; the model behind it may still have written a reply
_RETRIED = {408, 409, 425, 429}  # and everything from 500 up
_KINDS = {
    401: "auth",
    402: "payment",
    403: "auth",
    404: "not_found",
    408: "timeout",
    409: "conflict",
    413: "too_large",
    425: "conflict",
    429: "rate_limited",
}
_PHRASES = {
    "auth": "the key was refused",
    "payment": "the account cannot pay",
    "not_found": "not found",
    "timeout": "timed out",
    "conflict": "conflict",
    "too_large": "the request is too large",
    "rate_limited": "too many requests",
    "server_error": "the server failed",
    "bad_request": "the request was refused",
    "context_window": "the conversation is longer than the model's context window",
}

# HTTP libraries of providers' packages, and their errors that come before any request.
_LIBRARIES = {"aiohttp", "botocore", "google", "grpc", "requests", "urllib3"}
_NOT_CONFIGURED = re.compile(r"Credential|Region|Profile|Config|Param|Invalid|Missing|Unknown")


class TryFailed(Exception):
    """One try failed. `wait` is the server's Retry-After in seconds, if it sent one; `unreadable` means that HTTP was
    fine and the answer could not be parsed, which may be the parser's fault. `received` is the part of the reply that
    arrived, reasoning included, or None when the try cannot have been charged."""

    def __init__(
        self, failure: CallFailure, *, retry: bool, wait: float | None = None, unreadable: bool = False
    ) -> None:
        super().__init__(failure.message)
        self.failure = failure
        self.retry = retry
        self.wait = wait
        self.unreadable = unreadable
        self.received: str | None = None

    def came_after(self, received: str) -> None:
        """Note what had been received; a refusal with a status, or no connection at all, is not charged."""
        failure = self.failure
        refused = failure.kind == "connection" or (failure.status is not None and failure.status not in _UNANSWERED)
        self.received = None if refused and not received else received


def failed(kind: str, message: str, *, retry: bool = True, unreadable: bool = False) -> TryFailed:
    """A failure without an HTTP status."""
    return TryFailed(CallFailure(None, kind, message), retry=retry, unreadable=unreadable)


def explain(error: BaseException, trace: HttpTrace) -> TryFailed:
    """The failure behind whatever a try raised."""
    chain = list(causes(error))
    words = one_line(trace.body or _body(chain))
    status = trace.status if trace.status and trace.status >= 400 else _http_status(chain)
    on_the_wire = status is not None
    if status is None:
        broken = _broken_connection(chain)
        if broken is not None:
            return broken
        status = _claimed_status(chain)
    fatal = _fatal_words(status, words, chain)
    if fatal is not None:
        return TryFailed(CallFailure(status, fatal, _line(status, fatal, words)), retry=False)
    if status is None:
        return failed("internal", f"{type(error).__name__}: {words}", retry=False)
    if not on_the_wire and not trace.left and not _sent_elsewhere(chain):
        return failed("not_sent", f"no request could be made: {words}", retry=False)
    if status >= 500 and not on_the_wire:
        if _error_event(chain) is not None:
            return failed("stream_error", f"the reply broke off with an error: {words}")
        # HTTP was fine; litellm reports what it cannot parse as 500.
        return failed("not_a_reply", f"the server's answer is not a reply: {words}", unreadable=True)
    kind = _KINDS.get(status) or ("server_error" if status >= 500 else "bad_request")
    if status == 403 and says_limited(words):
        kind = "rate_limited"
    limited = kind == "rate_limited"
    return TryFailed(
        CallFailure(status, kind, _line(status, kind, words)),
        retry=limited or status in _RETRIED or status >= 500,
        wait=server_wait(_headers(chain, trace), trace.body or _body(chain), limited=limited),
    )


def _line(status: int | None, kind: str, words: str) -> str:
    phrase = _PHRASES[kind]
    head = phrase if status is None else f"HTTP {status} ({phrase})"
    return f"{head}: {words}" if words else head


def causes(error: BaseException) -> Iterator[BaseException]:
    """The error and its causes, outermost first."""
    current: BaseException | None = error
    known: set[int] = set()
    while current is not None and id(current) not in known:
        known.add(id(current))
        yield current
        current = current.__cause__ or current.__context__


def _http_status(chain: list[BaseException]) -> int | None:
    """The status on the wire, from the innermost error that holds a real response."""
    for error in reversed(chain):
        if type(error).__module__.startswith("litellm.exceptions"):
            continue  # litellm fabricates responses
        status = getattr(getattr(error, "response", None), "status_code", None)
        if isinstance(status, int) and status >= 400 and type(error).__module__.startswith(("httpx", "openai")):
            return status
    return None


def _sent_elsewhere(chain: list[BaseException]) -> bool:
    """Whether a provider's own library, whose requests we do not see, failed on the network."""
    kinds = [type(error) for error in chain]
    theirs = [kind.__name__ for kind in kinds if kind.__module__.split(".")[0] in _LIBRARIES]
    return any(not _NOT_CONFIGURED.search(name) for name in theirs)


def _claimed_status(chain: list[BaseException]) -> int | None:
    """What the error event of a stream says, else what litellm says."""
    event = _error_event(chain)
    code = str(event.get("code")) if event is not None else ""
    if code.isdigit() and 400 <= int(code) <= 599:
        return int(code)
    for error in chain:
        status = str(getattr(error, "status_code", None))
        if status.isdigit() and int(status) >= 400:
            return int(status)
    theirs = event is not None or any(type(error).__module__.startswith(("openai", "litellm")) for error in chain)
    return 500 if theirs else None


def _error_event(chain: list[BaseException]) -> Mapping[str, Any] | None:
    """The body of an error sent in the middle of a stream, which has no response and no status of its own."""
    bodies = (getattr(error, "body", None) for error in reversed(chain))
    return next((body for body in bodies if isinstance(body, Mapping) and body), None)


def _broken_connection(chain: list[BaseException]) -> TryFailed | None:
    import httpx

    for error in reversed(chain):
        words = one_line(str(error)) or type(error).__name__
        if isinstance(error, (httpx.ConnectError, httpx.ConnectTimeout, ConnectionRefusedError)):
            return failed("connection", f"no connection to the server: {words}")
        if isinstance(
            error, (httpx.UnsupportedProtocol, httpx.LocalProtocolError, httpx.InvalidURL, UnicodeEncodeError)
        ):
            return failed("not_sent", f"no request could be made: {words}", retry=False)
        if isinstance(error, httpx.ProxyError):
            return failed("connection", f"no connection to the server: the proxy refused it: {words}")
        if isinstance(error, httpx.TooManyRedirects):
            return failed("not_found", "the server redirects every request endlessly", retry=False)
        if isinstance(error, httpx.TimeoutException):
            return failed("timeout", f"the server stopped answering ({type(error).__name__})")
        if isinstance(error, httpx.RemoteProtocolError) and "without sending a response" in words:
            return failed("cut", f"the server hung up: {words}")
        if isinstance(error, (httpx.TransportError, httpx.StreamError, ConnectionError)):
            return failed("cut", f"the connection broke: {words}")
        if isinstance(error, (json.JSONDecodeError, UnicodeDecodeError, httpx.DecodingError)):
            return failed("not_a_reply", f"what the server sent cannot be read: {words}", unreadable=True)
    # litellm's own handler drops the cause of a timeout.
    if any(type(error).__name__ in ("Timeout", "APITimeoutError") for error in chain):
        return failed("timeout", "the server stopped answering")
    return None


def _fatal_words(status: int | None, words: str, chain: list[BaseException]) -> str | None:
    if status in (401, 404):
        return None
    if says_no_credit(words):
        return "payment"
    if status in (403, 429):
        return None
    named = any(type(error).__name__ == "ContextWindowExceededError" for error in chain)
    return "context_window" if named or says_too_long(words) else None


def _body(chain: list[BaseException]) -> str:
    """The most detailed text in the chain: an error event's body, a response's text, else the outermost message."""
    event = _error_event(chain)
    if event is not None:
        return json.dumps(dict(event), default=str)
    texts = (getattr(error, "text", None) for error in reversed(chain))
    found = next((text for text in texts if isinstance(text, str) and text), None)
    return found or str(chain[0]) or type(chain[0]).__name__


def _headers(chain: list[BaseException], trace: HttpTrace) -> Mapping[str, str]:
    if trace.headers:
        return trace.headers
    for error in reversed(chain):
        for headers in (getattr(getattr(error, "response", None), "headers", None), getattr(error, "headers", None)):
            if headers:
                return headers
    return getattr(chain[0], "litellm_response_headers", None) or {}


def one_line(text: str, limit: int = 300) -> str:
    """The message in an error body, on one line: JSON, HTML and litellm's prefixes removed, keys hidden."""
    text = mask_keys(_dug_out(text))  # before a key is cut in two
    if "<" in text and re.search(r"<(html|body|head|!doctype)", text, re.IGNORECASE):
        text = re.sub(r"(?s)<(script|style).*?</\1>|<[^>]*>", " ", text)
    text = re.split(r"\s*Traceback \(most recent call last\)|\s*Handle with `litellm", text)[0]
    text = re.sub(r"^(\s*(litellm\.)?\w*(Error|Exception):\s*|\s*\w+Exception - )+", "", text)
    text = " ".join(text.split())
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def _dug_out(text: str) -> str:
    """The message in any provider's JSON error body; the text itself when it is not one."""
    start = min((at for at in (text.find("{"), text.find("[")) if at >= 0), default=-1)
    if start < 0:
        return text
    try:
        value, _ = json.JSONDecoder().raw_decode(text[start:])
        return _message_in(value) or text
    except (ValueError, RecursionError):
        return text


def _message_in(value: Any) -> str:
    if isinstance(value, list) and value:
        return _message_in(value[0])
    if isinstance(value, str):
        return value
    if not isinstance(value, Mapping):
        return ""
    for key in ("error", "message", "detail", "msg"):
        found = _message_in(value.get(key))
        if found:
            code = value.get("code")
            told = isinstance(code, str) and not code.endswith("_error") and code not in found and key == "message"
            return f"{found} [{code}]" if told else found
    return ""
