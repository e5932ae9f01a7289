"""The process tree of one attempt: listing it, measuring its memory, and killing all of it."""

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

# Without CONFIG_PROC_CHILDREN, as in gVisor, we have to look up every process's parent.
_KERNEL_LISTS_CHILDREN = os.path.exists(f"/proc/self/task/{os.getpid()}/children")


@dataclass(frozen=True)
class ProcessIdentity:
    """A process, distinguished from a later one with the same pid: `started` is in clock ticks since boot."""

    pid: int
    started: int
    boot_id: str


def identify(pid: int) -> ProcessIdentity:
    """Raises ProcessLookupError when there is no such process."""
    return ProcessIdentity(pid, _started(pid), boot_id())


def boot_id() -> str:
    """The kernel's id of the current boot; a pid means nothing after a reboot."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def still_runs(identity: ProcessIdentity) -> bool:
    """True while this exact process is alive; False after a reboot or once its pid has been reused."""
    try:
        return identify(identity.pid) == identity
    except ProcessLookupError:
        return False


def end_leftover(identity: ProcessIdentity) -> bool:
    """Kills the process tree of an attempt whose harness died; True if it was still running."""
    if not still_runs(identity):
        return False
    kill_tree(identity.pid)
    return True


def _started(pid: int) -> int:
    try:
        text = _read(f"/proc/{pid}/stat")
    except OSError:
        raise ProcessLookupError(f"there is no process {pid}")
    fields = text.rpartition(b")")[2].split()  # the process name before it may contain anything
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
    """`root` and its descendants, parents first; stops soon after `most`, so that a fork bomb stays cheap."""
    found = [root]
    for pid in found:
        if most is not None and len(found) > most:
            break
        found += _children(pid)
    return found


def _children(pid: int) -> list[int]:
    """Children of all its threads, each of which has its own list. Empty for a process that has exited."""
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
    """Sum of RSS in bytes: cheap, and never less than `proportional`. Shared pages count once per process."""
    total = 0
    for pid in pids:
        try:
            total += int(_read(f"/proc/{pid}/statm").split()[1])
        except (OSError, IndexError):
            continue
    return total * PAGE


def proportional(pids: Iterable[int]) -> tuple[int, int]:
    """Sum of PSS in bytes (total, of it shared memory): every page counts once. Slow for large processes."""
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
    """Sends SIGKILL to `root` and all its descendants, including ones forked meanwhile; takes a few milliseconds.

    With a pid namespace, killing its first process makes the kernel kill the rest at once.
    """
    if pid_namespace:
        for pid in [*_children(root), root]:
            _kill(pid)
        return
    # Bottom up: while `root` lives as a subreaper, orphans are reparented to it and stay visible.
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
    """Sends SIGKILL to every process with `variable=value` in its environment until none is left (at most 1 s)."""
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
    except OSError:  # it has exited, or the pid now belongs to another user
        pass
