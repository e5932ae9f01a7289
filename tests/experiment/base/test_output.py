"""The output of an attempt: kept byte for byte, but for keys."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ai_sci.experiment.base import TAIL_BYTES, Output

KEY = "sk-planted+0123/456=789"


def put_out(log: Path, pieces: list[bytes]) -> tuple[bytes, str, str]:
    """The log, what was shown of it, and its tail."""
    shown: list[str] = []
    output = Output(log, 1 << 20, shown.append)
    for piece in pieces:
        output.feed(piece)
    output.end()
    output.close()
    return log.read_bytes(), "".join(shown), output.tail()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(pieces=st.lists(st.binary(max_size=40)))
def test_output_without_a_key_is_kept_byte_for_byte(pieces: list[bytes], tmp_path: Path):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OPENAI_API_KEY", KEY)
        log, shown, tail = put_out(tmp_path / "output.log", pieces)
    assert log == b"".join(pieces)
    assert tail == log.decode("utf-8", "replace")
    assert tail.startswith(shown) and len(tail) - len(shown) <= 1  # half a character at the end is not shown


@pytest.mark.parametrize("size", [1, 5, 7, 1000])
def test_no_key_is_kept_or_shown_however_it_is_cut(size: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("OPENAI_API_KEY", f"{KEY}\r\n")
    data = f"größe {{'key': '{KEY}'}} sk-planted {KEY}{KEY}sk-pl".encode()
    kept = "größe {'key': 'OPENAI_API_KEY'} sk-planted OPENAI_API_KEYOPENAI_API_KEYsk-pl"
    log, shown, tail = put_out(tmp_path / "output.log", [data[at : at + size] for at in range(0, len(data), size)])
    assert log.decode() == shown == tail == kept


def test_an_end_that_was_held_back_is_in_the_log_of_an_interrupted_attempt(tmp_path: Path, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    output = Output(tmp_path / "output.log", 1 << 20, lambda text: None)
    output.feed(b"loss sk-pl")
    output.close()
    assert (tmp_path / "output.log").read_bytes() == b"loss sk-pl"


def test_a_key_across_the_cut_of_a_long_log_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    log, _, tail = put_out(tmp_path / "output.log", [b"x" * 1000 + KEY.encode()] * (3 * TAIL_BYTES // 1000 + 1000))
    assert b"bytes were cut here" in log
    assert KEY[:12].encode() not in log and KEY[:12] not in tail
