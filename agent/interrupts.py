"""Ctrl-C, SIGTERM and a closed terminal end a session cleanly.

Python handles signals in the main thread only, so they do not interrupt a session in another thread.
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
    """Raises KeyboardInterrupt after a signal: Python swallows the one that a handler raises inside a destructor."""
    if _asked and _hears_signals():
        raise KeyboardInterrupt


def _hears_signals() -> bool:
    return threading.current_thread() is threading.main_thread()


def _asked_for() -> list[signal.Signals]:
    """Our signals, except those ignored already (as under `nohup`) or handled outside Python (None)."""
    asked = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    return [name for name in asked if signal.getsignal(name) not in (signal.SIG_IGN, None)]


@contextmanager
def signals_interrupt() -> Generator[None, None, None]:
    """SIGINT, SIGTERM and SIGHUP raise KeyboardInterrupt once; later ones are ignored.

    Signals that are already ignored stay ignored, so `nohup ai-sci run …` outlives its terminal. Outside the main
    thread this does nothing.
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
            if signal.getsignal(name) is interrupt:  # otherwise we are shutting down, and further signals stay ignored
                signal.signal(name, handler)


@contextmanager
def handlers_restored() -> Generator[Callable[[], bool], None, None]:
    """Restores the signal handlers afterwards, for processes that outlive a session, such as a notebook's kernel.

    Without it, signals stay ignored after the first one. Yields a function that says whether a signal came.
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
    """Within its block the three signals only set `signalled` and make `fileno()` readable, for use with select."""

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
        """The descriptor to select on."""
        return self._ours.fileno()

    @property
    def descriptors(self) -> list[int]:
        """Both ends of the socket pair, which forked children have to close."""
        return [self._ours.fileno(), self._kernels.fileno()]

    def drain(self) -> None:
        """Reads what signals have written, so that `fileno()` blocks again."""
        with contextlib.suppress(BlockingIOError):
            self._ours.recv(4096)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.signalled = True
