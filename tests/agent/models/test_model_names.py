"""What `--model` may say: everything that cannot work is refused with one clear line, before anything is paid."""

from __future__ import annotations

import os

import pytest

from ai_sci.agent.models.adapter import open_model
from ai_sci.agent.models.one_try import Timeouts
from ai_sci.agent.models.retrying import RetryPolicy
from ai_sci.experiment.base.errors import ConfigError
from tests.agent.models.calls import ask
from tests.servers.openai_strict import StrictServer


@pytest.fixture(autouse=True)
def no_keys(monkeypatch):
    for name in list(os.environ):
        if name.endswith(("_API_KEY", "_API_BASE", "_BASE_URL")) or name == "AI_SCI_MODEL":
            monkeypatch.delenv(name)


@pytest.mark.parametrize(
    "name, words",
    [
        ("deepseek/deepseek-reasoner", "set DEEPSEEK_API_KEY"),
        ("anthropic/claude-sonnet-4-5", "set ANTHROPIC_API_KEY"),
        ("claude-sonnet-4-5", "set ANTHROPIC_API_KEY"),
        ("openai/gpt-4o", "set OPENAI_API_KEY"),
        ("gpt-4o", "set OPENAI_API_KEY"),
        ("gemini/gemini-2.5-pro", "set GOOGLE_API_KEY or GEMINI_API_KEY"),
        ("openrouter/deepseek/deepseek-r1", "set OPENROUTER_API_KEY"),
    ],
)
def test_a_missing_key_is_named(name, words):
    with pytest.raises(ConfigError) as error:
        open_model(name)
    assert words in str(error.value) and name in str(error.value)
    assert "\n" not in str(error.value)
    assert error.value.exit_code == 2


@pytest.mark.parametrize(
    "name, words",
    [
        ("deepsek/deepseek-reasoner", "deepseek/deepseek-reasoner"),
        ("claude-sonet-4-5", "claude-sonnet-4-5"),
        ("gpt-4oo", "gpt-4o"),
        ("qqqqqqqq", "provider/model"),
        ("nonsense provider/x", "litellm does not know"),
        ("text-embedding-3-small", "not a chat model"),
        ("openai/dall-e-3", "not a chat model"),
    ],
)
def test_a_name_that_litellm_does_not_know_is_refused_with_the_nearest(name, words, capfd):
    with pytest.raises(ConfigError) as error:
        open_model(name)
    assert words in str(error.value)
    assert "\n" not in str(error.value)
    assert capfd.readouterr() == ("", "")  # litellm would print 'Provider List: …'


def test_a_bare_name_for_a_server_of_ones_own_is_told_how_to_say_it():
    with pytest.raises(ConfigError, match="write openai/my-model"):
        open_model("my-model", api_base="http://127.0.0.1:1/v1")


@pytest.mark.parametrize("url", ["localhost:8000", "127.0.0.1", "ftp://host/v1", "http://", ""])
def test_an_api_base_that_is_no_url_is_refused(url):
    with pytest.raises(ConfigError, match="is not a URL"):
        open_model("openai/x", api_base=url)


def test_an_unknown_name_is_refused_in_a_process_that_has_played_a_script_too(tmp_path):
    (tmp_path / "01.md").write_text("hello")
    assert ask(open_model(f"scripted:{tmp_path}")).good.text == "hello"
    with pytest.raises(ConfigError, match="provider/model"):
        open_model("qqqqqqqq")


def test_a_key_in_the_environment_is_enough_and_it_is_the_one_sent(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-mine")
    with StrictServer(["hello"]) as server:
        assert ask(open_model("openai/any", api_base=server.url)).good.text == "hello"
    assert server.requests[0].headers["authorization"] == "Bearer sk-mine"


def test_a_server_of_ones_own_needs_no_key():
    with StrictServer(["hello"]) as server:
        assert ask(open_model("openai/any", api_base=server.url)).good.text == "hello"
    assert server.requests[0].headers["authorization"] == "Bearer no-key"
    assert (server.requests[0].body or {})["model"] == "any"


def test_an_api_base_in_the_environment_counts_too(monkeypatch):
    with StrictServer(["hello"]) as server:
        monkeypatch.setenv("OPENAI_API_BASE", server.url)
        assert ask(open_model("openai/any")).good.text == "hello"


def test_sizes_and_prices_are_known_before_the_first_call(monkeypatch):
    monkeypatch.setenv("DEEPSEEK_API_KEY", "x" * 20)
    model = open_model("deepseek/deepseek-reasoner")
    assert (model.context_window or 0) > 60_000
    assert 0 < (model.worst_case_cost([]) or 0) < 1


@pytest.mark.parametrize("name", ["openai/my-own-gemma", "openai/deepseek-reasoner"])
def test_a_server_of_ones_own_has_no_price(name):
    with StrictServer(["hello"]) as server:
        model = open_model(name, api_base=server.url)
        assert ask(model).good.cost is None
    assert model.worst_case_cost([]) is None


def test_waits_and_stalls_can_be_set_in_the_environment(monkeypatch):
    monkeypatch.setenv("AI_SCI_RETRY_WAIT", "0.02")
    monkeypatch.setenv("AI_SCI_STALL_TIMEOUT", "7")
    assert RetryPolicy.from_environment().first_wait == pytest.approx(0.02)
    assert RetryPolicy.from_environment().max_wait == pytest.approx(0.6)
    assert Timeouts.from_environment().between_tokens == 7
    for wrong in ("soon", "-1", "inf", "nan"):
        monkeypatch.setenv("AI_SCI_RETRY_WAIT", wrong)
        with pytest.raises(ConfigError, match="AI_SCI_RETRY_WAIT"):
            open_model("openai/any", api_base="http://127.0.0.1:1/v1")
