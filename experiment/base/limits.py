"""What one attempt may use: wall-clock time, memory, disk, files and processes."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

GIB = 1024**3


@dataclass(frozen=True)
class Limits:
    """Limits of one attempt, over its whole process tree.

    `time` is wall-clock seconds, `memory` and `disk` are bytes, `inodes` counts files and folders that the attempt
    writes, `processes` counts processes alive at once. `memory = None` means a share of this machine, see
    `memory_ceiling`. `gpus` is how many GPUs an attempt has to itself, if the machine has any; `cpus` is how many CPUs
    to request from a cluster (None: its default).
    """

    time: float = 2 * 3600.0
    memory: int | None = None
    disk: int = 20 * GIB
    inodes: int = 200_000
    processes: int = 512
    gpus: int = 1
    cpus: int | None = None

    @property
    def memory_ceiling(self) -> int:
        """Bytes: `memory`, or 80 % of what this machine (or our container) has."""
        if self.memory is not None:
            return self.memory
        return int(0.8 * machine_memory())


def machine_memory() -> int:
    """Bytes of RAM available to this process: the machine's total, or its cgroup's limit if smaller."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for limit in (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes")):
        try:
            text = limit.read_text().strip()
        except OSError:
            continue
        if text.isdigit():  # cgroup v2 writes "max" for no limit
            total = min(total, int(text))
    return total
