"""The checks of single cases can fail."""

from __future__ import annotations

from pathlib import Path

from tests.gauntlet.checks import is_over_soon, log_says_what_was_cut
from tests.gauntlet.stage import Seen


def _seen(session: Path | str = "", **attempt) -> Seen:
    return Seen(code=0, out="", err="", shown={"session": str(session), "runs": [{"attempts": [attempt]}]})


def test_an_attempt_that_ended_late():
    assert is_over_soon(2)(_seen(seconds=3.9)) == ""
    assert is_over_soon(2)(_seen(seconds=4.1)) == "attempts took [4.1] seconds, with a limit of 2 s"


def test_a_log_that_was_cut_says_of_how_much(tmp_path: Path):
    log = tmp_path / "attempts" / "run_2.2" / "output.log"
    log.parent.mkdir(parents=True)
    check = log_says_what_was_cut(1_000_000)
    log.write_bytes(b"x" * 1000)
    assert "no log says that it was cut" in check(_seen(tmp_path))
    log.write_bytes(b"x" * 1000 + b"\n[... 999,000 bytes were cut here ...]\n")
    assert check(_seen(tmp_path)) == ""
    log.write_bytes(b"x" * 1000 + b"\n[... 99,000 bytes were cut here ...]\n")
    assert "not for 1,000,000" in check(_seen(tmp_path))
