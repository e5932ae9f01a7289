"""From the journal to the messages on the wire: one total function, so no request can be refused for its form."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from agent.events import Event, Replied, Told
from agent.prompts import render

Role = Literal["system", "user", "assistant"]


@dataclass(frozen=True)
class Message:
    """One message on the wire. Nothing but these two keys is ever sent."""

    role: Role
    content: str


def wire_messages(events: Iterable[Event]) -> list[Message]:
    """The request that follows from `events`: user, assistant, user, …, beginning and ending on user.

    Pieces of one side are merged with a blank line between; what is empty after stripping is left out. Failed
    requests are not part of the conversation, so the same journal gives the same request again.
    The loop always has a user text first and last; a journal cut elsewhere gets `prompts/go_on.md` there, so that
    the function is total.
    """
    messages: list[Message] = []
    for role, text in _pieces(events):
        # A lone surrogate has no UTF-8 form: the request could not even be encoded.
        text = text.encode("utf-8", "replace").decode("utf-8").strip()
        if not text:
            continue
        if messages and messages[-1].role == role:
            messages[-1] = Message(role, f"{messages[-1].content}\n\n{text}")
            continue
        messages.append(Message(role, text))
    if not messages or messages[0].role != "user":
        messages.insert(0, Message("user", render("go_on")))
    if messages[-1].role != "user":
        messages.append(Message("user", render("go_on")))
    return messages


def prompt_hash(messages: Sequence[Message]) -> str:
    """sha256 over the messages in a canonical encoding: the same messages, the same hash, on any machine."""
    wire = [[message.role, message.content] for message in messages]
    return hashlib.sha256(json.dumps(wire, ensure_ascii=True, separators=(",", ":")).encode("ascii")).hexdigest()


def _pieces(events: Iterable[Event]) -> Iterable[tuple[Role, str]]:
    for event in events:
        if isinstance(event, Told):
            yield "user", event.text
        elif isinstance(event, Replied):
            yield "assistant", event.text
