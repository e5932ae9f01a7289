"""What a sandbox is: it wraps a command, and says which protections it gives."""

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
