"""Where an attempt runs: which CPUs and GPUs are its own for as long as it lasts."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Allocation:
    """The empty one means: wherever ai-sci itself may run.

    `cpus` are the kernel's numbers, `gpus` what CUDA_VISIBLE_DEVICES takes (numbers or UUIDs; None leaves that variable
    as it is). `lock_fds` are descriptors of locks that the attempt's processes keep open, so that the kernel frees the
    place when the last of them is gone. `time_left` says for how many seconds an attempt may stay, whatever its limit.
    """

    name: str = ""  # for people: "gpu 3", "cpus 0-3"
    cpus: tuple[int, ...] = ()
    gpus: tuple[str, ...] | None = None
    lock_fds: tuple[int, ...] = ()
    time_left: float = math.inf
