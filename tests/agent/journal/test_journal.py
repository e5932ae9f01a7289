"""The journal: what was appended is read back, whatever tears its end off."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ai_sci.agent.journal.events import EVENT_TYPES, AttemptFinished, Resumed, SessionEnded, Told
from ai_sci.agent.journal.journal import Entry, Journal, JournalError, decode, encode, read_journal
from ai_sci.agent.journal.state import Status, fold
from tests.agent.journal.journals import entries


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


FULL_DISK = """
import fcntl, os, resource, signal, sys
from ai_sci.agent.journal.events import Told
from ai_sci.agent.journal.journal import Journal, JournalError
from pathlib import Path

def append(text):
    try:
        journal.append(Told("task", text))
    except JournalError as error:
        print(error)

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
path = Path(sys.argv[1])
if path.suffix == ".sealed":  # a file that nothing can be cut off from
    descriptor = os.memfd_create("journal", os.MFD_ALLOW_SEALING)
    fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK)
    path, kept = Path(f"/proc/self/fd/{descriptor}"), path
journal = Journal(path)
append("kept")
hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
resource.setrlimit(resource.RLIMIT_FSIZE, (200, hard))
append("x" * 4000)
resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
append("there is room again")
if path.suffix != ".jsonl":
    kept.write_bytes(path.read_bytes())
"""


def with_full_disk(path: Path) -> list[str]:
    """Writes a journal whose second record does not fit (RLIMIT_FSIZE stands in for the disk); returns the errors."""
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(path)], capture_output=True, text=True, env={**os.environ}
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_a_record_that_the_disk_refuses_is_one_clear_error_and_the_next_one_starts_on_its_own_line(tmp_path):
    path = tmp_path / "journal.jsonl"
    [error] = with_full_disk(path)
    assert "Free some space" in error
    assert [entry.event for entry in read_journal(path)] == [Told("task", "kept"), Told("task", "there is room again")]


def test_nothing_is_written_behind_half_a_record_that_cannot_be_removed(tmp_path):
    path = tmp_path / "journal.sealed"
    errors = with_full_disk(path)
    assert len(errors) == 2 and "half a record" in errors[1]
    assert len(path.read_bytes()) == 200
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


KEY = "sk-planted+0123/456=789"


def test_a_key_is_neither_written_nor_kept_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("OPENAI_API_KEY", f"{KEY}\r\n")
    journal = Journal(tmp_path / "journal.jsonl")
    journal.append(Told("task", f"the {KEY} of\n{KEY!r}"))
    journal.append(AttemptFinished(1, 1, "full", "crashed", f"no {KEY}", "", 0.1, {f"loss {KEY}": 0.5}, "hash"))
    journal.close()
    monkeypatch.delenv("OPENAI_API_KEY")
    told, finished = journal.events
    assert [entry.event for entry in read_journal(tmp_path / "journal.jsonl")] == [told, finished]
    assert isinstance(told, Told) and isinstance(finished, AttemptFinished)
    assert told.text == "the OPENAI_API_KEY of\n'OPENAI_API_KEY'"
    assert (finished.metrics, finished.reason) == ({"loss OPENAI_API_KEY": 0.5}, "no OPENAI_API_KEY")


def test_a_key_that_an_earlier_version_wrote_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "journal.jsonl"
    path.write_bytes(encode(Entry(1.0, Told("task", f'no "{KEY}"\n'))))
    assert KEY.encode() in path.read_bytes()
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    assert [entry.event for entry in read_journal(path)] == [Told("task", 'no "OPENAI_API_KEY"\n')]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(entries)
def test_what_is_in_memory_is_what_is_on_disk(tmp_path: Path, entry: Entry):
    """With a key in the environment, whatever the event: replay and resume see the same."""
    path = tmp_path / "journal.jsonl"
    path.unlink(missing_ok=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OPENAI_API_KEY", KEY)
        journal = Journal(path)
        journal.append(entry.event)
        journal.close()
    assert journal.entries[0].event == entry.event == read_journal(path)[0].event
