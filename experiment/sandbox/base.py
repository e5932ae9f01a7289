"""The sandbox protocol: wraps a command and reports which protections it provides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Protocol

TAG_VARIABLE = "AI_SCI_ATTEMPT"


@dataclass(frozen=True)
class Launch:
    """A command that starts the experiment inside its sandbox.

    `pid_namespace`: the kernel kills the whole tree when the namespace's first process dies. `private_tmpfs`: in-memory
    folders, by their paths inside the sandbox. `scratch` is removed after the attempt. Without a namespace, `tag`
    marks the environment of every process of the attempt.
    """

    argv: list[str]
    env: dict[str, str]
    pid_namespace: bool
    private_tmpfs: tuple[str, ...] = ()
    scratch: Path | None = None
    tag: str | None = None


class Sandbox(Protocol):
    """Runs commands in isolation."""

    @property
    def tier(self) -> str:
        """`bwrap` or `none`."""
        ...

    @property
    def backend(self) -> str:
        """The program and its version, for people."""
        ...

    @property
    def controls(self) -> Mapping[str, str]:
        """Whether each protection is `enforced`, left to the `watchdog`, or `absent`."""
        ...

    def wrap(
        self,
        argv: Sequence[str],
        cwd: Path,
        writable: Sequence[Path],
        readable: Sequence[Path],
        env: Mapping[str, str],
        hidden: Sequence[Path] = (),
        beside: Mapping[str, Path] = MappingProxyType({}),
    ) -> Launch:
        """The command that runs `argv` in `cwd` with exactly the environment `env` (plus its own HOME and TMPDIR).

        Only `writable` folders can be written. `readable` folders stay visible even inside hidden ones: home folders,
        /tmp, /run and `hidden`. `beside` are read-only folders by the relative paths that lead to them from `cwd`,
        which then has another name inside (see `inner_folder`). All paths must exist.
        """
        ...


def inner_folder(cwd: Path, beside: Mapping[str, Path]) -> Path:
    """What `cwd` is called inside: with folders `beside` it, a path deep enough for their relative paths."""
    deepest = max((Path(path).parts.count("..") for path in beside), default=0)
    return Path("/run/ai-sci", *map(str, range(1, deepest + 1)), "session") if deepest else cwd


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
