"""The checks of single cases can fail."""

from __future__ import annotations

from pathlib import Path

from tests.gauntlet.checks import code_has, crlf_everywhere, is_over_soon, log_says_what_was_cut, no_escapes
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


def test_code_that_lacks_a_line_or_has_another_line_end(tmp_path: Path):
    code = tmp_path / "experiment.py"
    code.write_bytes(b"x = 1\r\ny = 2\r\n")
    assert code_has("y = 2")(_seen(tmp_path)) == crlf_everywhere(_seen(tmp_path)) == ""
    assert code_has("y = 3")(_seen(tmp_path)) == "no line of experiment.py is 'y = 3'"
    code.write_bytes(b"x = 1\r\ny = 2\n")
    assert crlf_everywhere(_seen(tmp_path)) == "1 of 2 lines of experiment.py do not end in CRLF"


def test_escape_sequences_are_seen(tmp_path: Path):
    (tmp_path / "log.md").write_text("plain")
    assert no_escapes(_seen(tmp_path)) == ""
    (tmp_path / "log.md").write_text("\x1b[2J")
    assert no_escapes(_seen(tmp_path)) == "an escape sequence is in log.md"
