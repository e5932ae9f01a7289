"""The verdict on a process that exited by itself, from its exit code and last error line."""

from __future__ import annotations

import re
import signal

from ai_sci.experiment.attempt.watchdog import Breach, memory_limit
from ai_sci.experiment.base import Limits, Verdict, format_size

_OUT_OF_MEMORY = re.compile(
    r"^(?:[\w.]+\.)?(?:MemoryError|_ArrayMemoryError|OutOfMemoryError)\b|std::bad_alloc"
    r"|can't allocate memory|Cannot allocate memory|killed by signal: Killed|RESOURCE_EXHAUSTED: Out of memory"
    r"|OOM when allocating"
)
_OUT_OF_GPU_MEMORY = re.compile(
    r"\b(?i:CUDA|HIP|MPS|XPU)\b.*\bout of memory|CUDA_ERROR_OUT_OF_MEMORY|(?:cuda|hip)ErrorMemoryAllocation"
    r"|(?i:\b(?:cu|hip|roc)\w+_STATUS_ALLOC_FAILED)|^(?:torch|cupy)(?:\.\w+)*\.OutOfMemoryError\b"
    r"|RESOURCE_EXHAUSTED: Out of memory while trying|OOM when allocating .*device:GPU"
)
READ_ONLY = re.compile(r"Read-only file system|readonly database|File \S+ cannot be opened")  # the last: torch.save
_OUT_OF_DISK = re.compile(r"No space left on device|File too large|Disk quota exceeded")
_KILLED = 128 + signal.SIGKILL


def judge_exit(code: int, seconds: float, peak: int, oom_killer: bool, error: str, limits: Limits) -> Breach:
    """`code` is 128 + N after signal N, `peak` the peak memory in bytes, `error` the last error line of the output.

    `oom_killer`: the kernel's OOM killer ended some process on this machine meanwhile.
    """
    if code == 0:
        return Breach(Verdict.ok, f"ended normally after {seconds:.1f} s")
    if code == _KILLED and (oom_killer or peak > 0.8 * limits.memory_ceiling):
        what = f"killed from outside by SIGKILL at {format_size(peak)} of memory, most likely by the kernel"
        return Breach(Verdict.out_of_memory, f"{what} for lack of memory; {memory_limit(limits)}")
    if code == _KILLED:
        return Breach(Verdict.crashed, "killed from outside by SIGKILL, by another program or by hand")
    if _OUT_OF_GPU_MEMORY.search(error):
        return Breach(Verdict.out_of_memory, f"ran out of GPU memory, which --memory does not change: {error}")
    if _OUT_OF_MEMORY.search(error):
        return Breach(Verdict.out_of_memory, f"ran out of memory: {error}; {memory_limit(limits)}")
    if code == 128 + signal.SIGXFSZ or _OUT_OF_DISK.search(error):
        limit = f"the limit is {format_size(limits.disk)} (limits.disk or --disk), and 1G in each of /tmp and /dev/shm"
        return Breach(Verdict.out_of_disk, f"ran out of disk: {error or 'a file grew too large'}; {limit}")
    how = f"ended by {_signal_name(code - 128)}" if code - 128 in signal.valid_signals() else f"exit code {code}"
    if READ_ONLY.search(error):
        error += "; only the folder that --out_dir names can be written: write below --out_dir"
    return Breach(Verdict.crashed, f"{how}: {error}" if error else f"{how}, and no output")


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # a real-time signal without a name of its own
        return f"signal {number}"
