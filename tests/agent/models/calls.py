"""Asks a model the way the loop does, and keeps everything that came of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from ai_sci.agent.journal.conversation import Message
from ai_sci.agent.models.adapter import open_model
from ai_sci.agent.models.one_try import Timeouts
from ai_sci.agent.models.protocol import Model
from ai_sci.agent.models.reply import CallFailure, ModelUnavailable, Reply
from ai_sci.agent.models.retrying import RetryPolicy
from tests.servers.anthropic_strict import AnthropicServer
from tests.servers.deepseek_strict import DeepSeekServer
from tests.servers.gemini_strict import GeminiServer
from tests.servers.loopback import LoopbackServer
from tests.servers.mistral_strict import MistralServer
from tests.servers.ollama_strict import OllamaServer
from tests.servers.openai_strict import StrictServer
from tests.servers.responses_strict import ResponsesServer

QUICK = RetryPolicy(tries=4).scaled(0.001)
PATIENT = Timeouts(first_token=100.0, between_tokens=100.0)
IMPATIENT = Timeouts(first_token=1.0, between_tokens=1.0)
HELLO = [Message("user", "What shall we try?")]
TALK = [Message("user", "What shall we try?"), Message("assistant", "A larger penalty."), Message("user", "Go on.")]

# Server, the name under which litellm speaks its protocol.
PROTOCOLS: dict[str, tuple[type[LoopbackServer], str]] = {
    "openai": (StrictServer, "openai/strict-model"),
    "deepseek": (DeepSeekServer, "deepseek/deepseek-reasoner"),
    "anthropic": (AnthropicServer, "anthropic/claude-sonnet-4-5"),
    "gemini": (GeminiServer, "gemini/gemini-2.5-pro"),
    "ollama": (OllamaServer, "ollama_chat/llama3.1"),
    "mistral": (MistralServer, "mistral/magistral-medium-latest"),
    "responses": (ResponsesServer, "openai/gpt-5-codex"),
}


@dataclass
class Outcome:
    reply: Reply | None = None
    error: ModelUnavailable | None = None
    failures: list[CallFailure] = field(default_factory=list)
    deltas: list[str] = field(default_factory=list)

    @property
    def good(self) -> Reply:
        assert self.reply is not None, self.error
        return self.reply

    @property
    def kind(self) -> str:
        """Of the failure that ended the call."""
        assert self.error is not None, self.reply
        return self.error.failure.kind

    @property
    def line(self) -> str:
        """What a person reads: one line without a traceback or a path of some library."""
        line = str(self.error)
        assert "\n" not in line and "Traceback" not in line and "site-packages" not in line, line
        assert "litellm" not in line.lower(), line
        return line


def ask(model: Model, messages: Sequence[Message] = HELLO, turn: int = 0) -> Outcome:
    outcome = Outcome()
    try:
        outcome.reply = model.complete(
            messages, turn=turn, on_delta=outcome.deltas.append, on_failure=outcome.failures.append
        )
    except ModelUnavailable as error:
        outcome.error = error
    return outcome


def model_at(server: LoopbackServer, protocol: str = "openai", **options) -> Model:
    options = {"retry": QUICK, "timeouts": PATIENT, **options}
    return open_model(PROTOCOLS[protocol][1], api_base=server.url, **options)


every_protocol = pytest.mark.parametrize("protocol", PROTOCOLS)
# One for each way in which litellm reads: OpenAI's client, lines of OpenAI's kind, Anthropic's, Gemini's.
every_reader = pytest.mark.parametrize("protocol", ["openai", "deepseek", "anthropic", "gemini"])


def serve(protocol: str, *args, **options) -> LoopbackServer:
    return PROTOCOLS[protocol][0](*args, **options)
