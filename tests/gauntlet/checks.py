"""What some cases ask beyond their named outcome; each check gives a complaint, or ""."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

from tests.gauntlet.stage import Seen

GRACE = 2.0  # seconds


def is_over_soon(limit: float) -> Callable[[Seen], str]:
    """Every attempt is over within GRACE of `limit` seconds, whoever holds its pipe."""

    def check(ran: Seen) -> str:
        runs = ran.shown["runs"] if ran.shown else []
        late = [one["seconds"] for run in runs for one in run["attempts"] if one["seconds"] > limit + GRACE]
        return f"attempts took {late} seconds, with a limit of {limit} s" if late else ""

    return check


def log_says_what_was_cut(size: int) -> Callable[[Seen], str]:
    """The largest output.log says how much of about `size` bytes it left out, and is itself at most 10 MB and a bit."""

    def check(ran: Seen) -> str:
        logs = Path(ran.shown["session"]).glob("attempts/*/output.log") if ran.shown else []
        text = max((log.read_bytes() for log in logs), key=len, default=b"")
        cut = re.search(rb"\[\.\.\. ([\d,]+) bytes were cut here \.\.\.\]", text)
        if cut is None:
            return f"no log says that it was cut; the largest has {len(text):,} bytes"
        written = int(cut[1].replace(b",", b"")) + len(text)
        if len(text) > 10.1 * 1024**2 or abs(written - size) > size / 100:
            return f"a log of {len(text):,} bytes stands for {written:,} bytes of output, not for {size:,}"
        return ""

    return check


def history_says(text: str) -> Callable[[Seen], str]:
    """Some commit message of the session has `text` in it."""

    def check(ran: Seen) -> str:
        folder = ran.shown["session"] if ran.shown else "."
        log = subprocess.run(["git", "log", "--format=%B"], cwd=folder, capture_output=True, text=True).stdout
        return "" if text in log else f"no commit message says {text!r}"

    return check
