"""What a call can cost: litellm's prices, those of a file, and the most that one try can come to."""

from __future__ import annotations

import json

import pytest

from ai_sci.agent.journal.conversation import Message
from ai_sci.agent.models.adapter import open_model
from ai_sci.agent.models.cost import cost_of, look_up, prompt_tokens, worst_cost, worst_tokens
from ai_sci.agent.models.litellm_setup import load
from ai_sci.experiment.base.errors import ConfigError

GOOD = {"input_cost_per_token": 1e-6, "output_cost_per_token": 4e-6, "max_output_tokens": 1000}
URL = "http://127.0.0.1:9/v1"


@pytest.fixture
def prices(tmp_path, monkeypatch):
    """Writes the file that AI_SCI_PRICES names."""
    file = tmp_path / "prices.json"
    monkeypatch.setenv("AI_SCI_PRICES", str(file))

    def write(content: object) -> None:
        file.write_text(content if isinstance(content, str) else json.dumps(content))

    return write


def test_a_registered_price_counts_and_other_models_stay_without(prices):
    prices({"openai/priced-here": {**GOOD, "max_input_tokens": 5000}})
    model = open_model("openai/priced-here", api_base=URL)
    assert model.context_window == 5000
    assert model.worst_case_cost([Message("user", "x" * 3000)]) == pytest.approx(1508 * 1e-6 + 1000 * 4e-6)
    assert open_model("openai/not-priced-here", api_base=URL).worst_case_cost([]) is None


@pytest.mark.parametrize(
    "content, words",
    [
        ("{", "is not JSON"),
        ("[]", "must be an object such as"),
        ({"openai/m": 3}, "openai/m: must be an object"),
        ({"openai/m": {"input_cost_per_token": 1e-6}}, "output_cost_per_token is missing"),
        ({"openai/m": {**GOOD, "input_cost_per_token": -1e-6}}, "input_cost_per_token must be US dollars"),
        ({"openai/m": {**GOOD, "output_cost_per_token": float("nan")}}, "output_cost_per_token must be US dollars"),
        ({"openai/m": {**GOOD, "output_cost_per_token": float("inf")}}, "not inf"),
        ({"openai/m": {**GOOD, "output_cost_per_token": "4e-6"}}, "not '4e-6'"),
        ({"openai/m": {**GOOD, "output_cost_per_token": True}}, "not True"),
        ({"openai/m": {**GOOD, "max_output_tokens": 0}}, "max_output_tokens must be a whole number"),
        ({"my-model": GOOD}, "does not know the provider in 'my-model'"),
        ("\ud800", "is not JSON"),
    ],
)
def test_a_wrong_file_is_one_clear_line(prices, content, words):
    prices(content if content != "\ud800" else "\x00")
    with pytest.raises(ConfigError) as refused:
        open_model("openai/m", api_base=URL)
    assert words in str(refused.value) and "\n" not in str(refused.value) and "AI_SCI_PRICES" in str(refused.value)


def test_a_file_that_is_not_there_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("AI_SCI_PRICES", str(tmp_path / "nothing.json"))
    with pytest.raises(ConfigError, match="nothing.json: No such file"):
        open_model("openai/m", api_base=URL)


def test_what_comes_from_a_cache_is_not_free_where_litellm_has_no_price_for_it():
    litellm = load()
    facts = look_up(litellm, "gpt-4-turbo", "openai", "gpt-4-turbo")
    usage = litellm.Usage(prompt_tokens=1000, completion_tokens=10, prompt_tokens_details={"cached_tokens": 800})
    assert cost_of(litellm, facts, "openai", usage) == pytest.approx(1000 * 1e-5 + 10 * 3e-5)
    facts = look_up(litellm, "gpt-4o-mini", "openai", "gpt-4o-mini")
    assert cost_of(litellm, facts, "openai", usage) == pytest.approx(200 * 1.5e-7 + 800 * 7.5e-8 + 10 * 6e-7)


@pytest.mark.parametrize("name", ["anthropic/claude-sonnet-4-5", "gemini/gemini-2.5-pro", "openai/gpt-4o-mini"])
@pytest.mark.parametrize("prompt", [100, 150_000, 250_000])
def test_no_call_costs_more_than_its_worst_case(name, prompt):
    """Written to a cache, over the threshold of a dearer price: whatever litellm then charges."""
    litellm = load()
    provider, _, bare = name.partition("/")
    facts = look_up(litellm, name, provider, bare)
    worst = worst_cost(facts, prompt, 2000)
    assert worst is not None
    for cached, written in [(0, 0), (prompt, 0), (0, prompt), (prompt // 2, prompt // 2)]:
        usage = litellm.Usage(
            prompt_tokens=prompt,
            completion_tokens=2000,
            prompt_tokens_details={"cached_tokens": cached},
            cache_creation_input_tokens=written,
            completion_tokens_details={"reasoning_tokens": 1500},
        )
        cost = cost_of(litellm, facts, provider, usage)
        assert cost is not None and cost <= worst * (1 + 1e-9)


def test_the_most_tokens_of_a_call_are_the_prompt_and_the_longest_reply_within_the_window():
    litellm = load()
    known = look_up(litellm, "gpt-4o-mini", "openai", "gpt-4o-mini")
    nothing = look_up(litellm, "openai/mine", "openai", "mine")
    assert worst_tokens(known, 100, None, None) == 100 + 16_384
    assert worst_tokens(known, 100, 500, None) == 600
    assert worst_tokens(known, 100, None, 8192) == 8192
    assert worst_tokens(nothing, 100, None, 8192) == 8192
    assert worst_tokens(nothing, 9000, None, 8192) == 9000
    assert worst_tokens(nothing, 100, None, None) is None


@pytest.mark.parametrize("text", ["def train(steps, rate):\n    x = 5.0\n" * 20, "稀疏自编码器的训练步骤" * 20, "a"])
def test_a_prompt_has_no_more_tokens_than_are_set_aside_for_it(text):
    counted = load().token_counter(model="gpt-4o", messages=[{"role": "user", "content": text}])
    assert counted <= prompt_tokens([Message("user", text)])
