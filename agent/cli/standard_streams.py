"""Makes sure that stdin, stdout and stderr are open, can print any text, and print no key."""

from __future__ import annotations

import io
import os
import sys
from typing import TextIO

from ai_sci.keys import mask_keys


def make_streams_usable() -> None:
    """Opens /dev/null for closed streams (`>&-`, some schedulers), and replaces keys, and characters that cannot be
    encoded.

    Otherwise the next file to be opened, say a journal, would receive what is printed. Call this before opening any.
    """
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest free number: this one
            os.set_inheritable(descriptor, True)
    if sys.stdin is None:
        sys.stdin = open(0, closefd=False)  # noqa: SIM115  as long as the process lives
    if sys.stdout is None:
        sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115
    if sys.stderr is None:
        sys.stderr = open(2, "w", closefd=False)  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
        _hide_keys(stream)


def _hide_keys(stream: TextIO) -> None:
    write = stream.write

    def write_without_keys(text: str) -> int:
        write(mask_keys(text))
        return len(text)

    stream.write = write_without_keys  # of this very stream, to which others may hold references


def flush_streams() -> None:
    """Flushes stdout and stderr. Call this last: where the reader has gone, Python would exit with 120 instead."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
