"""Ctrl-C, SIGTERM and a closed terminal end a session in order."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_asked = False


def check() -> None:
    """Raises KeyboardInterrupt when a signal came. Python swallows the first one where it falls into a destructor."""
    if _asked:
        raise KeyboardInterrupt


@contextmanager
def signals_interrupt() -> Iterator[None]:
    """SIGINT, SIGTERM and SIGHUP raise KeyboardInterrupt; a second one changes nothing.

    What is ignored already stays so: `nohup ai-sci run …` outlives its terminal.
    """
    global _asked
    _asked = False
    asked = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    names = [name for name in asked if signal.getsignal(name) is not signal.SIG_IGN]

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
