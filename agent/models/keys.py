"""Keys as people have them in the environment: tidied, and refused where no request could hold them."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from typing import Any

from ai_sci.experiment.base import ConfigError
from ai_sci.keys import bare_key, is_key_name

_ADDRESS = ("_API_BASE", "_BASE_URL")  # comes from the same file, with the same line ends


def tidy_keys() -> None:
    """Takes white space, line ends, byte order marks and quotes from around the keys in `os.environ`, which is where
    litellm reads them: `$(cat key.txt)`, a `.env` from Windows. A key of which nothing is left counts as unset."""
    for name in list(os.environ):
        value = os.environ.get(name, "")
        if not (is_key_name(name) or name.endswith(_ADDRESS)) or _is_file(bare := bare_key(value)):
            continue
        if not bare:
            os.environ.pop(name, None)
        elif bare != value:
            os.environ[name] = bare


def refuse_impossible_keys(litellm: Any, model: str, provider: str, key: str | None) -> None:
    """Raises ConfigError when a key that this model needs has a character that no HTTP header can hold.

    `key` is the one that litellm has found already, if any.
    """
    impossible = {name: problem for name in list(os.environ) if (problem := key_problem(name))}
    needed = _read_for(litellm, model, provider, key, impossible) if impossible else []
    if needed:
        raise ConfigError(f"{needed[0]} {impossible[needed[0]]}")


def key_problem(name: str) -> str:
    """Why the value of this variable cannot be a key, without any part of it; "" when it can."""
    value = bare_key(os.environ.get(name, ""))
    at = next((at for at, char in enumerate(value, start=1) if not " " <= char <= "~"), 0)
    if not at or not is_key_name(name) or _is_file(value):
        return ""
    what = "a control character" if value[at - 1].isascii() else "not an ASCII character"
    return f"cannot be a key: character {at} of {len(value)} is {what}. Copy the key again from where you got it."


def _is_file(value: str) -> bool:
    """Whether this is the text of a key file or of a JSON file, which goes into no header."""
    return value.startswith(("{", "-----BEGIN"))


def _read_for(litellm: Any, model: str, provider: str, key: str | None, names: Iterable[str]) -> list[str]:
    """Those of the variables that litellm would read for the model, as far as it tells, or that bear its provider's
    name."""
    values = {name: os.environ.pop(name) for name in list(os.environ) if is_key_name(name)}
    try:
        missed = set(litellm.validate_environment(model)["missing_keys"])
    finally:
        os.environ.update(values)
    prefix = re.sub(r"[^A-Z0-9]", "", provider.upper())
    theirs = {name for name in names if name.replace("_", "").startswith(prefix) or values.get(name) == key}
    return [name for name in names if name in theirs or name in missed]
