"""Keys as people have them: tidied before litellm reads them, refused when impossible, and told to nobody."""

from __future__ import annotations

import base64
import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from unittest import mock
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ai_sci.agent.models.adapter import open_model
from ai_sci.agent.models.keys import key_problem, tidy_keys
from ai_sci.agent.models.litellm_setup import load
from ai_sci.experiment.base import ConfigError
from ai_sci.keys import is_key_name, mask_keys
from tests.agent.models.calls import PROTOCOLS, ask, every_protocol, every_reader, model_at, serve
from tests.servers import faults
from tests.servers.loopback import Fault
from tests.servers.openai_strict import StrictServer

KEY = "sk-planted+0123/456=789"
VARIABLES = {protocol: f"{protocol.upper()}_API_KEY" for protocol in PROTOCOLS} | {"responses": "OPENAI_API_KEY"}

in_header = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=18, max_size=80).filter(
    lambda key: len(set(key)) > 1  # `xxxxxxxx` is no key
)

# What servers, proxies and gateways do with the header that they got.
ECHOES: dict[str, Callable[[str], Fault]] = {
    "400": lambda key: faults.status(400, f"Unknown parameter; your key is {key}"),
    "401": lambda key: faults.status(401, f"Incorrect API key provided: {key}. You can find yours on our page."),
    "403": lambda key: faults.status(403, f"{key} may not use this model"),
    "404": lambda key: faults.status(404, f"no model for {key}"),
    "429": lambda key: faults.status(429, f"slow down, {key}"),
    "500": lambda key: faults.status(500, body=json.dumps({"headers": {"Authorization": f"Bearer {key}"}}).encode()),
    "500 in JSON in JSON": lambda key: faults.status(500, json.dumps({"upstream": json.dumps({"key": key})})),
    "500 as a repr": lambda key: faults.status(500, body=repr({"authorization": b"Bearer " + key.encode()}).encode()),
    "502 in HTML": lambda key: faults.status(502, body=f"<html><body>GET /?key={quote(key)}</body></html>".encode()),
    "503 after 290 characters": lambda key: faults.status(503, "x" * 290 + key),
    "basic authorization": lambda key: faults.status(
        500, f"Basic {base64.b64encode(f'user:{key}'.encode()).decode()} is unknown"
    ),
    "in a stream": lambda key: faults.stream_error(message=f"the engine died serving {key}"),
    "no JSON in a stream": lambda key: faults.bad_event(f"data: {{{key}\n\n".encode()),
    "in HTTP 200": lambda key: faults.error_in_200(f"upstream refused {key}"),
    "redirect": lambda key: faults.redirect(f"/v1/{quote(key, safe='')}"),
}


@every_reader
@pytest.mark.parametrize("echo", ECHOES)
def test_no_failure_holds_the_key(protocol: str, echo: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(VARIABLES[protocol], KEY)
    with serve(protocol, ["never given"], [faults.echo(ECHOES[echo])] * 4) as server:
        outcome = ask(model_at(server, protocol))
    told = repr([outcome.line, *outcome.failures])
    assert server.requests[0].fault == "echo"
    for form in (KEY, quote(KEY), quote(KEY, safe=""), KEY[:12], base64.b64encode(KEY.encode()).decode()[4:-4]):
        assert form not in told


@settings(max_examples=15, deadline=None)
@given(in_header, st.sampled_from(list(ECHOES)))
def test_no_failure_holds_whatever_key(key: str, echo: str):
    with (
        mock.patch.dict(os.environ, OPENAI_API_KEY=key),
        StrictServer(["never given"], [faults.echo(ECHOES[echo])] * 4) as server,
    ):
        model = model_at(server)
        sent = os.environ["OPENAI_API_KEY"]  # without quotes around it
        outcome = ask(model)
    assert server.requests[0].headers["authorization"] == f"Bearer {sent}"
    assert sent not in repr([outcome.line, *outcome.failures])


@pytest.mark.parametrize("value", [f"{KEY}\r\n", f"\ufeff{KEY}\n", f'"{KEY}"\r\n', f" {KEY}\t", f"\u200b{KEY}\u00a0"])
@every_protocol
def test_a_key_with_something_around_it_works(protocol: str, value: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(VARIABLES[protocol], value)
    with serve(protocol, ["hello"]) as server:
        assert ask(model_at(server, protocol)).good.text == "hello"
    assert server.requests[0].key == KEY


def test_an_address_from_the_same_file_is_tidied_too(monkeypatch: pytest.MonkeyPatch):
    with StrictServer(["hello"]) as server:
        monkeypatch.setenv("OPENAI_API_KEY", f"{KEY}\r")
        monkeypatch.setenv("OPENAI_API_BASE", f"{server.url}\r")
        assert ask(open_model("openai/strict-model")).good.text == "hello"


def test_a_key_of_white_space_is_no_key(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("OPENAI_API_KEY", " \r\n")
    with pytest.raises(ConfigError, match="set OPENAI_API_KEY"):
        open_model("openai/gpt-4o")


def test_a_key_file_stays_as_it_is(monkeypatch: pytest.MonkeyPatch):
    files = {"VERTEXAI_CREDENTIALS": '{"type": "service_account"}\n', "GITHUB_APP_KEY": "-----BEGIN KEY-----\nabc\n"}
    for name, value in files.items():
        monkeypatch.setenv(name, value)
    tidy_keys()
    assert {name: os.environ[name] for name in files} == files
    assert not any(map(key_problem, files))


@pytest.mark.parametrize(
    "model, name",
    [
        ("openai/gpt-4o", "OPENAI_API_KEY"),
        ("gpt-4o", "OPENAI_API_KEY"),
        ("anthropic/claude-sonnet-4-5", "ANTHROPIC_API_KEY"),
        ("gemini/gemini-2.5-pro", "GEMINI_API_KEY"),
        ("gemini/gemini-2.5-pro", "GOOGLE_API_KEY"),
        ("deepseek/deepseek-chat", "DEEPSEEK_API_KEY"),
        ("mistral/mistral-large-latest", "MISTRAL_API_KEY"),
        ("together_ai/meta-llama/Llama-3-70b-chat-hf", "TOGETHERAI_API_KEY"),
        ("hosted_vllm/qwen", "HOSTED_VLLM_API_KEY"),
        ("perplexity/sonar", "PERPLEXITYAI_API_KEY"),
        ("openrouter/openai/gpt-4o", "OPENROUTER_API_KEY"),
        ("xai/grok-4", "XAI_API_KEY"),
        ("meta_llama/Llama-3.3-70B-Instruct", "LLAMA_API_KEY"),
        ("azure/gpt-4o", "AZURE_API_KEY"),
    ],
)
@pytest.mark.parametrize("char, what", [("é", "not an ASCII character"), ("\n", "a control character")])
def test_an_impossible_key_is_refused_by_name(model, name, char, what, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(name, f"sk-plant{char}ed-0123456789")
    with pytest.raises(ConfigError, match=rf"^{name} cannot be a key: character 9 of 22 is {what}") as refused:
        open_model(model)
    assert refused.value.exit_code == 2
    assert "plant" not in str(refused.value)
    assert os.environ[name] == f"sk-plant{char}ed-0123456789"


def test_an_impossible_key_of_somebody_else_does_no_harm(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    for name in ("MISTRAL_API_KEY", "DB_PASSWORD"):
        monkeypatch.setenv(name, "pässword-0123456789")
    with StrictServer(["hello"]) as server:
        assert ask(model_at(server)).good.text == "hello"


def test_every_variable_from_which_litellm_takes_a_key_is_known():
    """Read from its source: what is assigned to something called a key, a token, a secret or the like."""
    folder = Path(load().__file__).parent
    assigned = re.compile(
        r"\b\w*(?:api_?key|token|secret|password|credential)\w*(?::[^=\n]+)?\s*=\s*(\((?:[^()]|\([^()]*\))*\)|[^\n]*)",
        re.IGNORECASE,
    )
    read = re.compile(
        r'(?:get_secret(?:_str)?|getenv|environ\.get|environ\[)[(\s]*(?:secret_name=)?"([A-Z][A-Z0-9_]+)"'
    )
    names: set[str] = set()
    for file in [*folder.glob("llms/**/*.py"), *folder.glob("*.py"), *folder.glob("litellm_core_utils/**/*.py")]:
        for found in assigned.finditer(file.read_text(encoding="utf-8")):
            names |= set(read.findall(found[1]))
    assert len(names) > 80
    no_key = ("_API_BASE", "_FILE", "_TOKEN_COUNT")
    assert {name for name in names if not is_key_name(name) and not name.endswith(no_key)} == set()


def test_a_chained_error_is_masked_as_it_is_logged(monkeypatch: pytest.MonkeyPatch):
    import traceback

    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with StrictServer(["never given"], [faults.echo(ECHOES["401"])]) as server:
        outcome = ask(model_at(server))
    assert outcome.error is not None
    whole = "".join(traceback.format_exception(outcome.error))
    assert KEY in whole  # litellm's own words
    assert KEY not in mask_keys(whole)
