"""Imports everything a session needs before any is forked, so that time and memory are spent only once."""

from __future__ import annotations

from ai_sci.agent.models import load_ahead, load_all, resolve, watch_http

# What litellm and the linters import lazily, on first use.
_LATER = (
    "ai_sci.agent.edits.lint",
    "aider.linter",
    "ai_sci.experiment.sandbox.bubblewrap",
    "flake8.checker",
    "flake8.main.application",
    "flake8.plugins.pyflakes",
    "flake8.style_guide",
    "h11",
    "httpcore",
    "jiter",
    "litellm._service_logger",
    "litellm.integrations.prometheus_services",
    "litellm.litellm_core_utils.default_encoding",  # a table of 100,000 tokens: 40 MB
    "litellm.litellm_core_utils.get_supported_openai_params",
    "litellm.litellm_core_utils.llm_request_utils",
    "litellm.litellm_core_utils.streaming_chunk_builder_utils",
    "litellm.litellm_core_utils.token_counter",
    "litellm.llms.openai.chat.gpt_audio_transformation",
    "litellm.llms.vertex_ai.vertex_ai_partner_models.anthropic.transformation",
    "openai.lib.streaming.chat",
    "openai.resources",
    "openai.resources.chat.completions",
    "openai.types.chat",
    "socksio",
    "tenacity",
    "tiktoken",
    "unittest",
)


def begin_preload() -> None:
    """Starts the imports in a thread, which has ended when `preload` returns."""
    load_ahead(_LATER)


def preload() -> None:
    """Finishes the imports in a second or two. Opens no connection and leaves no thread behind: we fork next."""
    litellm = load_all(_LATER)
    resolve(litellm, "openai/any", "http://127.0.0.1:9/v1")
    watch_http(litellm)
