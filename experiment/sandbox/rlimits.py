"""The limits that the kernel enforces, on each process of an attempt separately."""

from __future__ import annotations

import os
import resource
from pathlib import Path

from ai_sci.experiment.base import Limits

_MEMORY_SLACK = 256 * 1024**2


def constrain(pid: int, limits: Limits) -> None:
    """Sets them on a child that still waits at its gate; everything that it starts inherits them."""
    # Not 0: with 0 the kernel still feeds a crash handler's pipe.
    _set(pid, resource.RLIMIT_CORE, 1)
    _set(pid, resource.RLIMIT_FSIZE, limits.disk)
    if limits.memory is not None and not _has_gpu():
        # Gives a clean MemoryError to a process that allocates everything at once. The limit counts allocated but
        # unused memory too, hence the slack; CUDA allocates far more than it uses.
        _set(pid, resource.RLIMIT_DATA, limits.memory + limits.memory // 4 + _MEMORY_SLACK)
    try:
        Path(f"/proc/{pid}/oom_score_adj").write_text("500")  # sacrifice the experiment before the harness
    except OSError:
        pass


def _set(pid: int, kind: int, value: int) -> None:
    """Sets the limit, but never raises it."""
    hard = resource.prlimit(pid, kind)[1]
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.prlimit(pid, kind, (value, value))


def _has_gpu() -> bool:
    return os.path.exists("/dev/nvidiactl") or os.path.exists("/dev/kfd")
