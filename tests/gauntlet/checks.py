"""What some cases ask beyond their named outcome; each check gives a complaint, or ""."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

from tests.end_to_end.command import ai_sci
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


def code_has(text: str) -> Callable[[Seen], str]:
    """The session's experiment.py has the line `text` in it."""

    def check(ran: Seen) -> str:
        lines = _code(ran).decode().splitlines()
        return "" if text in lines else f"no line of experiment.py is {text!r}"

    return check


def crlf_everywhere(ran: Seen) -> str:
    """Every line of the session's experiment.py ends in CRLF."""
    code = _code(ran)
    lines = code.count(b"\n")
    bare = lines - code.count(b"\r\n")
    return "" if lines and not bare else f"{bare} of {lines} lines of experiment.py do not end in CRLF"


def no_escapes(ran: Seen) -> str:
    """Nothing that a terminal would obey is in what a person reads."""
    session = Path(ran.shown["session"] if ran.shown else ".")
    show = ai_sci("show", session, cwd=session.parent)
    log = session / "log.md"
    texts = {"stdout": ran.out, "stderr": ran.err, "show": show.out + show.err, "log.md": log.read_text()}
    found = [where for where, text in texts.items() if "\x1b" in text]
    return f"an escape sequence is in {', '.join(found)}" if found else ""


def history_says(text: str) -> Callable[[Seen], str]:
    """Some commit message of the session has `text` in it."""

    def check(ran: Seen) -> str:
        folder = ran.shown["session"] if ran.shown else "."
        log = subprocess.run(["git", "log", "--format=%B"], cwd=folder, capture_output=True, text=True).stdout
        return "" if text in log else f"no commit message says {text!r}"

    return check


def _code(ran: Seen) -> bytes:
    return Path(ran.shown["session"], "experiment.py").read_bytes() if ran.shown else b""


def only_thought(words: str) -> Callable[[Seen], str]:
    """The words are in the reasoning of a journalled reply, in the text of none, and not in experiment.py."""

    def check(ran: Seen) -> str:
        records = [json.loads(line) for line in ran.journal.splitlines()]
        replies = [record for record in records if record["event"] == "replied"]
        if not any(words in reply["reasoning"] for reply in replies):
            return f"no reply's reasoning has {words!r}"
        if any(words in reply["text"] for reply in replies):
            return f"the text of a reply, which is sent again, has {words!r}"
        return f"experiment.py has {words!r}" if words in _code(ran).decode() else ""

    return check
