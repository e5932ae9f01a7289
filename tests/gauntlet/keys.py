"""Keys: servers that show them, and keys with something around them or in them. Every case of the gauntlet is searched
for its keys; here they are where they would be found."""

from __future__ import annotations

import base64
import json
from urllib.parse import quote

from tests.gauntlet.case import Case
from tests.gauntlet.leaks import KEY
from tests.gauntlet.model_api import passes, stops
from tests.servers import faults
from tests.servers.answers import Answer
from tests.servers.anthropic_strict import AnthropicServer
from tests.servers.deepseek_strict import DeepSeekServer
from tests.servers.openai_strict import StrictServer


def works(name: str, value: str, **more) -> Case:
    """A session with this value in OPENAI_API_KEY goes as if nothing were wrong with it."""
    return Case(name, server=StrictServer, env={"OPENAI_API_KEY": value}, **more)


def refused(name: str, value: str, says: str, **more) -> Case:
    """Such a key is refused before anything begins."""
    return Case(
        name,
        server=StrictServer,
        env={"OPENAI_API_KEY": value},
        status=None,
        accepted=0,
        says=f"OPENAI_API_KEY cannot be a key: character .* {says}",
        **more,
    )


CASES = [
    stops(
        "key shown in a 401",
        faults.echo(lambda key: faults.status(401, f"Incorrect API key provided: {key}. Find yours on our page.")),
        "auth",
        "provided: OPENAI_API_KEY. Find yours",
        quick=True,
    ),
    stops(
        "key shown in a 400 as JSON in JSON",
        faults.echo(lambda key: faults.status(400, json.dumps({"got": json.dumps({"key": key})}))),
        "bad_request",
        "OPENAI_API_KEY",
    ),
    stops(
        "key shown at Anthropic",
        faults.echo(lambda key: faults.status(401, f"invalid x-api-key: {key}")),
        "auth",
        "invalid x-api-key: ANTHROPIC_API_KEY",
        server=AnthropicServer,
    ),
    passes(
        "key shown at DeepSeek in a header's repr",
        faults.echo(lambda key: faults.status(500, repr({"authorization": f"Bearer {key}"}))),
        "server_error",
        "Bearer DEEPSEEK_API_KEY",
        server=DeepSeekServer,
    ),
    passes(
        "key shown in an address in HTML",
        faults.echo(lambda key: faults.status(502, body=f"<html><body>/?key={quote(key)}</body></html>".encode())),
        "server_error",
        "key=OPENAI_API_KEY",
    ),
    passes(
        "key shown as basic authorization",
        faults.echo(lambda key: faults.status(429, f"Basic {base64.b64encode(f'me:{key}'.encode()).decode()}")),
        "rate_limited",
        "OPENAI_API_KEY",
    ),
    passes(
        "key shown in the middle of a stream",
        faults.echo(lambda key: faults.stream_error(message=f"died serving {key}")),
        "stream_error",
        "died serving OPENAI_API_KEY",
    ),
    passes(
        "key shown where JSON should be",
        faults.echo(lambda key: faults.bad_event(f"{{{key}".encode())),
        "not_a_reply",
    ),
    passes(
        "key shown in a reply",
        faults.echo(lambda key: faults.says(Answer(f"Your key is {key}."))),
        "no_edit",
    ),
    works("key with a line end from Windows", f"{KEY}\r\n", quick=True),
    works("key with a byte order mark", f"\ufeff{KEY}"),
    works("key in quotes", f'"{KEY}"\r'),
    works("key of white space for a server of one's own", " \r\n"),
    refused("key with another alphabet's letter", "sk-planted-é-0123456789", "not an ASCII character"),
    refused("key of two lines", "sk-planted-0123\nsk-planted-4567", "a control character"),
]
