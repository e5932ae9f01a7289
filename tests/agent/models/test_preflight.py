"""What keeps a request from leaving is said when the model is opened, with what to mend; nothing is sent."""

from __future__ import annotations

import importlib.util
import os
import threading

import pytest

from ai_sci.agent.models.adapter import open_model
from ai_sci.agent.models.connections import HttpTrace
from ai_sci.agent.models.errors import explain
from ai_sci.experiment.base.errors import ConfigError
from tests.agent.models.calls import ask, every_protocol, model_at, serve


@pytest.fixture(autouse=True)
def no_keys(monkeypatch):
    for name in list(os.environ):
        if name.endswith(("_API_KEY", "_API_BASE", "_BASE_URL")):
            monkeypatch.delenv(name)


def lacks(module: str, model: str, words: str):
    there = importlib.util.find_spec(module) is not None
    return pytest.param(model, {}, words, marks=pytest.mark.skipif(there, reason=f"{module} is installed"))


@pytest.mark.parametrize(
    ("model", "env", "words"),
    [
        lacks("boto3", "bedrock/anthropic.claude-3-haiku-20240307-v1:0", "pip install boto3"),
        lacks("boto3", "bedrock/converse/meta.llama3-70b-instruct-v1:0", "pip install boto3"),
        lacks("boto3", "sagemaker/x", "pip install boto3"),
        lacks("google", "vertex_ai/gemini-1.5-pro", "pip install google-cloud-aiplatform"),
        lacks("vertexai", "vertex_ai/claude-3-5-sonnet@20240620", "pip install google-cloud-aiplatform"),
        lacks("databricks", "databricks/x", "pip install databricks-sdk"),
        lacks("vllm", "vllm/x", "pip install vllm"),
        ("azure/x", {"AZURE_API_KEY": "key"}, "give --api-base URL, or set AZURE_API_BASE"),
        ("azure_ai/x", {}, "set AZURE_AI_API_BASE"),
        ("triton/x", {}, "set TRITON_API_BASE"),
        ("heroku/x", {}, "HEROKU_API_BASE"),
        ("watsonx/ibm/granite", {}, "Set WX_PROJECT_ID or WX_SPACE_ID"),
        ("gigachat/x", {}, "Set GIGACHAT_CREDENTIALS"),
        ("friendliai/x", {}, "FRIENDLIAI_API_KEY"),
        ("openai/x", {"OPENAI_API_KEY": "key", "OPENAI_API_BASE": "localhost:8000/v1"}, "set OPENAI_API_BASE"),
        ("anthropic/x", {"ANTHROPIC_API_KEY": "key", "ANTHROPIC_API_BASE": "host"}, "set ANTHROPIC_API_BASE"),
    ],
)
def test_what_is_missing_is_named(model, env, words, monkeypatch):
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError) as error:
        open_model(model)
    line = str(error.value)
    assert words in line and model in line
    assert "\n" not in line and "Traceback" not in line and "litellm." not in line
    assert error.value.exit_code == 2


@pytest.mark.parametrize("base", ["http://host:99999/v1", "http://host:0/v1", "http://[::1/v1", "http://", "host:8000"])
def test_an_address_that_is_none(base):
    with pytest.raises(ConfigError, match="is not a URL"):
        open_model("openai/x", api_base=base)


@every_protocol
def test_opening_a_model_sends_nothing_and_leaves_no_thread(protocol):
    with serve(protocol, ["fine"]) as server:
        threads = threading.active_count()
        model = model_at(server, protocol)
        assert server.requests == []
        assert threading.active_count() == threads
        assert ask(model).good.text == "fine"
        assert len(server.requests) == 1


def test_an_error_before_any_request_is_not_the_servers_answer():
    """As late as in a session: a credential that has expired meanwhile."""
    from litellm.exceptions import InternalServerError

    claimed = InternalServerError("credentials expired", "vertex_ai", "gemini")
    assert (explain(claimed, HttpTrace()).failure.kind, explain(claimed, HttpTrace()).retry) == ("not_sent", False)
    assert explain(claimed, HttpTrace(left=True)).failure.kind == "not_a_reply"


def test_an_error_of_another_http_library_is_the_networks():
    import requests

    claimed = Exception("claimed")
    claimed.status_code = 500  # type: ignore[attr-defined]  as litellm's errors have it
    claimed.__cause__ = requests.exceptions.ChunkedEncodingError("broken")
    assert explain(claimed, HttpTrace()).failure.kind == "not_a_reply"


def test_a_provider_that_signs_in_first_and_cannot_is_no_unknown_model(monkeypatch, tmp_path):
    monkeypatch.setenv("CHATGPT_TOKEN_DIR", str(tmp_path))
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    with pytest.raises(ConfigError, match="no request can be made for chatgpt/gpt-5: .*device code"):
        open_model("chatgpt/gpt-5")
