"""Finds processes that a command left behind, whatever they did to get away."""

from __future__ import annotations

import ctypes
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import psutil

_PR_SET_CHILD_SUBREAPER = 36


@dataclass
class Brood:
    """The descendants of this process that were born in the block, its direct children `known` to the caller apart."""

    before: set[int] = field(default_factory=set)

    def left(self, patience: float = 2.0) -> list[str]:
        """What still lives after `patience` seconds, one line a process. They are killed."""
        deadline = time.monotonic() + patience
        while (alive := self._alive()) and time.monotonic() < deadline:
            time.sleep(0.02)
        lines = [f"{process.pid} {' '.join(_command(process))[:120]}" for process in alive]
        for process in alive:
            try:
                process.send_signal(signal.SIGKILL)
            except psutil.NoSuchProcess:
                pass
        if alive:
            time.sleep(0.1)
            self._alive()
        return lines

    def _alive(self) -> list[psutil.Process]:
        alive = []
        for process in psutil.Process().children(recursive=True):
            if process.pid in self.before:
                continue
            try:
                if process.status() == psutil.STATUS_ZOMBIE:
                    _reap(process)
                else:
                    alive.append(process)
            except psutil.NoSuchProcess:
                continue
        return alive


@contextmanager
def brood() -> Iterator[Brood]:
    """Inside the block every orphan below this process becomes its child: nothing gets away by a double fork, a session
    of its own, another folder or a cleaned environment. Linux only."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    try:
        yield Brood({process.pid for process in psutil.Process().children(recursive=True)})
    finally:
        libc.prctl(_PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)


def _reap(process: psutil.Process) -> None:
    if process.ppid() == os.getpid():
        try:
            os.waitpid(process.pid, os.WNOHANG)
        except ChildProcessError:
            pass


def _command(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline() or [process.name()]
    except psutil.Error:
        return ["?"]
