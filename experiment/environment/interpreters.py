"""The Python that an experiment environment is built on: the harness's own, or a version that the template needs."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from ai_sci.experiment.base import ConfigError

_NAMES = ("python3.12", "python3.11", "python3.13", "python3.10", "python3")
_PROBE = "import json, sys; print(json.dumps([sys.executable, sys.version, sys.base_prefix, sys.base_exec_prefix]))"


@dataclass(frozen=True)
class Interpreter:
    """An installed Python; `prefixes` are the folders of its installation."""

    path: Path
    version: str  # sys.version, builder and date included
    prefixes: tuple[str, ...]

    @property
    def number(self) -> str:
        """The version alone, such as `3.11.4`."""
        return self.version.split()[0]


def find_interpreter(wanted: str | None) -> Interpreter:
    """The harness's base interpreter if its version satisfies `wanted` (such as ">=3.11"), else one on the PATH.

    Raises ConfigError if none fits.
    """
    own = _own()
    if wanted is None or _fits(own.number, wanted):
        return own
    for name in _NAMES:
        found = _probed(name)
        if found is not None and _fits(found.number, wanted):
            return found
    raise ConfigError(
        f"this template needs Python {wanted}, ai-sci runs with {own.number}, and the PATH has no other that fits: "
        "install one, or pass --python PATH with one that has the template's packages"
    )


def _fits(number: str, wanted: str) -> bool:
    from packaging.specifiers import SpecifierSet

    return SpecifierSet(wanted).contains(number.rstrip("+"), prereleases=True)


def _own() -> Interpreter:
    """The interpreter under the harness's own venv: experiments share its version, but none of its packages."""
    prefixes = (sys.base_prefix, sys.base_exec_prefix)
    base = Path(getattr(sys, "_base_executable", None) or sys.executable)
    if sys.prefix != sys.base_prefix and base.is_relative_to(sys.prefix):
        # Python 3.10 gives the venv's own link. An environment built on that would break with the harness's venv.
        named = Path(sys.base_prefix, "bin", f"python{sys.version_info.major}.{sys.version_info.minor}")
        base = named if named.exists() else base.resolve()
    return Interpreter(base, sys.version, prefixes)


@cache
def _probed(name: str) -> Interpreter | None:
    path = shutil.which(name)
    if path is None:
        return None
    done = subprocess.run([path, "-I", "-c", _PROBE], capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if done.returncode != 0:  # such as a version manager's shim for an inactive version
        return None
    executable, version, *prefixes = json.loads(done.stdout)
    return Interpreter(Path(executable), version, tuple(prefixes))
