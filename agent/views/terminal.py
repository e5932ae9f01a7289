"""Draws `ai-sci watch` in the terminal: a live screen, or one frame of plain text."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import termios
import time
from collections.abc import Generator
from pathlib import Path

from rich.console import Console
from rich.live import Live

from ai_sci.agent import interrupts
from ai_sci.agent.interrupts import signals_interrupt
from ai_sci.agent.session import JOURNAL
from ai_sci.agent.views.follow import Watch
from ai_sci.agent.views.frame import frame, plain
from ai_sci.experiment.base import ConfigError

_INTERVAL = 1.0  # seconds between reads of the journals
_TICK = 0.2  # seconds between checks of the keyboard and the terminal's size
_PATIENCE = 5.0  # seconds: a session looks interrupted for a moment while a process opens it
_PLAIN_WIDTH = 160  # columns, without a terminal


def watch(folder: Path, once: bool, follow: bool) -> None:
    """Shows the batch or the session in `folder` until it is over, or forever with `follow`.

    Prints a single frame with `once` or when stdout is not a terminal. Raises ConfigError if `folder` is neither.
    """
    watched = Watch(folder)
    if not watched.is_batch and not (folder / JOURNAL).is_file():
        raise ConfigError(f"{folder} is neither a session nor a batch: it holds no journal.")
    console = Console(highlight=False)
    with signals_interrupt():
        try:
            watched.look()
            if not sys.stdout.isatty():
                print(plain(watched.picture(time.time()), _PLAIN_WIDTH))
                return
            if once or console.is_dumb_terminal:
                console.print(frame(watched.picture(time.time()), console.width, None))
                return
            _stay(watched, console, follow)
        except KeyboardInterrupt:  # Ctrl-C is the normal way out
            pass
    with contextlib.suppress(OSError):  # the terminal may be closed
        console.print(frame(watched.picture(time.time()), console.width, console.height - 1))


def _stay(watched: Watch, console: Console, follow: bool) -> None:
    over_since: float | None = None
    with _keys() as pressed_quit, Live(console=console, screen=True, auto_refresh=False) as live:
        while True:
            watched.look()
            picture = watched.picture(time.time())
            live.update(frame(picture, console.width, console.height), refresh=True)
            over_since = (over_since or time.monotonic()) if picture.over else None
            patience = _PATIENCE if picture.status == "interrupted" else 0.0
            if over_since is not None and not follow and time.monotonic() - over_since >= patience:
                return
            until, size = time.monotonic() + _INTERVAL, console.size
            while time.monotonic() < until and console.size == size:
                interrupts.check()
                if pressed_quit(_TICK):
                    return


class _Quit:
    def __init__(self, descriptor: int | None) -> None:
        self._descriptor = descriptor

    def __call__(self, seconds: float) -> bool:
        """Waits at most `seconds`; returns whether `q` was pressed."""
        if self._descriptor is None:
            time.sleep(seconds)
            return False
        if not select.select([self._descriptor], [], [], seconds)[0]:
            return False
        keys = os.read(self._descriptor, 100)
        if not keys:
            self._descriptor = None  # its other end is closed
        return keys[:1] in (b"q", b"Q")


@contextlib.contextmanager
def _keys() -> Generator[_Quit, None, None]:
    """Turns off echo and yields a function that waits for `q`. Ctrl-C keeps working."""
    try:
        descriptor = sys.stdin.fileno()
        before = termios.tcgetattr(descriptor)
    except (OSError, ValueError, termios.error):  # no keyboard
        yield _Quit(None)
        return
    ours = [*before]
    ours[3] &= ~(termios.ECHO | termios.ICANON)
    ours[6] = [*before[6]]
    ours[6][termios.VSUSP] = b"\0"  # Ctrl-Z would leave the shell behind our screen
    hidden = signal.signal(signal.SIGTTOU, signal.SIG_IGN)  # changing the terminal from the background must not stop us
    try:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, ours)
        yield _Quit(descriptor)
    finally:
        with contextlib.suppress(termios.error):  # it is closed
            termios.tcsetattr(descriptor, termios.TCSADRAIN, before)
        signal.signal(signal.SIGTTOU, hidden)
