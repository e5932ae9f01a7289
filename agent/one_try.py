"""One try at a reply: one request, sent from a thread of its own, heard as it streams, given up when it stalls.

The thread is what makes a stall and Ctrl-C end at once, whatever the socket, the name lookup or the provider's
library is waiting for; a thread given up ends by itself when its own read times out.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from agent.call_errors import CallFailed, Seen, explain, failed
from agent.litellm_setup import one_try
from agent.reasoning import ThinkSplitter, split_unopened
from agent.stream_events import Along


NOTHING_IN_IT = "the server answered, but with no reply in it"


@dataclass(frozen=True)
class Timeouts:
    """Seconds: to connect, until the first token (reasoning models think before it), between two, and for a reply."""

    connect: float = 30.0
    first_token: float = 600.0
    between_tokens: float = 120.0
    reply: float = 3600.0


@dataclass(frozen=True)
class Heard:
    """What came over the wire. `usage` is litellm's, None when the server gave none."""

    text: str
    reasoning: str
    finish_reason: str | None
    usage: Any | None


@dataclass(frozen=True)
class _Piece:
    text: str
    reasoning: str


@dataclass(frozen=True)
class _End:
    finish_reason: str | None
    usage: Any | None


@dataclass(frozen=True)
class _Broken:
    error: BaseException
    seen: Seen


def try_once(
    litellm: Any, arguments: Mapping[str, Any], timeouts: Timeouts, on_delta: Callable[[str], None]
) -> Heard:
    """The reply to one request; raises CallFailed."""
    inbox: queue.SimpleQueue[_Piece | _End | _Broken] = queue.SimpleQueue()
    given_up = threading.Event()
    target = _send(litellm, dict(arguments), timeouts, inbox, given_up)
    threading.Thread(target=target, name="model call", daemon=True).start()
    try:
        return _listen(inbox, timeouts, on_delta)
    finally:
        given_up.set()


def _listen(inbox: queue.SimpleQueue, timeouts: Timeouts, on_delta: Callable[[str], None]) -> Heard:
    splitter = ThinkSplitter()
    reasoning: list[str] = []
    started = time.monotonic()
    limit, what = timeouts.first_token, "no reply has begun"
    while True:
        left = started + timeouts.reply - time.monotonic()
        try:
            item = inbox.get(timeout=max(0.0, min(limit, left)))
        except queue.Empty:
            if left <= limit:
                raise failed("timeout", f"the reply was not complete after {timeouts.reply:g} s") from None
            raise failed("timeout", f"{what} for {limit:g} s") from None
        if isinstance(item, _Broken):
            raise explain(item.error, item.seen) if not isinstance(item.error, CallFailed) else item.error
        if isinstance(item, _End):
            break
        reasoning.append(item.reasoning)
        text = splitter.feed(item.text)
        if text:
            on_delta(text)
        limit, what = timeouts.between_tokens, "the stream stalled: nothing came"
    rest = splitter.finish()
    if rest:
        on_delta(rest)
    text = splitter.text
    thoughts = "".join(reasoning) + splitter.reasoning
    if not thoughts:
        thoughts, text = split_unopened(text)
    if item.finish_reason is None and (text or thoughts):
        raise failed("cut", f"the stream ended in the middle of the reply, after {len(text)} characters", unreadable=True)
    if item.finish_reason is None:
        raise failed("not_a_reply", NOTHING_IN_IT, unreadable=True)
    text = _paired(text)
    return Heard(text if text.strip() else "", _paired(thoughts).strip(), item.finish_reason, item.usage)


def _send(
    litellm: Any,
    arguments: dict[str, Any],
    timeouts: Timeouts,
    inbox: queue.SimpleQueue,
    given_up: threading.Event,
) -> Callable[[], None]:
    import httpx

    # The socket's own limits only end a thread that was given up, so they come second.
    reading = max(timeouts.first_token, timeouts.between_tokens) + 5.0
    arguments["timeout"] = httpx.Timeout(connect=timeouts.connect, read=reading, write=60.0, pool=60.0)

    def run() -> None:
        with one_try() as seen:
            try:
                response = litellm.completion(**arguments)
                if response is None:
                    # litellm's answer when its own repair of the messages failed.
                    raise failed("not_a_reply", "litellm returned nothing for this request")
                end = (
                    _stream(litellm, response, inbox, given_up)
                    if arguments.get("stream")
                    else _whole(response, inbox)
                )
            except BaseException as error:  # handed to the caller's thread, where it is named or raised
                inbox.put(_Broken(error, seen))
                return
        inbox.put(end)

    return run


def _stream(litellm: Any, response: Any, inbox: queue.SimpleQueue, given_up: threading.Event) -> _End:
    along = Along()
    along.follow(response)
    finish_reason = usage = None
    for chunk in response:
        if given_up.is_set():
            break
        usage = getattr(chunk, "usage", None) or usage
        for choice in chunk.choices[:1]:
            finish_reason = choice.finish_reason or finish_reason
            text, reasoning = choice.delta.content or "", getattr(choice.delta, "reasoning_content", None) or ""
            if text or reasoning:
                inbox.put(_Piece(text, reasoning))
    # litellm makes up "stop" for a stream that just ends; only this attribute says what the server sent.
    finish_reason = getattr(response, "received_finish_reason", finish_reason)
    if along.usage is not None:
        return _End(finish_reason, litellm.Usage(**along.usage))
    # Where no event had usage, litellm's is an estimate of its own.
    counted = any(getattr(chunk, "usage", None) for chunk in getattr(response, "chunks", []))
    return _End(finish_reason, usage if counted else None)


def _whole(response: Any, inbox: queue.SimpleQueue) -> _End:
    if not response.choices or response.choices[0].message is None:
        raise failed("not_a_reply", "the server's answer has no choices", unreadable=True)
    choice = response.choices[0]
    inbox.put(_Piece(choice.message.content or "", getattr(choice.message, "reasoning_content", None) or ""))
    return _End(choice.finish_reason, getattr(response, "usage", None))


def _paired(text: str) -> str:
    """Surrogate pairs that came in two events made whole; a lone one has no UTF-8 form and becomes U+FFFD."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
