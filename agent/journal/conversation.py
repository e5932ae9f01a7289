"""Computes the wire messages from the journal in one total function, so no request is ever malformed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from ai_sci.agent.journal.events import ConversationRebuilt, Event, Replied, Told
from ai_sci.agent.journal.prompts import render

Role = Literal["system", "user", "assistant"]


@dataclass(frozen=True)
class Message:
    """One message on the wire. Only these two keys are ever sent."""

    role: Role
    content: str


def wire_messages(events: Iterable[Event]) -> list[Message]:
    """The next request: user, assistant, user, …, starting and ending with user.

    Consecutive pieces from one side are joined with a blank line; empty ones are dropped. Failed requests are not part
    of the conversation, so a retry sends the same messages. The loop always has a user text first and last; a journal
    cut elsewhere gets `prompts/go_on.md` there, which keeps the function total. A rebuilt conversation still starts
    with the task, so the provider's prefix cache keeps working.
    """
    messages: list[Message] = []
    for role, text in _pieces(events):
        # A lone surrogate cannot be encoded as UTF-8, so the request could not be sent.
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


def prompt_hash(messages: Iterable[Message]) -> str:
    """The sha256 of a request, which replays compare."""
    canonical = json.dumps([[message.role, message.content] for message in messages])
    return hashlib.sha256(canonical.encode("ascii")).hexdigest()


def _pieces(events: Iterable[Event]) -> list[tuple[Role, str]]:
    pieces: list[tuple[Role, str]] = []
    task: list[tuple[Role, str]] = []
    for event in events:
        if isinstance(event, Told):
            pieces.append(("user", event.text))
            if event.prompt == "task" and not task:
                task.append(pieces[-1])
        elif isinstance(event, ConversationRebuilt):
            pieces = [*task, ("user", event.text)]
        elif isinstance(event, Replied):
            pieces.append(("assistant", event.text))
    return pieces
