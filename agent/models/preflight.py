"""Makes a first request without sending it, so that what keeps a request from leaving is said before anything is spent.

Providers need packages (boto3, Google's SDK), variables and addresses that only litellm knows of, and it finds them
missing when it builds a request. By then a baseline may have run for hours.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ai_sci.agent.models.connections import HeldBack, HttpTrace, SecondRequest, traced
from ai_sci.agent.models.errors import causes, explain, one_line
from ai_sci.experiment.base import ConfigError

if TYPE_CHECKING:
    from ai_sci.agent.models.names import Target

_PACKAGES = {  # of modules that are not named as their package
    "botocore": "boto3",
    "google": "google-cloud-aiplatform",
    "vertexai": "google-cloud-aiplatform",
    "databricks": "databricks-sdk",
}
_NO_MODULE = re.compile(r"No module named '([\w.]+)'")
_NO_BASE = re.compile(r"api[_ ]base|base[_ ]url|endpoint|missing an 'https?://'", re.IGNORECASE)
_NO_KEY = re.compile(r"api[_ ]key|credential", re.IGNORECASE)
_VARIABLE = re.compile(r"\b[A-Z][A-Z0-9]*_[A-Z0-9_]+\b")


def require_sendable(litellm: Any, target: Target, arguments: Mapping[str, Any]) -> None:
    """Raises ConfigError, which names what to mend, when litellm cannot make a request of these arguments."""
    trace = HttpTrace(hold=True)
    with traced(trace):
        try:
            litellm.completion(**arguments)
        except (HeldBack, SecondRequest):
            return
        except Exception as error:  # noqa: BLE001 - whatever it is, nothing can be sent
            if not trace.left and explain(error, trace).failure.kind in ("not_sent", "internal"):
                raise ConfigError(_what_to_mend(litellm, target, error)) from error


def _what_to_mend(litellm: Any, target: Target, error: Exception) -> str:
    chain = list(causes(error))
    by_httpx = [one for one in chain if type(one).__module__.startswith("httpx")]
    said_by = [*by_httpx, *chain[1:], error][0]  # the outermost is litellm's wrapping
    prefix = re.sub(r"\W", "_", target.provider).upper()
    # OpenAI's client names its own variable, whoever's key is missing.
    words = one_line(str(said_by)).rstrip(".").replace("OPENAI_API_KEY", f"{prefix}_API_KEY")
    advice = _advice(litellm, target, chain, words, prefix)
    return f"no request can be made for {target.name}: {words}{advice and '; '}{advice}"


def _advice(litellm: Any, target: Target, chain: Sequence[BaseException], words: str, prefix: str) -> str:
    if missing := _NO_MODULE.search(" ".join(map(str, chain))):
        module = missing[1].split(".")[0]
        return f"install the package beside ai-sci: {sys.executable} -m pip install {_PACKAGES.get(module, module)}"
    if any(isinstance(one, UnicodeError) for one in chain):
        return f"check the characters of {prefix}_API_KEY"
    if _NO_BASE.search(words) and target.api_base is None:
        return f"give --api-base URL, or set {prefix}_API_BASE"
    if _VARIABLE.search(words):
        return ""  # it says what to set
    unset = litellm.validate_environment(target.name)["missing_keys"]
    if not unset and _NO_KEY.search(words):
        unset = [f"{prefix}_API_KEY"]
    return f"set {' and '.join(unset)}" if unset else ""
