"""What comes back for one request: pieces of the reply as they stream, or all of it at once, and how it ended."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ai_sci.agent.models import wire_bodies
from ai_sci.agent.models.connections import HttpTrace
from ai_sci.agent.models.errors import failed
from ai_sci.agent.models.stream_events import ErrorEvent, StreamTap


@dataclass(frozen=True)
class Piece:
    """A part of the reply."""

    text: str
    reasoning: str


@dataclass(frozen=True)
class End:
    """After the last piece: why the reply ended, in the server's word, and its tokens, if it said."""

    finish_reason: str | None
    usage: Any | None


Put = Callable[[Piece], None]


def receive(litellm: Any, arguments: Mapping[str, Any], trace: HttpTrace, given_up: threading.Event, put: Put) -> End:
    """Send the request and pass on the pieces of the reply. Raises whatever went wrong."""
    response = _completion(litellm, arguments, trace)
    if arguments.get("stream") and response is not None:
        with contextlib.closing(StreamTap(given_up, response)) as tap:
            body = _body(trace)
            if wire_bodies.reply(body) is None:
                return _read(litellm, response, tap, given_up, put)
            response = None  # the server does not stream
    return _whole(litellm, response, _body(trace), put)


def _completion(litellm: Any, arguments: Mapping[str, Any], trace: HttpTrace) -> Any:
    """litellm's answer; None where it can make nothing of a good one, such as an empty reply of Gemini."""
    try:
        response = litellm.completion(**arguments)
    except Exception:
        if not trace.answer:
            raise
        return None
    if response is None:
        # litellm returns None when its own repair of the messages failed.
        raise failed("not_a_reply", "litellm returned nothing for this request")
    return response


def _body(trace: HttpTrace) -> dict[str, Any]:
    """The JSON object that came whole with a success status; {} for a stream, or where it is not known.

    Raises ErrorEvent for an error in it, as some routers send it.
    """
    try:
        body = json.loads(trace.answer)
    except ValueError:
        return {}
    if not isinstance(body, dict):
        return {}
    error = wire_bodies.error(body)
    if error is not None:
        raise ErrorEvent(error)
    return body


def _read(litellm: Any, response: Any, tap: StreamTap, given_up: threading.Event, put: Put) -> End:
    usage = None
    for chunk in _chunks(litellm, response, tap):
        if given_up.is_set():
            break
        usage = getattr(chunk, "usage", None) or usage
        for choice in chunk.choices[:1]:
            text, reasoning = choice.delta.content or "", getattr(choice.delta, "reasoning_content", None) or ""
            if text or reasoning:
                put(Piece(text, reasoning))
    if tap.usage is not None:
        return End(_reason(response, tap), litellm.Usage(**tap.usage))
    # Where no event had usage, litellm's is its own estimate.
    counted = any(getattr(chunk, "usage", None) for chunk in getattr(response, "chunks", []))
    return End(_reason(response, tap), usage if counted else None)


def _reason(response: Any, tap: StreamTap) -> str | None:
    """Why the reply ended. litellm's chunks say "stop" of a stream that just ends, and of reasons that it does not
    know; its attribute says what came, in the streams that the tap cannot read."""
    return tap.finish_reason or getattr(response, "received_finish_reason", None)


def _chunks(litellm: Any, response: Any, tap: StreamTap) -> Iterator[Any]:
    try:
        yield from response
    except litellm.APIError:
        # All of the reply has come: litellm only fails to put the chunks together once more, for a log of its own,
        # when it does not know the reason that the server gave for the end.
        if _reason(response, tap) is None:
            raise


def _whole(litellm: Any, response: Any, body: Mapping[str, Any], put: Put) -> End:
    """A whole answer, as it came or, where that is not known, as litellm read it."""
    reply, choices = wire_bodies.reply(body), getattr(response, "choices", None)
    if reply is None:
        if not choices or choices[0].message is None:
            raise failed("not_a_reply", "the server's answer has no reply in it", unreadable=True)
        text, reasoning = wire_bodies.split_parts(choices[0].message.content)
        reply = text, reasoning or getattr(choices[0].message, "reasoning_content", None) or ""
    put(Piece(*reply))
    usage, counted = getattr(response, "usage", None), wire_bodies.usage(body)
    if usage is None and counted is not None:
        usage = litellm.Usage(**counted)
    reason = wire_bodies.finish_reason(body) or (choices[0].finish_reason if choices else None)
    return End(reason, usage)
