"""Runs one trusted command (pip, a prepare step) and passes on its output line by line, with a heartbeat."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import selectors
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ai_sci.experiment.base.quantities import format_duration
from ai_sci.keys import mask_keys

_QUIET = 20.0  # seconds without output before we report that it is still working
_PROGRESS = 5.0  # seconds between progress bar updates
_COLOUR = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")

_log = logging.getLogger(__name__)

# Kills the command's process group when the harness dies for any reason: nothing may keep writing into a half-built
# environment. The parent-death signal reaches only one process, so that one stays alive to kill the others.
_GUARD = """
import ctypes, os, signal, sys
signal.signal(signal.SIGTERM, lambda *_: os.killpg(0, signal.SIGKILL))
ctypes.CDLL(None).prctl(1, signal.SIGTERM)
if os.getppid() != int(sys.argv[1]):
    sys.exit(1)
child = os.fork()
if child == 0:
    os.execv(sys.argv[2], sys.argv[2:])
code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
if code < 0:
    os.kill(os.getpid(), -code)
sys.exit(code)
"""


@dataclass(frozen=True)
class Finished:
    """How a command ended: `code` is its exit code (negative: a signal), `lines` the last 400 lines of its output."""

    code: int
    timed_out: bool
    seconds: float
    lines: tuple[str, ...]


def run_child(
    argv: Sequence[str],
    cwd: Path,
    env: Mapping[str, str],
    tell: Callable[[str], None],
    log: Path,
    lock: int,
    timeout: float | None = None,
) -> Finished:
    """Runs `argv` (argv[0] an absolute path) to completion; every line goes to `tell` and is appended to `log`.

    The child inherits the descriptor `lock`, so nobody else starts the same work while it lives. On a timeout, in
    seconds, or any exception (such as Ctrl-C), its whole process group is killed.
    """
    if sys.platform == "linux":
        argv = [sys.executable, "-I", "-S", "-c", _GUARD, str(os.getpid()), *argv]
    started = time.monotonic()
    process = subprocess.Popen(
        argv,
        cwd=cwd,
        env=dict(env),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        pass_fds=(lock,),
    )
    _log.debug("process %d in %s: %s", process.pid, cwd, argv)
    assert process.stdout is not None
    ended = False
    try:
        with process.stdout, open(log, "a", encoding="utf-8") as file:
            lines = _Lines(tell, file.write)
            ended = _follow(process, process.stdout.fileno(), lines, started + timeout if timeout else None)
            lines.end()
    finally:
        if not ended:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    _log.debug("process %d ended with %d", process.pid, process.returncode)
    return Finished(process.returncode, not ended, time.monotonic() - started, tuple(lines.kept))


def _follow(process: subprocess.Popen[bytes], pipe: int, lines: _Lines, deadline: float | None) -> bool:
    """Reads until the process exits (True) or the deadline passes (False).

    We wait for the process, not for the pipe: a process it left behind may keep the pipe open.
    """
    ended_at = None
    with selectors.DefaultSelector() as selector:
        selector.register(pipe, selectors.EVENT_READ)
        while True:
            if ended_at is None and process.poll() is not None:
                ended_at = time.monotonic()
            if selector.select(0 if ended_at else 0.2):
                data = os.read(pipe, 65536)
                lines.feed(data)
                if not data:
                    selector.unregister(pipe)
            elif ended_at is not None:
                return True
            now = time.monotonic()
            if ended_at is not None and now - ended_at > 1:
                return True
            if ended_at is None and deadline is not None and now > deadline:
                return False
            lines.sign_of_life()


class _Lines:
    """Splits bytes into lines; a line ending in a carriage return is a progress bar, passed on only now and then."""

    def __init__(self, tell: Callable[[str], None], log: Callable[[str], object]):
        self.kept: deque[str] = deque(maxlen=400)
        self._tell = tell
        self._log = log
        self._rest = b""
        self._started = self._told_at = time.monotonic()

    def feed(self, data: bytes) -> None:
        *whole, self._rest = re.split(rb"(?<=[\r\n])", (self._rest + data).replace(b"\r\n", b"\n"))
        for line in whole:
            self._take(line)

    def end(self) -> None:
        self._take(self._rest)
        self._rest = b""

    def sign_of_life(self) -> None:
        now = time.monotonic()
        if now - self._told_at > _QUIET:
            self._told_at = now
            last = f": {self.kept[-1].strip()}" if self.kept else ""
            self._tell(f"still working, {format_duration(now - self._started)}{last}")

    def _take(self, line: bytes) -> None:
        text = mask_keys(_COLOUR.sub("", line.decode("utf-8", errors="replace")).rstrip())
        if not text:
            return
        now = time.monotonic()
        if line.endswith(b"\r") and now - self._told_at < _PROGRESS:
            return
        self._told_at = now
        self.kept.append(text)
        self._log(text + "\n")
        self._tell(text)
