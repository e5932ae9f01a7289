"""Environment variables for trusted steps (pip, prepare): ours, minus the keys to paid models."""

from __future__ import annotations

import os
import re

from ai_sci.keys import is_key_name

_SECRET = re.compile(r"KEY|TOKEN|SECRET|PASSW|CREDENTIAL|AUTH", re.IGNORECASE)
# Variables that downloads may need although they look like secrets.
_ALLOWED = re.compile(
    r"HF_TOKEN|HF_HOME|HUGGING_FACE_HUB_TOKEN|PIP_\w+|\w*_PROXY|SSL_CERT_\w+|\w+_CA_BUNDLE", re.IGNORECASE
)
# These would point pip or Python at a different installation.
_MISLEADING = {"PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "CONDA_PREFIX", "PIP_USER", "PIP_TARGET", "PIP_PREFIX"}


def secret_variables() -> list[str]:
    """Names in `os.environ` that look like secrets (HF_TOKEN does not count)."""
    secret = [name for name in os.environ if _SECRET.search(name) or is_key_name(name)]
    return [name for name in secret if not _ALLOWED.fullmatch(name)]


def trusted_environment(**more: str) -> dict[str, str]:
    """A copy of `os.environ` without anything that looks like a secret (HF_TOKEN stays), plus `more`."""
    left_out = _MISLEADING.union(secret_variables())
    kept = {name: value for name, value in os.environ.items() if name not in left_out}
    return {**kept, "PYTHONUNBUFFERED": "1", **more}
