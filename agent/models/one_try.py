"""One try at a reply: one request, sent from its own thread, read as it streams, and abandoned when it stalls.

The thread lets a stall or Ctrl-C end the try at once, whatever the socket, the name lookup or the provider's library
is waiting for; an abandoned thread ends when its own read times out.
"""

from __future__ import annotations

import logging
import math
import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ai_sci.agent.edits import part_reasoning
from ai_sci.agent.models.connections import HttpTrace, traced
from ai_sci.agent.models.errors import TryFailed, explain, failed
from ai_sci.agent.models.proxies import with_proxy
from ai_sci.agent.models.reasoning import LiveReply
from ai_sci.agent.models.receiving import End, Piece, receive
from ai_sci.agent.models.wire_bodies import openai_word
from ai_sci.experiment.base import seconds_in

if TYPE_CHECKING:
    from ai_sci.agent.journal import Message

# The server's own failures, as reasons for the end: DeepSeek's, vLLM's, OpenRouter's and the Responses'.
_BROKEN_OFF = {"insufficient_system_resource", "abort", "error", "failed", "cancelled"}

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Timeouts:
    """Seconds: to connect, to the first token (reasoning models think before it), between tokens, and for a reply."""

    connect: float = 30.0
    first_token: float = 600.0
    between_tokens: float = 120.0
    reply: float = 3600.0

    @classmethod
    def from_environment(cls) -> Timeouts:
        """The defaults; `AI_SCI_STALL_TIMEOUT` is how many seconds a server may stay silent."""
        stall = seconds_in("AI_SCI_STALL_TIMEOUT")
        return cls() if stall is None else cls(first_token=stall, between_tokens=stall)


@dataclass(frozen=True)
class RawReply:
    """A reply as it came over the wire. `usage` is litellm's, None when the server reported none."""

    text: str
    reasoning: str
    finish_reason: str | None
    usage: Any | None


@dataclass(frozen=True)
class _Broken:
    error: BaseException
    trace: HttpTrace


def request(messages: Sequence[Message], *, stream: bool = True, usage: bool = True) -> dict[str, Any]:
    """litellm's arguments besides the model: the messages, and how to send them.

    Only a message's two keys are sent, since some providers refuse reasoning sent back. Retries of litellm and of the
    provider's library are off: ours is the only retry loop.
    """
    wire = [{"role": message.role, "content": message.content} for message in messages]
    arguments: dict[str, Any] = {"messages": wire, "max_retries": 0, "num_retries": 0}
    if stream:
        arguments["stream"] = True
    if stream and usage:
        arguments["stream_options"] = {"include_usage": True}
    return arguments


def try_once(
    litellm: Any,
    arguments: Mapping[str, Any],
    timeouts: Timeouts,
    on_delta: Callable[[str], None],
    seconds: float = math.inf,
) -> RawReply:
    """The reply to one request, within `seconds`. Raises TryFailed."""
    inbox: queue.SimpleQueue[Piece | End | _Broken] = queue.SimpleQueue()
    given_up = threading.Event()
    trace = HttpTrace(streaming=bool(arguments.get("stream")))
    send = _sending(litellm, dict(arguments), timeouts, inbox, given_up, trace)
    thread = threading.Thread(target=send, name="model call", daemon=True)
    thread.start()
    raw: list[str] = []
    try:
        reply = _listen(inbox, timeouts, seconds, on_delta, raw)
        log.debug("%s replied: %d characters, %s", arguments["model"], len(reply.text), reply.finish_reason)
        return reply
    except BaseException as error:
        given_up.set()
        trace.hang_up()
        if isinstance(error, TryFailed):
            error.came_after("".join(raw))
            error.failure = with_proxy(error.failure, trace)
            log.debug("%s failed: %s, status %s", arguments["model"], error.failure.kind, error.failure.status)
        if not isinstance(error, TryFailed) or error.failure.kind == "out_of_time":
            # The process is about to exit, and Python aborts if a thread is inside pydantic's Rust code by then.
            thread.join(0.5)
        raise


def _listen(
    inbox: queue.SimpleQueue[Any], timeouts: Timeouts, seconds: float, on_delta: Callable[[str], None], raw: list[str]
) -> RawReply:
    """The whole reply; `raw` collects its pieces as they arrive, reasoning included."""
    live = LiveReply()
    content: list[str] = []
    reasoning: list[str] = []
    half = ""  # of a surrogate pair split over two events
    end: End | None = None
    for item in _items(inbox, timeouts, seconds):
        if isinstance(item, End):
            end = item
            continue
        raw += (item.reasoning, item.text)
        reasoning.append(item.reasoning)
        piece = half + item.text
        half = piece[-1:] if "\ud800" <= piece[-1:] <= "\udbff" else ""
        content.append(_encodable(piece[: len(piece) - len(half)]))
        if shown := live.feed(content[-1]):
            on_delta(shown)
    content.append(_encodable(half))
    if rest := live.feed(content[-1]) + live.finish():
        on_delta(rest)
    parted = part_reasoning("".join(content))
    text, thoughts = parted.text, "\n\n".join(filter(None, (_encodable("".join(reasoning)), parted.reasoning)))
    if end is None or end.finish_reason is None:
        if not text and not thoughts:
            raise failed("not_a_reply", "the server answered, but with no reply in it", unreadable=True)
        message = f"the stream ended in the middle of the reply, after {len(text)} characters"
        raise failed("cut", message, unreadable=True)
    if end.finish_reason in _BROKEN_OFF:
        raise failed("cut", f"the server broke the reply off ({end.finish_reason}), after {len(text)} characters")
    finish_reason = openai_word(end.finish_reason)
    return RawReply(text if text.strip() else "", thoughts.strip(), finish_reason, end.usage)


def _items(inbox: queue.SimpleQueue[Any], timeouts: Timeouts, seconds: float) -> Iterator[Piece | End]:
    """What the thread puts into the inbox, up to the end. Raises TryFailed when it breaks or takes too long."""
    started, longest = time.monotonic(), min(timeouts.reply, seconds)
    limit, what = timeouts.first_token, "no reply has begun"
    while True:
        left = started + longest - time.monotonic()
        try:
            item = inbox.get(timeout=max(0.0, min(limit, left)))
        except queue.Empty:
            item = None
        if (left <= 0 or (item is None and left <= limit)) and longest == seconds:
            raise failed("out_of_time", "the reply was not complete when the time ran out", retry=False)
        if left <= 0 or (item is None and left <= limit):
            raise failed("timeout", f"the reply was not complete after {timeouts.reply:g} s")
        if item is None:
            raise failed("timeout", f"{what} for {limit:g} s")
        if isinstance(item, _Broken):
            raise item.error if isinstance(item.error, TryFailed) else explain(item.error, item.trace) from item.error
        yield item
        if isinstance(item, End):
            return
        limit, what = timeouts.between_tokens, "the stream stalled: nothing came"


def _sending(
    litellm: Any,
    arguments: dict[str, Any],
    timeouts: Timeouts,
    inbox: queue.SimpleQueue[Any],
    given_up: threading.Event,
    trace: HttpTrace,
) -> Callable[[], None]:
    """The function that the thread runs."""
    import httpx

    # The socket's own limits only end an abandoned thread, so they are the longer ones.
    reading = max(timeouts.first_token, timeouts.between_tokens) + 5.0
    arguments["timeout"] = httpx.Timeout(connect=timeouts.connect, read=reading, write=60.0, pool=60.0)

    def run() -> None:
        with traced(trace):
            try:
                inbox.put(receive(litellm, arguments, trace, given_up, inbox.put))
            except BaseException as error:  # noqa: BLE001 - passed to the caller's thread, which names it
                inbox.put(_Broken(error, trace))

    return run


def _encodable(text: str) -> str:
    """The text with surrogate pairs joined; a lone surrogate has no UTF-8 form and becomes U+FFFD."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
