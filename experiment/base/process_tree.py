"""The processes that one attempt started: which they are, what memory they use, and how all of them end."""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

PAGE = os.sysconf("SC_PAGE_SIZE")
_PSS = re.compile(rb"^Pss(?:_Shmem)?:\s+(\d+) kB", re.MULTILINE)


# Without CONFIG_PROC_CHILDREN, as in gVisor, everybody's parent has to be looked up.
_KERNEL_LISTS_CHILDREN = os.path.exists(f"/proc/self/task/{os.getpid()}/children")


@dataclass(frozen=True)
class ProcessIdentity:
    """A process, not to be mistaken for a later one with its pid: `started` is in clock ticks since boot."""

    pid: int
    started: int
    boot_id: str


def identify(pid: int) -> ProcessIdentity:
    """Raises ProcessLookupError when there is no such process."""
    return ProcessIdentity(pid, _started(pid), boot_id())


def boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def still_runs(identity: ProcessIdentity) -> bool:
    """True while this very process is alive: not after a reboot, not when the pid has gone to another one."""
    try:
        return identify(identity.pid) == identity
    except ProcessLookupError:
        return False


def end_leftover(identity: ProcessIdentity) -> bool:
    """Ends the tree of an attempt whose harness died, as `resume` does; says whether it was still there."""
    if not still_runs(identity):
        return False
    kill_tree(identity.pid)
    return True


def _started(pid: int) -> int:
    try:
        text = _read(f"/proc/{pid}/stat")
    except OSError:
        raise ProcessLookupError(f"there is no process {pid}")
    fields = text.rpartition(b")")[2].split()  # the name before it may hold anything
    if fields[0] in (b"Z", b"X"):
        raise ProcessLookupError(f"process {pid} is dead")
    return int(fields[19])


def _is_alive(pid: int) -> bool:
    try:
        return _started(pid) >= 0
    except ProcessLookupError:
        return False


def is_waiting(pid: int) -> bool:
    """Whether the process sleeps in a system call."""
    try:
        return _read(f"/proc/{pid}/stat").rpartition(b")")[2].split()[0] == b"S"
    except OSError:
        return False


def _read(path: str) -> bytes:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        text = os.read(descriptor, 65536)
        while len(text) % 4096 == 0 and (more := os.read(descriptor, 65536)):
            text += more
        return text
    finally:
        os.close(descriptor)


def tree(root: int, most: int | None = None) -> list[int]:
    """`root` and its descendants, parents first; stops soon after `most` of them, so that a fork bomb costs little."""
    found = [root]
    for pid in found:
        if most is not None and len(found) > most:
            break
        found += _children(pid)
    return found


def _children(pid: int) -> list[int]:
    """Every thread has its own list. Empty for a process that has ended."""
    if not _KERNEL_LISTS_CHILDREN:
        import psutil

        try:
            return [child.pid for child in psutil.Process(pid).children()]
        except psutil.Error:
            return []
    try:
        threads = os.listdir(f"/proc/{pid}/task")
        return [int(child) for thread in threads for child in _read(f"/proc/{pid}/task/{thread}/children").split()]
    except OSError:
        return []


def resident(pids: Iterable[int]) -> int:
    """Bytes, the sum of RSS: never less than `proportional`, and cheap. Shared pages count once for each process."""
    total = 0
    for pid in pids:
        try:
            total += int(_read(f"/proc/{pid}/statm").split()[1])
        except (OSError, IndexError):
            continue
    return total * PAGE


def proportional(pids: Iterable[int]) -> tuple[int, int]:
    """Bytes (all, of these in shared memory), the sum of PSS: every page counts once. Slow for large processes."""
    everything = shared = 0
    for pid in pids:
        try:
            numbers = [int(number) * 1024 for number in _PSS.findall(_read(f"/proc/{pid}/smaps_rollup"))]
        except OSError:
            numbers = [resident([pid])]
        everything += numbers[0] if numbers else 0
        shared += numbers[1] if len(numbers) > 1 else 0
    return everything, shared


def kill_tree(root: int, pid_namespace: bool = False) -> None:
    """SIGKILL to `root` and all its descendants, also to those that are born meanwhile; takes a few milliseconds.

    With a pid namespace the first process in it is killed, and the kernel ends the rest at once.
    """
    if pid_namespace:
        for pid in [*_children(root), root]:
            _kill(pid)
        return
    # From the bottom up: as long as `root` lives, a reaper gets its orphans back and they stay in sight.
    deadline = time.monotonic() + 1
    while time.monotonic() < deadline:
        below = [pid for pid in tree(root)[1:] if _is_alive(pid)]
        for pid in below:
            _kill(pid)
        if not below:
            break
        time.sleep(0.002)
    _kill(root)


def kill_tagged(variable: str, value: str) -> None:
    """SIGKILL to every process that has `variable=value` in its environment, until none is left (at most a second)."""
    mark = f"{variable}={value}".encode()
    deadline = time.monotonic() + 1
    while time.monotonic() < deadline:
        found = [pid for pid in _all_pids() if mark in _environment(pid)]
        if not found:
            return
        for pid in found:
            _kill(pid)


def _all_pids() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit() and int(name) != os.getpid()]


def _environment(pid: int) -> list[bytes]:
    try:
        return _read(f"/proc/{pid}/environ").split(b"\0")
    except OSError:
        return []


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except OSError:  # it has ended, or belongs to somebody else by now
        pass
