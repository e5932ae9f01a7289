"""Ctrl-C, SIGTERM and a closed terminal end a session in order.

Only the main thread hears signals, so a session in another thread has no handlers and is not interrupted by them.
"""

from __future__ import annotations

import contextlib
import signal
import socket
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from types import FrameType

_asked = False


def check() -> None:
    """Raises KeyboardInterrupt when a signal came. Python swallows the first one where it falls into a destructor."""
    if _asked and _hears_signals():
        raise KeyboardInterrupt


def _hears_signals() -> bool:
    return threading.current_thread() is threading.main_thread()


def _asked_for() -> list[signal.Signals]:
    """Those that are not ignored already, for `nohup` stays in force, nor handled outside Python (None)."""
    asked = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    return [name for name in asked if signal.getsignal(name) not in (signal.SIG_IGN, None)]


@contextmanager
def signals_interrupt() -> Generator[None, None, None]:
    """SIGINT, SIGTERM and SIGHUP raise KeyboardInterrupt; a second one changes nothing.

    What is ignored already stays so: `nohup ai-sci run …` outlives its terminal. In a thread that hears no signals
    nothing changes.
    """
    global _asked
    if not _hears_signals():
        yield
        return
    _asked = False
    names = _asked_for()

    def interrupt(number: int, frame: FrameType | None) -> None:
        global _asked
        _asked = True
        for name in names:
            signal.signal(name, signal.SIG_IGN)
        raise KeyboardInterrupt

    previous = {name: signal.signal(name, interrupt) for name in names}
    try:
        yield
    finally:
        for name, handler in previous.items():
            if signal.getsignal(name) is interrupt:  # else we are on the way out, and nothing more may disturb that
                signal.signal(name, handler)


@contextmanager
def handlers_restored() -> Generator[Callable[[], bool], None, None]:
    """For a process that goes on after a session, such as a notebook's kernel: its handlers are back afterwards.

    Without this, the signals stay ignored after the first one. Yields a function that says whether one came.
    """
    global _asked
    if not _hears_signals():
        yield lambda: False
        return
    _asked = False
    before = {name: signal.getsignal(name) for name in _asked_for()}
    try:
        yield lambda: _asked
    finally:
        for name, handler in before.items():
            signal.signal(name, handler)


class Wakeup:
    """In its block the three signals only set `signalled`, and make `fileno` readable for whoever waits in a select."""

    def __enter__(self) -> Wakeup:
        self.signalled = False
        self._ours, self._kernels = socket.socketpair()
        self._ours.setblocking(False)
        self._kernels.setblocking(False)
        self._fd = signal.set_wakeup_fd(self._kernels.fileno(), warn_on_full_buffer=False)
        self._handlers = {name: signal.signal(name, self._note) for name in _asked_for()}
        return self

    def __exit__(self, *error: object) -> None:
        for name, handler in self._handlers.items():
            signal.signal(name, handler)
        signal.set_wakeup_fd(self._fd)
        self._ours.close()
        self._kernels.close()

    def fileno(self) -> int:
        return self._ours.fileno()

    @property
    def descriptors(self) -> list[int]:
        return [self._ours.fileno(), self._kernels.fileno()]

    def drain(self) -> None:
        with contextlib.suppress(BlockingIOError):
            self._ours.recv(4096)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.signalled = True
