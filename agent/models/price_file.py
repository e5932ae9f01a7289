"""`AI_SCI_PRICES=FILE.json`: prices of models that litellm does not know."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import Any

from ai_sci.experiment.base import ConfigError

VARIABLE = "AI_SCI_PRICES"
EXAMPLE = '{"NAME": {"input_cost_per_token": 1e-6, "output_cost_per_token": 4e-6, "max_output_tokens": 8192}}'
_NEEDED = ("input_cost_per_token", "output_cost_per_token", "max_output_tokens")


def register_prices(litellm: Any) -> None:
    """Register the file's models with litellm. Raises ConfigError, naming file and model, for a malformed file."""
    file = os.environ.get(VARIABLE)
    if not file:
        return
    for name, entry in _read(Path(file).expanduser()).items():
        provider = entry.get("litellm_provider") or _provider(litellm, name)
        entry = {"mode": "chat", **entry, "litellm_provider": provider}
        litellm.register_model({name: entry})


def _read(file: Path) -> dict[str, dict[str, Any]]:
    try:
        models = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{VARIABLE}={file}: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{VARIABLE}={file} is not JSON: {error}") from None
    if not isinstance(models, dict):
        raise ConfigError(f"{VARIABLE}={file} must be an object such as {EXAMPLE}")
    for name, entry in models.items():
        if fault := _fault(entry):
            raise ConfigError(f"{VARIABLE}={file}: {name}: {fault}")
    return models


def _fault(entry: Any) -> str:
    """What is wrong with one model's entry; empty when nothing is."""
    if not isinstance(entry, dict):
        return f"must be an object such as {EXAMPLE}"
    missing = [key for key in _NEEDED if key not in entry]
    if missing:
        return f"{missing[0]} is missing"
    for key, value in entry.items():
        if "cost" in key and not _is_amount(value):
            return f"{key} must be US dollars, a number that is not negative, not {value!r}"
        if key in ("max_output_tokens", "max_input_tokens", "max_tokens") and not _is_count(value):
            return f"{key} must be a whole number above 0, not {value!r}"
    return ""


def _is_amount(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value) and value >= 0


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _provider(litellm: Any, name: str) -> str:
    try:
        return litellm.get_llm_provider(model=name)[1]
    except litellm.BadRequestError:
        raise ConfigError(
            f"{VARIABLE}: litellm does not know the provider in {name!r}: write it as --model takes it, openai/{name} "
            "for a server of your own."
        ) from None
