"""Where an experiment's output goes: a capped log file, a tail for the digest, and the screen."""

from __future__ import annotations

import codecs
import os
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

from ai_sci.keys import KeyMask

LIVE_EVERY = 0.05  # seconds between two calls of `on_output`
LIVE_BYTES = 16 * 1024  # most output kept between two calls
TAIL_BYTES = 256 * 1024
SMALLEST_CAP = 2 * TAIL_BYTES


class Output:
    """Takes the output bytes of one attempt as they arrive; a flood of output stays cheap.

    The log keeps the first and the last `cap / 2` bytes and notes how much was cut between them. `on_output` gets text;
    under a flood, only the newest part.
    """

    def __init__(self, log: Path, cap: int, on_output: Callable[[str], None]) -> None:
        self.failed: OSError | None = None
        self._half = max(cap, SMALLEST_CAP) // 2
        # O_NOFOLLOW: without a sandbox, the experiment may have replaced the log with a link.
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
        self._keys = KeyMask()  # without a sandbox an experiment can find them

    def feed(self, data: bytes) -> None:
        """Raises what `on_output` raises; a failed log write is kept in `failed`."""
        self._take(self._keys.feed(data.decode("utf-8", "surrogateescape")))
        self.show()

    def _take(self, text: str) -> None:
        data = text.encode("utf-8", "surrogateescape")
        self._waiting = (self._waiting + data)[-LIVE_BYTES:] if len(data) < LIVE_BYTES else data[-LIVE_BYTES:]
        room = self._half - self._head
        if room > 0:
            self._to_file(data[:room])
            self._head += len(data[:room])
            self._end_of_head = (self._end_of_head + data[:room])[-TAIL_BYTES:]
            data = data[room:]
        if data:
            self._keep(data)

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
        """True while `show` is holding output back."""
        return bool(self._waiting)

    def show(self, now: bool = False) -> None:
        """Passes held-back output to `on_output`, at most once per LIVE_EVERY unless `now`."""
        moment = time.monotonic()
        if not self._waiting or (not now and moment - self._shown_at < LIVE_EVERY):
            return
        text, self._waiting, self._shown_at = self._decoder.decode(self._waiting), b"", moment
        if text:
            self._on_output(text)

    def end(self) -> None:
        """No more will come: takes and shows what was held back. Raises what `on_output` raises."""
        self._take(self._keys.end())
        self.show(now=True)

    def tail(self) -> str:
        """The last TAIL_BYTES of the output as text."""
        data = b"".join(self._last)
        if len(data) < TAIL_BYTES and not self._cut:
            data = self._end_of_head + data
        return data[-TAIL_BYTES:].decode("utf-8", "replace")

    def close(self) -> None:
        """Completes and closes the log. Safe to call twice."""
        if self._file < 0:
            return
        self._take(self._keys.end())
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
        except OSError as error:  # disk full: the attempt can continue, but not for long
            self.failed = error
