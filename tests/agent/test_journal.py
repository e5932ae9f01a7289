"""The journal: what was appended is read back, whatever tears its end off."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.events import EVENT_TYPES, Resumed, SessionEnded, Told
from agent.journal import Entry, Journal, JournalError, decode, encode, read_journal
from agent.state import Status, fold
from tests.agent.journals import entries


@settings(max_examples=300)
@given(entries)
def test_an_entry_survives_the_round_trip(entry):
    line = encode(entry)
    assert line.count(b"\n") == 1 and line.endswith(b"\n")
    assert decode(line[:-1], EVENT_TYPES) == entry


@given(st.binary(max_size=200))
def test_decoding_never_raises_anything_but_value_error(line):
    try:
        decode(line, EVENT_TYPES)
    except ValueError:
        return


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(st.lists(entries, min_size=1, max_size=4), st.data())
def test_a_torn_tail_is_dropped_and_never_glued_to_the_next_record(tmp_path, written, data):
    path = tmp_path / "journal.jsonl"
    content = b"".join(map(encode, written))
    cut = data.draw(st.integers(0, len(content)))
    path.write_bytes(content[:cut])
    whole = content[:cut].count(b"\n")
    assert read_journal(path) == written[:whole]
    journal = Journal(path)
    assert journal.entries == written[:whole]
    added = journal.append(Told("task", "next"))
    journal.close()
    assert [entry.event for entry in read_journal(path)] == [entry.event for entry in written[:whole]] + [added.event]


def test_a_last_line_of_zeros_is_a_torn_tail(tmp_path):
    path = tmp_path / "journal.jsonl"
    path.write_bytes(encode(Entry(1.0, Told("task", "a"))) + b"\0" * 50 + b"\n")
    assert len(read_journal(path)) == 1
    Journal(path).close()
    assert path.read_bytes().count(b"\n") == 1


def test_damage_before_the_end_is_named_with_its_line(tmp_path):
    path = tmp_path / "journal.jsonl"
    path.write_bytes(b"nonsense\n" + encode(Entry(1.0, Told("task", "a"))))
    with pytest.raises(JournalError, match="journal.jsonl:1"):
        read_journal(path)


def test_nan_is_refused(tmp_path):
    journal = Journal(tmp_path / "journal.jsonl")
    with pytest.raises(ValueError, match="not JSON compliant"):
        encode(Entry(float("nan"), Told("task", "a")))
    journal.close()


def test_a_full_disk_is_one_clear_error_and_what_was_written_stays(tmp_path):
    """RLIMIT_FSIZE stands in for the full disk: the write is refused in the middle of a record."""
    program = """
import resource, signal, sys
from agent.events import Told
from agent.journal import Journal, JournalError
from pathlib import Path
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
journal = Journal(Path(sys.argv[1]))
journal.append(Told("task", "kept"))
resource.setrlimit(resource.RLIMIT_FSIZE, (200, 200))
try:
    journal.append(Told("task", "x" * 4000))
except JournalError as error:
    sys.exit(str(error))
"""
    path = tmp_path / "journal.jsonl"
    done = subprocess.run(
        [sys.executable, "-c", program, str(path)], capture_output=True, text=True, env={**os.environ}
    )
    assert "Free some space" in done.stderr and "Traceback" not in done.stderr
    assert [entry.event for entry in read_journal(path)] == [Told("task", "kept")]


def test_the_fold_takes_time_between_an_end_and_a_resume_for_no_work():
    story = [
        Entry(100.0, Told("task", "a")),
        Entry(110.0, SessionEnded("interrupted", "signal")),
        Entry(9_000.0, Resumed("m", None, 5, None, None)),
        Entry(9_005.0, Told("task", "b")),
    ]
    state = fold(story)
    assert state.active_seconds == 15.0
    assert state.status is Status.running


def test_a_last_record_of_a_newer_version_is_never_cut_off(tmp_path):
    path = tmp_path / "journal.jsonl"
    whole = encode(Entry(1.0, Told("task", "a"))) + b'{"at": 2.0, "event": "of_tomorrow", "text": "x"}\n'
    path.write_bytes(whole)
    with pytest.raises(JournalError, match="of_tomorrow"):
        Journal(path)
    assert path.read_bytes() == whole
