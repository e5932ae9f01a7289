"""The model adapter: opens what `--model` names and calls it, with exactly one HTTP request per try."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ai_sci.agent.journal import Message
from ai_sci.agent.models.connections import watch_http
from ai_sci.agent.models.cost import cost_of, count_tokens, prompt_tokens, usage_from, worst_cost, worst_tokens
from ai_sci.agent.models.errors import TryFailed
from ai_sci.agent.models.keys import tidy_keys
from ai_sci.agent.models.litellm_setup import load, load_ahead
from ai_sci.agent.models.names import Target, key_names, nearest, resolve
from ai_sci.agent.models.one_try import RawReply, Timeouts, request, try_once
from ai_sci.agent.models.playback import open_history, open_recorded
from ai_sci.agent.models.preflight import require_sendable
from ai_sci.agent.models.price_file import register_prices
from ai_sci.agent.models.protocol import Model, OnDelta, OnFailure
from ai_sci.agent.models.reply import CallFailure, ModelUnavailable, Reply, Usage
from ai_sci.agent.models.retrying import BeforeTry, RetryPolicy, unlimited, until_answered
from ai_sci.agent.models.scripted import ScriptedModel, load_script

# Anthropic requires max_tokens. A reply that edits two files needs a tenth of this, and rate limits count all of it.
_ANTHROPIC_MAX_TOKENS = 32_000
_ANTHROPIC_UNKNOWN_MODEL = 8_192
_NO_STREAM_USAGE = re.compile(r"stream_options|include_usage", re.IGNORECASE)
_NO_STREAM = re.compile(r"\bstream(ing)?\b.{0,40}\b(not|un)\s?(supported|allowed|available)", re.IGNORECASE)


def open_model(
    name: str,
    *,
    api_base: str | None = None,
    wait: float | None = None,
    retry: RetryPolicy | None = None,
    timeouts: Timeouts | None = None,
) -> Model:
    """The model that `--model` names. `wait` is how many seconds it may wait for a usage limit to reset (`--wait`).

    Raises ConfigError, before anything is spent, for a name that litellm does not know, a missing key (naming the
    variable), a malformed URL or a folder without replies. Imports litellm only for a live model.
    """
    retry = retry or RetryPolicy.from_environment()
    if wait is not None:
        retry = replace(retry, patience=wait)
    timeouts = timeouts or Timeouts.from_environment()
    if name.startswith("scripted:"):
        folder = Path(name.removeprefix("scripted:")).expanduser()
        return ScriptedModel(name, load_script(folder), retry, timeouts)
    if name.startswith("replay:"):
        return open_recorded(name)
    if name.startswith("history:"):
        return open_history(name)
    litellm = load()
    tidy_keys()
    register_prices(litellm)
    target = resolve(litellm, name, api_base)
    watch_http(litellm)
    model = LiveModel(target, retry, timeouts)
    require_sendable(litellm, target, model.arguments([Message("user", "?")], streaming=False))
    return model


def prepare_model(name: str | None) -> None:
    """Start importing what `open_model(name)` and its first request need, in a thread; None is a template's script."""
    if not (name or "").startswith(("replay:", "history:")):
        load_ahead()


class LiveModel:
    """A model behind litellm. It keeps no conversation, only what it has learned about its server's limits."""

    def __init__(self, target: Target, retry: RetryPolicy, timeouts: Timeouts) -> None:
        self.name = target.name
        self.context_window = target.facts.context_window
        self._target = target
        self._retry = retry
        self._timeouts = timeouts
        self._max_tokens = None
        if target.provider == "anthropic":
            self._max_tokens = min(target.facts.max_output_tokens or _ANTHROPIC_UNKNOWN_MODEL, _ANTHROPIC_MAX_TOKENS)
        self._reached = False  # has the server ever answered?
        self._streams = target.facts.streams  # until the server turns out not to stream
        self._stream_usage = True  # until it refuses to report usage in a stream
        self._whole_next = False  # a stream was unreadable: send the next try unstreamed
        self._whole_helped = 0  # calls in which that worked

    def complete(
        self,
        messages: Sequence[Message],
        *,
        turn: int,
        on_delta: OnDelta,
        on_failure: OnFailure,
        before_try: BeforeTry = unlimited,
    ) -> Reply:
        """The reply, after retries; see `Model.complete`."""
        self._whole_next = False
        try:
            return until_answered(
                lambda seconds: self._ask(messages, on_delta, seconds),
                self._retry,
                before_try,
                on_failure,
                lambda: self._reached,
            )
        except TryFailed as error:
            failure = error.failure
            raise ModelUnavailable(f"{self.name}: {failure.message}{self._advice(failure)}", failure) from error

    def worst_case_cost(self, messages: Sequence[Message]) -> float | None:
        """US dollars; None when a price or the longest reply is unknown."""
        return worst_cost(self._target.facts, prompt_tokens(messages), self._max_tokens)

    def worst_case_tokens(self, messages: Sequence[Message], window: int | None) -> int | None:
        """Prompt plus the longest reply; None when that length is unknown."""
        return worst_tokens(self._target.facts, prompt_tokens(messages), self._max_tokens, window)

    def _ask(self, messages: Sequence[Message], on_delta: OnDelta, seconds: float) -> Reply:
        litellm = load()
        streaming = self._streams and not self._whole_next
        try:
            raw = try_once(litellm, self.arguments(messages, streaming), self._timeouts, on_delta, seconds)
        except TryFailed as error:
            self._learn(error, streaming)
            self._price(litellm, messages, error)
            raise
        self._reached = True
        self._whole_helped += self._whole_next and not streaming
        if self._whole_helped >= 2:
            self._streams = False  # this server ignores `stream`; asking again would pay for every reply twice
        return self._reply(litellm, messages, raw)

    def arguments(self, messages: Sequence[Message], streaming: bool) -> dict[str, Any]:
        """litellm's for one request."""
        target = self._target
        arguments: dict[str, Any] = {
            **request(messages, stream=streaming, usage=self._stream_usage),
            "model": target.asked_as,
        }
        if target.api_base is not None:
            arguments["api_base"] = target.api_base
        if target.api_key is not None:
            arguments["api_key"] = target.api_key
        if self._max_tokens is not None:
            arguments["max_tokens"] = self._max_tokens
        if target.provider == "anthropic":
            arguments["messages"] = with_cache_marks(arguments["messages"])
        return arguments

    def _learn(self, error: TryFailed, streaming: bool) -> None:
        """Note what the server cannot do, and have the call retried at once without it."""
        failure = error.failure
        self._reached = self._reached or failure.kind != "connection"
        if not streaming:
            return
        if failure.kind == "bad_request" and self._stream_usage and _NO_STREAM_USAGE.search(failure.message):
            self._stream_usage, error.retry, error.wait = False, True, 0.0
        elif failure.kind == "bad_request" and _NO_STREAM.search(failure.message):
            self._streams, error.retry, error.wait = False, True, 0.0
        elif error.unreadable:
            self._whole_next = True

    def _price(self, litellm: Any, messages: Sequence[Message], error: TryFailed) -> None:
        """Add what a failed try may have cost: the provider read the whole prompt and wrote what was received."""
        if error.received is not None:
            usage, cost = self._counted(litellm, messages, error.received)
            error.failure = replace(error.failure, usage=usage, cost=cost)

    def _counted(self, litellm: Any, messages: Sequence[Message], text: str) -> tuple[Usage, float | None]:
        """Tokens and cost where the server reported no usage."""
        target = self._target
        usage = count_tokens(litellm, target.name, messages, text)
        raw = litellm.Usage(prompt_tokens=usage.prompt_tokens, completion_tokens=usage.completion_tokens)
        return usage, cost_of(litellm, target.facts, target.provider, raw)

    def _reply(self, litellm: Any, messages: Sequence[Message], raw: RawReply) -> Reply:
        usage, target = usage_from(raw.usage), self._target
        if usage is None:
            usage, cost = self._counted(litellm, messages, raw.reasoning + raw.text)
        else:
            cost = cost_of(litellm, target.facts, target.provider, raw.usage)
        return Reply(raw.text, raw.reasoning, raw.finish_reason, usage, cost)

    def _advice(self, failure: CallFailure) -> str:
        if failure.kind == "auth":
            names = key_names(load(), self.name) or [f"{self._target.provider.upper()}_API_KEY"]
            return f"; check {' or '.join(names)}"
        if failure.kind == "connection" and self._target.api_base:
            return f"; is a server running at {self._target.api_base}?"
        if failure.kind == "connection":
            return "; is the network up?"
        if failure.kind == "not_found" and self._target.api_base is None:
            close = [name for name in nearest(load(), self.name) if name != self.name]
            return f"; nearest names: {', '.join(close)}" if close else ""
        return ""


def with_cache_marks(wire: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Mark the prefixes that Anthropic should cache: up to the instructions, which survive a rebuilt conversation, and
    up to the end, where the next request continues."""
    marked = [next((i for i, message in enumerate(wire) if message["role"] == "user"), 0), len(wire) - 1]
    return [
        {**message, "content": [{"type": "text", "text": message["content"], "cache_control": {"type": "ephemeral"}}]}
        if index in marked
        else message
        for index, message in enumerate(wire)
    ]
