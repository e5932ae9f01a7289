"""Keys in the environment: in no spelling do they come through, and ordinary text stays as it is."""

from __future__ import annotations

import base64
import html
import json
import os
import re
from collections.abc import Callable
from unittest import mock
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ai_sci.keys import KeyMask, bare_key, fill_in_keys, is_key_name, mask_keys, mask_keys_in

KEY = "sk-proj-0A_planted+key/of=nobody"

SPELLINGS: dict[str, Callable[[str], str]] = {
    "plain": str,
    "JSON": lambda key: json.dumps({"error": f"bad key {key}"}),
    "JSON in JSON": lambda key: json.dumps(json.dumps([key])),
    "JSON with slashes escaped": lambda key: json.dumps(key).replace("/", "\\/"),
    "JSON in UTF-8": lambda key: json.dumps(key, ensure_ascii=False),
    "repr": lambda key: repr({"api_key": key}),
    "repr of a repr": lambda key: repr(repr([key])),
    "repr of bytes": lambda key: repr({"Authorization": f"Bearer {key}".encode()}),
    "query": lambda key: f"https://host/v1?key={quote_plus(key)}&alt=sse",
    "path": lambda key: f"https://host/{quote(key, safe='')}/v1",
    "quoted twice": lambda key: quote(quote(key, safe=""), safe=""),
    "HTML": lambda key: f"<p>{html.escape(key)}</p>",
    "HTML with numbers": lambda key: "".join(char if char.isalnum() else f"&#{ord(char)};" for char in key),
    "escaped for JavaScript": lambda key: "".join(
        char if char.isalnum() else "".join(f"\\u{unit:04X}" for unit in _utf16(char)) for char in key
    ),
    "basic authorization": lambda key: "Basic " + base64.b64encode(f"user:{key}".encode()).decode(),
    "base64 in a URL": lambda key: base64.urlsafe_b64encode(f"{key}:x".encode()).decode(),
    "on one line": lambda key: " ".join(f"the key {key} is bad".split()),
}
# A key as a provider gives it, and what people put into *_SECRET: any characters, lines, another alphabet.
in_header = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=8, max_size=60)
anything = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=8, max_size=60)
names = st.sampled_from(["OPENAI_API_KEY", "MY_TOKEN", "WANDB_API_KEY", "CLIENT_SECRET", "DB_PASSWORD"])
around = st.sampled_from(["", " ", "\n", "\r\n", "\t", "\ufeff", "\u200b", "'", '"', ' "\n'])


def _utf16(char: str) -> list[int]:
    data = char.encode("utf-16-be")
    return [int.from_bytes(data[at : at + 2], "big") for at in range(0, len(data), 2)]


def _hidden(value: str) -> bool:
    """Whether a value is long enough, and no mere word, number or path."""
    key = bare_key(value)
    letters = re.sub("[._/]", "", key)
    is_text = letters.isdigit() or letters.isalpha() or len(set(key)) == 1
    return len(key) >= 8 and not is_text and not key.startswith(("/", "~"))


@pytest.fixture
def environment():
    with mock.patch.dict(os.environ, clear=True):
        yield os.environ


@pytest.mark.parametrize("spelling", SPELLINGS)
@settings(max_examples=30)
@given(st.data())
def test_no_spelling_of_a_key_comes_through(spelling: str, data: st.DataObject):
    key, name = data.draw(in_header | anything), data.draw(names)
    value = data.draw(around) + key + data.draw(around)
    key = bare_key(value)
    if not _hidden(key):
        return
    spelled = SPELLINGS[spelling](key)
    text = data.draw(st.sampled_from(["", "no ", '{"a": "'])) + spelled + data.draw(st.sampled_from(["", " end", '"}']))
    with mock.patch.dict(os.environ, {name: value}, clear=True):
        masked = mask_keys(text)
    assert name in masked
    for form in (key, json.dumps(key)[1:-1], quote(key), html.escape(key), " ".join(key.split())):
        assert form not in masked.replace(name, "\0")


@given(in_header.filter(_hidden), st.lists(st.integers(0, 80)), st.text(max_size=20), st.text(max_size=20))
def test_no_key_comes_through_in_pieces(key: str, cuts: list[int], before: str, after: str):
    text = before + key + after
    ends = sorted({min(cut, len(text)) for cut in cuts})
    pieces = [text[start:end] for start, end in zip([0, *ends], [*ends, len(text)], strict=True)]
    with mock.patch.dict(os.environ, {"OPENAI_API_KEY": key}, clear=True):
        mask = KeyMask()
        shown = [mask.feed(piece) for piece in pieces]
        shown.append(mask.end())
        whole = mask_keys(text)
    assert key not in "".join(shown)
    assert "".join(shown) == whole or key in text.replace(key, "", 1)  # which of two that overlap is a matter of taste


@given(st.text(max_size=200))
def test_text_without_a_key_stays_byte_for_byte(text: str):
    with mock.patch.dict(os.environ, {"OPENAI_API_KEY": KEY, "FOO_KEY": "1", "HF_TOKEN": "\n"}, clear=True):
        mask = KeyMask()
        assert mask_keys(text) == text
        assert mask.feed(text) + mask.end() == text


@pytest.mark.parametrize(
    "name",
    [
        *("OPENAI_API_KEY", "HF_TOKEN", "CLIENT_SECRET", "DB_PASSWORD", "API_KEY_2", "openai_api_key", "KEY"),
        *("AWS_ACCESS_KEY_ID", "AWS_BEARER_TOKEN_BEDROCK", "WATSONX_ZENAPIKEY", "SNOWFLAKE_JWT", "CLARIFAI_PAT"),
        *("VERTEX_CREDENTIALS", "GOOGLE_CREDS", "SENTRY_DSN", "SLACK_WEBHOOK_URL", "PGPASSWORD", "MYSQL_PWD"),
        *("OTEL_EXPORTER_OTLP_HEADERS", "LITELLM_LICENSE", "GITHUB_TOKEN_1"),
    ],
)
def test_names_that_hold_a_key(name: str):
    assert is_key_name(name)


@pytest.mark.parametrize(
    "name",
    [
        *("PATH", "HOME", "PWD", "OLDPWD", "LANG", "TOKENIZERS_PARALLELISM", "KEYBOARD_LAYOUT", "GIT_AUTHOR_NAME"),
        *("SSH_AUTH_SOCK", "AWS_WEB_IDENTITY_TOKEN_FILE", "AZURE_KEY_VAULT_URI", "OPENAI_API_BASE", "AI_SCI_MODEL"),
        *("XAUTHORITY", "TOKEN_URL", "MONKEYPATCH", "AZURE_AUTHORITY_HOST"),
    ],
)
def test_names_that_hold_none(name: str):
    assert not is_key_name(name)


def test_what_is_no_key_stays(environment: os._Environ[str], tmp_path):
    environment.update(
        LLM_KEY="OPENAI_API_KEY",
        FOO_KEY="1",
        DEBUG_TOKEN="enforced",
        SERVICE_SECRET="20250101",
        SIGNING_KEY=str(tmp_path),
        MAX_TOKENS="4096",
    )
    text = f"1 of 20250101 is enforced in {tmp_path}, at most 4096: set OPENAI_API_KEY"
    assert mask_keys(text) == text


@pytest.mark.parametrize(
    "text",
    [
        *("val_loss", "experiment.py", "data/train.csv", "training", "Training", "ACCURACY", "placeholder", "anything"),
        *("20250101", "========", "x" * 24),
    ],
)
@pytest.mark.parametrize("name", ["SORT_KEY", "APP_SECRET", "OPENAI_API_KEY"])
def test_what_code_and_prose_hold_as_well_stays(environment: os._Environ[str], name: str, text: str):
    environment.update({name: text, "DB_URL": f"postgres://me:{text}@host/db"})
    assert mask_keys(f"a {text} b") == f"a {text} b"


@pytest.mark.parametrize(
    "key",
    ["hf_abcdefghij", "sk_abcdefghij", "sk-abcdef", "another-key", "Tr0ub4dor", "CorrectHorse", "abcdefghijklmnop"],
)
def test_short_keys_are_hidden(environment: os._Environ[str], key: str):
    environment.update(APP_SECRET=key)
    assert mask_keys(f"a {key} b") == "a APP_SECRET b"


def test_the_longer_of_two_keys_is_found_first(environment: os._Environ[str]):
    environment.update(A_KEY="sk-123456789", B_KEY="sk-123456789-abc", C_KEY="sk-123456789")
    assert mask_keys("sk-123456789-abc sk-123456789") == "B_KEY A_KEY"


def test_a_password_in_an_address_is_a_key(environment: os._Environ[str]):
    environment.update(HTTPS_PROXY="http://me:pass%2Fword1@proxy:3128", SAFE_URL="http://host/v1")
    assert mask_keys("proxy http://me:pass%2Fword1@proxy:3128") == "proxy http://me:HTTPS_PROXY@proxy:3128"
    assert mask_keys("pass/word1 at http://host/v1") == "HTTPS_PROXY at http://host/v1"


def test_values_in_json(environment: os._Environ[str]):
    environment["OPENAI_API_KEY"] = f"{KEY}\r\n"
    value = {KEY: [f"a {KEY}", 3, None, {"b": (KEY, 1.5)}]}
    assert mask_keys_in(value) == {"OPENAI_API_KEY": ["a OPENAI_API_KEY", 3, None, {"b": ("OPENAI_API_KEY", 1.5)}]}


def test_a_strange_name_does_no_harm(environment: os._Environ[str]):
    environment["a\\1(.*_KEY"] = KEY
    assert mask_keys(f"x {KEY}") == "x a\\1(.*_KEY"
    assert fill_in_keys("x a\\1(.*_KEY") == f"x {KEY}"


def test_an_address_gets_its_key_back(environment: os._Environ[str]):
    environment.update(GATEWAY_KEY=KEY, GATEWAY_KEY_2="another-key")
    address = f"https://gateway/{KEY}/another-key/v1"
    assert mask_keys(address) == "https://gateway/GATEWAY_KEY/GATEWAY_KEY_2/v1"
    assert fill_in_keys(mask_keys(address)) == address
    assert fill_in_keys("https://host/v1") == "https://host/v1"


@pytest.mark.parametrize(
    "value", [f"{KEY}\r\n", f"\ufeff{KEY}\n", f'"{KEY}"\r', f" '{KEY}' ", f"{KEY}\u200b", f"\u00a0{KEY}\t"]
)
def test_what_surrounds_a_key_is_taken_off(value: str):
    assert bare_key(value) == KEY


def test_quotes_inside_a_key_stay():
    assert bare_key('"half') == '"half' and bare_key("a'b") == "a'b" and bare_key('"') == '"'
