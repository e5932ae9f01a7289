"""What litellm knows of a model's prices and sizes, and what a call cost or may cost at most."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from agent.reply import Usage


@dataclass(frozen=True)
class ModelFacts:
    """Sizes in tokens, prices in US dollars a token; None where litellm does not know."""

    key: str | None = None  # the model's name in litellm's price list
    context_window: int | None = None
    max_output_tokens: int | None = None
    input_price: float | None = None
    output_price: float | None = None


def look_up(litellm: Any, name: str, provider: str, bare_name: str) -> ModelFacts:
    """The facts of the model that `--model name` means; `bare_name` is the name without the provider."""
    for key in (name, f"{provider}/{bare_name}", bare_name):
        entry = litellm.model_cost.get(key, {})
        # A bare name may be another provider's: openai/deepseek-reasoner is somebody's own server.
        if not str(entry.get("litellm_provider")).startswith(provider):
            continue
        return ModelFacts(
            key,
            _number(entry.get("max_input_tokens"), int),
            _number(entry.get("max_output_tokens") or entry.get("max_tokens"), int),
            _number(entry.get("input_cost_per_token"), float),
            _number(entry.get("output_cost_per_token"), float),
        )
    return ModelFacts()


def cost_of(litellm: Any, facts: ModelFacts, provider: str, raw_usage: Any) -> float | None:
    """US dollars for a call, cached and cache-writing tokens at their own prices; None when the price is unknown."""
    if facts.key is None or facts.input_price is None or facts.output_price is None:
        return None  # litellm raises a bare Exception for a model without a price
    prompt, completion = litellm.cost_per_token(
        model=facts.key, custom_llm_provider=provider, usage_object=raw_usage, call_type="completion"
    )
    return float(prompt + completion)


def worst_case(facts: ModelFacts, prompt_characters: int, max_tokens: int | None) -> float | None:
    """The most that one request can cost: nothing cached, three characters a token, the longest reply allowed."""
    longest = max_tokens or facts.max_output_tokens
    if facts.input_price is None or facts.output_price is None or longest is None:
        return None
    return prompt_characters / 3 * facts.input_price + longest * facts.output_price


def count_tokens(litellm: Any, model: str, messages: Iterable[dict[str, Any]], text: str) -> Usage:
    """Usage for a server that gives none, by litellm's tokenizer for the model, or GPT-4's."""
    return Usage(
        prompt_tokens=litellm.token_counter(model=model, messages=list(messages)),
        completion_tokens=litellm.token_counter(model=model, text=text) if text else 0,
        estimated=True,
    )


def usage_from(raw: Any) -> Usage | None:
    """Our usage from litellm's; None when the server left it out."""
    prompt = getattr(raw, "prompt_tokens", None) or 0
    if not prompt:
        return None  # no request has an empty prompt
    cached = getattr(getattr(raw, "prompt_tokens_details", None), "cached_tokens", None) or 0
    return Usage(int(prompt), int(getattr(raw, "completion_tokens", None) or 0), int(cached))


def _number(value: Any, kind: type) -> Any:
    return kind(value) if isinstance(value, (int, float)) else None
