"""A model's prices and sizes as litellm knows them; what a call cost, and its worst case."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ai_sci.agent.models.price_file import EXAMPLE, VARIABLE
from ai_sci.agent.models.reply import Usage
from ai_sci.experiment.base import ConfigError

if TYPE_CHECKING:
    from ai_sci.agent.budgets import Budgets
    from ai_sci.agent.journal import Message
    from ai_sci.agent.models.protocol import Answerer

# Every price that can apply to a token: some rise with the prompt's length, Anthropic charges more for cache writes,
# and some providers price reasoning separately.
_INPUT_PRICE = re.compile(r"(?:input_cost_per_token|cache_creation_input_token_cost)(?:_above_(\d+)k_tokens)?")
_OUTPUT_PRICE = re.compile(r"(?:output_cost_per_token|output_cost_per_reasoning_token)(?:_above_(\d+)k_tokens)?")
_BYTES_PER_TOKEN = 2  # an underestimate: prose has 4, code with short lines 2.5; a Chinese character is 3 bytes
_TOKENS_PER_MESSAGE = 8  # its role and delimiters

Prices = tuple[tuple[int, float], ...]  # (prompt tokens from which it applies, US dollars per token)


@dataclass(frozen=True)
class ModelFacts:
    """Sizes in tokens, prices in US dollars per token; None where litellm does not know."""

    key: str | None = None  # the model's name in litellm's price list
    context_window: int | None = None
    max_output_tokens: int | None = None
    input_price: float | None = None
    output_price: float | None = None
    input_prices: Prices = ()  # all that can apply
    output_prices: Prices = ()
    streams: bool = True  # False: litellm would only pretend to, and lose why the reply ended


def look_up(litellm: Any, name: str, provider: str, bare_name: str) -> ModelFacts:
    """The facts of the model that `--model name` means; `bare_name` is the name without the provider."""
    for key in (name, f"{provider}/{bare_name}", bare_name):
        entry = litellm.model_cost.get(key, {})
        # A bare name may belong to another provider: openai/deepseek-reasoner is a self-hosted server.
        if not str(entry.get("litellm_provider")).startswith(provider):
            continue
        return ModelFacts(
            key,
            _number(entry.get("max_input_tokens"), int),
            _number(entry.get("max_output_tokens") or entry.get("max_tokens"), int),
            _number(entry.get("input_cost_per_token"), float),
            _number(entry.get("output_cost_per_token"), float),
            _prices(entry, _INPUT_PRICE),
            _prices(entry, _OUTPUT_PRICE),
            entry.get("supports_native_streaming") is not False,
        )
    return ModelFacts()


def cost_of(litellm: Any, facts: ModelFacts, provider: str, raw_usage: Any) -> float | None:
    """US dollars for a call, cached and cache-writing tokens at their own prices; None when the price is unknown."""
    if facts.key is None or facts.input_price is None or facts.output_price is None:
        return None  # litellm raises a bare Exception for a model without a price
    prompt, completion = litellm.cost_per_token(
        model=facts.key, custom_llm_provider=provider, usage_object=raw_usage, call_type="completion"
    )
    return float(prompt + completion) + _cache_cost(litellm.model_cost.get(facts.key, {}), raw_usage, facts.input_price)


def _cache_cost(entry: Mapping[str, Any], raw_usage: Any, input_price: float) -> float:
    """What litellm leaves out: it counts cache reads and writes as free where it has no price for them."""
    details = getattr(raw_usage, "prompt_tokens_details", None)
    cost = 0.0
    if entry.get("cache_read_input_token_cost") is None:
        price = _number(entry.get("input_cost_per_token_cache_hit"), float)
        cost += (getattr(details, "cached_tokens", None) or 0) * (input_price if price is None else price)
    if entry.get("cache_creation_input_token_cost") is None:
        cost += (getattr(details, "cache_creation_tokens", None) or 0) * input_price
    return cost


def prompt_tokens(messages: Sequence[Message]) -> int:
    """An upper bound on the tokens of this request, unless it is all emoji."""
    size = sum(len(message.content.encode("utf-8", "replace")) for message in messages)
    return math.ceil(size / _BYTES_PER_TOKEN) + _TOKENS_PER_MESSAGE * len(messages)


def worst_cost(facts: ModelFacts, prompt: int, max_tokens: int | None) -> float | None:
    """The worst case of one request in US dollars: nothing cached, and the longest reply allowed."""
    longest = max_tokens or facts.max_output_tokens
    if facts.input_price is None or facts.output_price is None or longest is None:
        return None
    return prompt * _dearest(facts.input_prices, prompt) + longest * _dearest(facts.output_prices, prompt)


def worst_tokens(facts: ModelFacts, prompt: int, max_tokens: int | None, window: int | None) -> int | None:
    """The worst case of one request in tokens, sent and received; a reply also has to fit into the context window."""
    longest = max_tokens or facts.max_output_tokens
    known = [most for most in (longest, None if window is None else max(0, window - prompt)) if most is not None]
    return prompt + min(known) if known else None


def require_known(model: Answerer, budgets: Budgets, window: int | None) -> None:
    """Raise ConfigError for a budget that cannot be enforced because the worst case of a call is unknown."""
    how = f"register them with {VARIABLE}=FILE.json, which holds {EXAMPLE.replace('NAME', model.name)}"
    if budgets.cost is not None and model.worst_case_cost([]) is None:
        raise ConfigError(
            f"litellm knows no price for {model.name}, or not how long its replies may be, so --max-cost cannot be "
            f"enforced: {how}; or leave it out, and limit the session with --max-time and --max-runs."
        )
    if budgets.tokens is not None and model.worst_case_tokens([], window) is None:
        raise ConfigError(
            f"it is not known how long a reply of {model.name} may be, so --max-tokens cannot be enforced: give "
            f"--context-window TOKENS, or {how}."
        )


def _prices(entry: Mapping[str, Any], form: re.Pattern[str]) -> Prices:
    found = ((form.fullmatch(name), price) for name, price in entry.items() if isinstance(price, (int, float)))
    return tuple((1000 * int(match[1] or 0), float(price)) for match, price in found if match)


def _dearest(prices: Prices, prompt: int) -> float:
    return max((price for threshold, price in prices if prompt >= threshold), default=0.0)


def count_tokens(litellm: Any, model: str, messages: Iterable[Message], text: str) -> Usage:
    """Usage for a server that reports none, from litellm's tokenizer for the model, or else GPT-4's."""
    wire = [{"role": message.role, "content": message.content} for message in messages]
    completion = litellm.token_counter(model=model, text=text) if text else 0
    return Usage(litellm.token_counter(model=model, messages=wire), completion)


def usage_from(raw: Any) -> Usage | None:
    """Our usage from litellm's; None when the server left it out."""
    prompt = getattr(raw, "prompt_tokens", None) or 0
    if not prompt:
        return None  # no request has an empty prompt
    cached = getattr(getattr(raw, "prompt_tokens_details", None), "cached_tokens", None) or 0
    return Usage(int(prompt), int(getattr(raw, "completion_tokens", None) or 0), int(cached), reported=True)


def _number(value: Any, kind: type) -> Any:
    return kind(value) if isinstance(value, (int, float)) else None
