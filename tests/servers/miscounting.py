"""Servers that count a prompt's tokens otherwise than the whole of it, and say nothing about that."""

from __future__ import annotations

from typing import Any

from tests.servers.answers import Answer
from tests.servers.loopback import Recorded
from tests.servers.ollama_strict import OllamaServer
from tests.servers.openai_strict import StrictServer


class CuttingServer(StrictServer):
    """Reads no more of a prompt than its window holds, as Ollama does, and answers all the same."""

    window = 2400

    def _usage(self, answer: Answer, request: Recorded) -> dict[str, Any]:
        usage = super()._usage(answer, request)
        return {**usage, "prompt_tokens": min(usage["prompt_tokens"], self.window), "prompt_tokens_details": {}}


class CuttingOllama(OllamaServer):
    """Ollama itself."""

    window = CuttingServer.window

    def _end(self, answer: Answer, request: Recorded) -> dict[str, Any]:
        end = super()._end(answer, request)
        return {**end, "prompt_eval_count": min(end["prompt_eval_count"], self.window)}


class TinyWindow(CuttingServer):
    """Its window does not even hold the task and the code."""

    window = 700


class UncachedOnlyServer(StrictServer):
    """Counts only what its cache did not hold, and does not say that it has a cache."""

    def _usage(self, answer: Answer, request: Recorded) -> dict[str, Any]:
        usage = super()._usage(answer, request)
        cached = usage.pop("prompt_tokens_details")["cached_tokens"]
        return {**usage, "prompt_tokens": usage["prompt_tokens"] - cached}
