"""The harness's verdict on an attempt: `ok` or a named failure."""

from __future__ import annotations

from enum import Enum


class Verdict(str, Enum):
    """`ok`, or how the attempt failed; the values are written to journals and must not change."""

    ok = "ok"
    crashed = "crashed"
    timed_out = "timed_out"
    out_of_memory = "out_of_memory"
    out_of_disk = "out_of_disk"
    too_many_processes = "too_many_processes"
    no_result = "no_result"
    bad_result = "bad_result"
    degenerate = "degenerate"
    tampered = "tampered"
    mismatch = "mismatch"
    lost = "lost"

    def __str__(self) -> str:
        return self.value
