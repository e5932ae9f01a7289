"""Ignored signals stop here: what a test starts begins with the default dispositions, as in a terminal.

`nohup` ignores SIGHUP, and a script ignores SIGINT for its background jobs. A child inherits that through exec, but it
does not inherit handlers. So a handler that does nothing replaces each ignored signal: the tests themselves still
outlive it, and ai-sci ignores a signal only where a test wants it to.
"""

from __future__ import annotations

import signal
from collections.abc import Iterable

_ASKED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def ignored() -> list[int]:
    """The numbers of the signals that are ignored here."""
    return [int(name) for name in _ASKED if signal.getsignal(name) is signal.SIG_IGN]


def outlive(numbers: Iterable[int]) -> None:
    """Puts a handler that does nothing in the place of whatever these signals do now."""
    for number in numbers:
        signal.signal(number, lambda *_: None)
