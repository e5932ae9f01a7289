"""Resolves `--model NAME` for litellm and refuses what cannot work, before anything is spent."""

from __future__ import annotations

import difflib
import os
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from ai_sci.agent.models.cost import ModelFacts, look_up
from ai_sci.agent.models.errors import one_line
from ai_sci.agent.models.keys import refuse_impossible_keys
from ai_sci.experiment.base import ConfigError

_NOT_CHAT = {
    "image_generation",
    "image_edit",
    "embedding",
    "audio_transcription",
    "audio_speech",
    "video_generation",
    "rerank",
    "search",
    "ocr",
    "moderation",
    "vector_store",
}


@dataclass(frozen=True)
class Target:
    """A live model, resolved. `api_key` is set only where a placeholder is needed; litellm reads real keys itself."""

    name: str
    provider: str
    api_base: str | None
    api_key: str | None
    facts: ModelFacts

    @property
    def asked_as(self) -> str:
        """The name for litellm, which gives `ollama/…` no conversation but one prompt without the model's template."""
        return self.name.replace("ollama/", "ollama_chat/", 1) if self.provider == "ollama" else self.name


def resolve(litellm: Any, name: str, api_base: str | None) -> Target:
    """The target of a name. Raises ConfigError for an unknown name, a malformed URL, a missing or impossible key."""
    if api_base is not None:
        _check_url(api_base)
    try:
        bare_name, provider, key, _ = litellm.get_llm_provider(model=name, api_base=api_base)
    except litellm.BadRequestError as error:
        if reason := error.__cause__ or error.__context__:  # GitHub Copilot, say, is signed in to here
            raise ConfigError(f"no request can be made for {name}: {one_line(str(reason))}") from error
        raise ConfigError(_unknown(litellm, name, api_base)) from None
    refuse_impossible_keys(litellm, name, provider, key)
    facts = look_up(litellm, name, provider, bare_name)
    mode = litellm.model_cost.get(facts.key or name, {}).get("mode")
    if mode in _NOT_CHAT:
        raise ConfigError(f"{name} is not a chat model: litellm lists it under {mode}")
    return Target(name, provider, api_base, _placeholder_key(litellm, name, provider, api_base), facts)


def nearest(litellm: Any, name: str, count: int = 3) -> list[str]:
    """The names in litellm's list of chat models that look most like `name`."""
    known = [key for key, entry in litellm.model_cost.items() if entry.get("mode") not in _NOT_CHAT]
    known += [f"{entry['litellm_provider']}/{key}" for key, entry in litellm.model_cost.items() if _bare(key, entry)]
    return difflib.get_close_matches(name, sorted(set(known)), n=count, cutoff=0.6)


def key_names(litellm: Any, name: str) -> list[str]:
    """The unset environment variables that would hold this model's key."""
    missing = litellm.validate_environment(name)["missing_keys"]
    # What litellm calls missing may be set: it lists all of a provider's variables where one is not.
    return [key for key in missing if key.endswith(("_API_KEY", "_API_TOKEN", "_TOKEN")) and not os.environ.get(key)]


def _unknown(litellm: Any, name: str, api_base: str | None) -> str:
    if api_base is not None:
        return f"litellm does not know the provider in {name!r}; for a server of your own write openai/{name}"
    close = nearest(litellm, name)
    if close:
        return f"litellm does not know the model {name!r}; nearest names: {', '.join(close)}"
    provider = name.split("/")[0]
    known = [str(getattr(one, "value", one)) for one in litellm.provider_list]  # `scripted` is a plain str
    providers = difflib.get_close_matches(provider, known, n=3, cutoff=0.6)
    hint = (
        f"nearest providers: {', '.join(providers)}"
        if providers
        else "write provider/model, as in deepseek/deepseek-chat"
    )
    return f"litellm does not know the model {name!r}; {hint}"


def _placeholder_key(litellm: Any, name: str, provider: str, api_base: str | None) -> str | None:
    needed = key_names(litellm, name)
    if provider == "gemini" and len(needed) < 2:
        return None  # either of its two variables will do
    if not needed:
        return None
    if api_base is not None or _environment_base(provider) is not None:
        return "no-key"  # a self-hosted server needs no key, but OpenAI's client insists on one
    raise ConfigError(f"no key for {name}: set {' or '.join(needed)} in the environment")


def _environment_base(provider: str) -> str | None:
    """The API base that litellm would take from the environment."""
    prefix = provider.upper()
    return os.environ.get(f"{prefix}_API_BASE") or os.environ.get(f"{prefix}_BASE_URL")


def _check_url(api_base: str) -> None:
    try:
        parts = urlsplit(api_base)
        good = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:  # a port that is none, half an IPv6 address
        good = False
    if not good:
        raise ConfigError(f"--api-base {api_base!r} is not a URL; it looks like http://localhost:8000/v1")


def _bare(key: str, entry: dict[str, Any]) -> bool:
    return "/" not in key and "litellm_provider" in entry and entry.get("mode") == "chat"
