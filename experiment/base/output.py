"""Where an experiment's output goes: a log file that is capped, the last part for the digest, and the screen."""

from __future__ import annotations

import codecs
import os
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

LIVE_EVERY = 0.05  # seconds between two calls of `on_output`
LIVE_BYTES = 16 * 1024  # at most, of what came between two calls
TAIL_BYTES = 256 * 1024
SMALLEST_CAP = 2 * TAIL_BYTES


class Output:
    """Takes the bytes of one attempt as they come, any number of them at little cost.

    The log keeps the first and the last half of `cap` bytes and says what was cut between them. `on_output` gets text;
    under a flood only the newest part of it.
    """

    def __init__(self, log: Path, cap: int, on_output: Callable[[str], None]) -> None:
        self.failed: OSError | None = None
        self._half = max(cap, SMALLEST_CAP) // 2
        # The experiment may have put a link in the log's place where no sandbox keeps it from doing so.
        self._file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
        self._head = 0
        self._last: deque[bytes] = deque()
        self._last_size = 0
        self._cut = 0
        self._end_of_head = b""
        self._on_output = on_output
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._waiting = b""
        self._shown_at = 0.0

    def feed(self, data: bytes) -> None:
        """Raises what `on_output` raises; a log that cannot be written shows in `failed`."""
        self._waiting = (self._waiting + data)[-LIVE_BYTES:] if len(data) < LIVE_BYTES else data[-LIVE_BYTES:]
        room = self._half - self._head
        if room > 0:
            self._to_file(data[:room])
            self._head += len(data[:room])
            self._end_of_head = (self._end_of_head + data[:room])[-TAIL_BYTES:]
            data = data[room:]
        if data:
            self._keep(data)
        self.show()

    def _keep(self, data: bytes) -> None:
        self._last.append(data)
        self._last_size += len(data)
        while self._last_size > self._half:
            over = self._last_size - self._half
            first = self._last.popleft()
            if len(first) > over:
                self._last.appendleft(first[over:])
            self._last_size -= min(over, len(first))
            self._cut += min(over, len(first))

    @property
    def waiting(self) -> bool:
        """True while there is output that `show` has held back."""
        return bool(self._waiting)

    def show(self, now: bool = False) -> None:
        """Hands held back output to `on_output`, at most once in LIVE_EVERY unless `now`."""
        moment = time.monotonic()
        if not self._waiting or (not now and moment - self._shown_at < LIVE_EVERY):
            return
        text, self._waiting, self._shown_at = self._decoder.decode(self._waiting), b"", moment
        if text:
            self._on_output(text)

    def tail(self) -> str:
        """The last TAIL_BYTES of the output as text."""
        data = b"".join(self._last)
        if len(data) < TAIL_BYTES and not self._cut:
            data = self._end_of_head + data
        return data[-TAIL_BYTES:].decode("utf-8", "replace")

    def close(self) -> None:
        """Completes the log. Can be called twice."""
        if self._file < 0:
            return
        if self._cut:
            self._to_file(f"\n[... {self._cut:,} bytes were cut here ...]\n".encode())
        for data in self._last:
            self._to_file(data)
        file, self._file = self._file, -1
        os.close(file)

    def _to_file(self, data: bytes) -> None:
        view = memoryview(data)
        try:
            while view and self.failed is None:
                view = view[os.write(self._file, view) :]
        except OSError as error:  # the disk is full: the attempt can go on, but not for long
            self.failed = error
