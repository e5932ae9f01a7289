"""Watches one attempt and ends it when it exceeds a limit; a separate thread, so a blocked harness does not matter."""

from __future__ import annotations

import os
import stat
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ai_sci.experiment.base import Limits, Verdict, format_size, process_tree

FIRST_LOOK = 0.05  # seconds; shorter attempts are never checked
INTERVAL = 0.1
DUTY = 20  # wait 20 times as long as a measurement took before repeating it
RESERVE = 100 * 1024**2  # bytes that the journal, the log and git still need on the disk


@dataclass(frozen=True)
class Breach:
    """The limit that was exceeded, with a one-line reason. `ours`: not the experiment's fault."""

    verdict: Verdict
    reason: str
    ours: bool = False


class Watchdog(threading.Thread):
    """Calls `end(breach)` once, from its own thread, when the tree below `root` exceeds one of `limits`.

    `folders` are the ones that the attempt writes to. `tmpfs` are in-memory folders, by their paths inside the sandbox.
    `time_setting` names the setting that changes the time limit. `peak_memory` is in bytes.
    """

    def __init__(
        self,
        root: int,
        limits: Limits,
        folders: Sequence[Path],
        tmpfs: Sequence[str],
        end: Callable[[Breach], None],
        time_setting: str,
    ) -> None:
        super().__init__(name="watchdog", daemon=True)
        self.breach: Breach | None = None
        self.peak_memory = 0
        self._root, self._limits, self._folders, self._tmpfs = root, limits, folders, tmpfs
        self._end, self._time_setting = end, time_setting
        self._ceiling = limits.memory_ceiling
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._started_at = time.monotonic()
        self._next_pss = self._next_disk = 0.0

    def stop(self) -> None:
        """After this returns nothing more is killed, so `root` may be reaped and its pid reused."""
        with self._lock:
            self._over.set()

    def run(self) -> None:
        """Checks until the first breach or `stop`, more often for a fresh attempt."""
        deadline = self._started_at + self._limits.time
        pause = FIRST_LOOK
        while not self._over.wait(max(0.0, min(pause, deadline - time.monotonic()))):
            before = time.monotonic()
            breach = self._out_of_time(before - self._started_at) or self._look(before)
            if breach is not None:
                with self._lock:
                    if not self._over.is_set():
                        self.breach = breach
                        self._end(breach)
                return
            pause = max(min(2 * pause, INTERVAL), DUTY * (time.monotonic() - before))

    def _out_of_time(self, seconds: float) -> Breach | None:
        if seconds < self._limits.time:
            return None
        return Breach(
            Verdict.timed_out, f"killed after {self._limits.time:.12g} s, the time limit ({self._time_setting})"
        )

    def _look(self, now: float) -> Breach | None:
        pids = process_tree.tree(self._root, most=self._limits.processes)
        return self._too_many(pids) or self._out_of_memory(pids, now) or self._out_of_disk(pids, now)

    def _too_many(self, pids: list[int]) -> Breach | None:
        if len(pids) <= self._limits.processes:
            return None
        most = self._limits.processes
        reason = f"killed with more than {most} processes at once, the limit (limits.processes)"
        return Breach(Verdict.too_many_processes, reason)

    def _out_of_memory(self, pids: list[int], now: float) -> Breach | None:
        in_tmpfs = self._tmpfs_bytes(pids)
        used = process_tree.resident(pids) + in_tmpfs
        if used <= self._ceiling:
            self.peak_memory = max(self.peak_memory, used)
            return None
        if now < self._next_pss:
            return None
        everything, shared = process_tree.proportional(pids)
        # A tmpfs page that is also mapped is in both figures.
        used = everything + max(0, in_tmpfs - shared)
        self._next_pss = time.monotonic() + DUTY * (time.monotonic() - now)
        self.peak_memory = max(self.peak_memory, used)
        if used <= self._ceiling:
            return None
        over = format_size(self._ceiling)
        return Breach(Verdict.out_of_memory, f"killed at over {over} of memory, {memory_limit(self._limits)}")

    def _tmpfs_bytes(self, pids: list[int]) -> int:
        """Bytes in the attempt's own tmpfs: memory that belongs to no process."""
        if not self._tmpfs:
            return 0
        for pid in pids[2:]:  # after bwrap itself and the first process of the namespace
            try:
                found = [os.statvfs(f"/proc/{pid}/root{folder}") for folder in self._tmpfs]
            except OSError:
                continue
            return sum((one.f_blocks - one.f_bfree) * one.f_frsize for one in found)
        return 0

    def _out_of_disk(self, pids: list[int], now: float) -> Breach | None:
        if now < self._next_disk:
            return None
        before = time.monotonic()
        breach = disk_breach(self._folders, self._limits, pids)
        self._next_disk = time.monotonic() + DUTY * (time.monotonic() - before)
        return breach


def memory_limit(limits: Limits) -> str:
    """The memory limit in words, with the setting that changes it."""
    if limits.memory is None:
        return f"the limit is {format_size(limits.memory_ceiling)} on this machine (set limits.memory or --memory)"
    return f"the limit is {format_size(limits.memory)} (limits.memory or --memory)"


def disk_breach(folders: Iterable[Path], limits: Limits, pids: Iterable[int] = ()) -> Breach | None:
    """The disk limit that `folders` exceed together, counting files that `pids` deleted but still hold open."""
    folders = list(folders)
    size, inodes = measure_disk(folders, limits.inodes)
    if inodes > limits.inodes:
        reason = f"ended after making more than {limits.inodes} files and folders, the limit (limits.inodes)"
        return Breach(Verdict.out_of_disk, reason)
    size += _deleted_bytes(pids, {os.stat(folder).st_dev for folder in folders if folder.is_dir()})
    if size > limits.disk:
        most = format_size(limits.disk)
        reason = f"ended after writing over {most}, the limit is {most} (limits.disk or --disk)"
        return Breach(Verdict.out_of_disk, reason)
    for folder in folders:
        free = _free_bytes(folder)
        if free is not None and free < RESERVE:
            left = f"the disk that holds {folder} is full: only {format_size(free)} left"
            if free + size < RESERVE:
                return Breach(Verdict.out_of_disk, f"{left}; make room there", ours=True)
            return Breach(Verdict.out_of_disk, f"{left} after the experiment wrote {format_size(size)}")
    return None


def measure_disk(folders: Iterable[Path], most_inodes: int | None = None) -> tuple[int, int]:
    """(bytes on disk, number of files and folders) below `folders`; hard links count once, symlinks are not followed.

    Stops soon after `most_inodes`.
    """
    size = inodes = 0
    seen: set[tuple[int, int]] = set()
    waiting = [str(folder) for folder in folders]
    while waiting and (most_inodes is None or inodes <= most_inodes):
        try:
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    inodes += 1
                    if most_inodes is not None and inodes > most_inodes:
                        break
                    size += _size_of(entry, waiting, seen)
        except OSError:  # deleted meanwhile
            continue
    return size, inodes


def _size_of(entry: os.DirEntry[str], waiting: list[str], seen: set[tuple[int, int]]) -> int:
    try:
        found = entry.stat(follow_symlinks=False)
    except OSError:  # deleted meanwhile
        return 0
    if stat.S_ISDIR(found.st_mode):
        waiting.append(entry.path)
    elif found.st_nlink > 1:
        if (found.st_dev, found.st_ino) in seen:
            return 0
        seen.add((found.st_dev, found.st_ino))
    return found.st_blocks * 512


def _deleted_bytes(pids: Iterable[int], devices: set[int]) -> int:
    """Bytes of files on `devices` that were deleted but are still open."""
    sizes: dict[tuple[int, int], int] = {}
    for pid in pids:
        try:
            numbers = os.listdir(f"/proc/{pid}/fd")
        except OSError:
            continue
        for number in numbers:
            try:
                found = os.stat(f"/proc/{pid}/fd/{number}")
            except OSError:
                continue
            if found.st_nlink == 0 and found.st_dev in devices and stat.S_ISREG(found.st_mode):
                sizes[found.st_dev, found.st_ino] = found.st_blocks * 512
    return sum(sizes.values())


def _free_bytes(folder: Path) -> int | None:
    try:
        found = os.statvfs(folder)
    except OSError:
        return None
    return found.f_bavail * found.f_frsize
