"""The CPUs and GPUs that an attempt has to itself while it runs."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Allocation:
    """The default is unrestricted: wherever ai-sci itself may run.

    `cpus` are kernel CPU numbers; `gpus` are values for CUDA_VISIBLE_DEVICES (numbers or UUIDs; None leaves the
    variable unchanged). The attempt's processes inherit the locks in `lock_fds`, so the kernel frees the slot when the
    last process exits. `time_left` caps the attempt's run time in seconds, on top of its own limit.
    """

    name: str = ""  # for people: "gpu 3", "cpus 0-3"
    cpus: tuple[int, ...] = ()
    gpus: tuple[str, ...] | None = None
    lock_fds: tuple[int, ...] = ()
    time_left: float = math.inf
