"""Journals of other versions: earlier formats are read as today's, and those of a newer version are left alone."""

from __future__ import annotations

import dataclasses
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from ai_sci import __version__
from ai_sci.agent.batch.events import BATCH_EVENT_TYPES, BatchStarted
from ai_sci.agent.journal.events import EVENT_TYPES, Resumed, Told
from ai_sci.agent.journal.formats import FORMAT, upcast
from ai_sci.agent.journal.journal import (
    Entry,
    Journal,
    JournalError,
    NewerJournal,
    Record,
    Records,
    decode,
    encode,
    parse,
    read_journal,
)
from ai_sci.agent.journal.tail import Tail
from tests.agent.journal.journals import entries, texts

FIXTURES = Path(__file__).parents[2] / "fixtures" / "version_0_1"
# Fields that format 1 did not have.
ADDED = {
    "session_started": {"prompts", "engine_options"},
    "resumed": {"version", "prompts"},
    "branched": {"version", "prompts"},
    "replay_compared": {"prompts_by"},
}


def line_of(record: dict[str, Any]) -> bytes:
    return json.dumps(record).encode() + b"\n"


@settings(max_examples=200)
@given(entries)
def test_a_record_of_format_1_is_read_as_one_of_today_and_survives_the_round_trip(entry):
    record = json.loads(encode(entry))
    assert record.pop("v") == FORMAT
    added = ADDED.get(entry.event.kind, set())
    old = {key: value for key, value in record.items() if key not in added}
    now = decode(line_of(old), EVENT_TYPES)
    for field in dataclasses.fields(now.event):
        if field.name not in added:
            assert getattr(now.event, field.name) == getattr(entry.event, field.name)
    assert decode(encode(now), EVENT_TYPES) == now


def recorded_lines() -> list[tuple[bytes, dict[str, type]]]:
    """Every journal line in the fixtures, once for each kind and set of fields."""
    found: dict[tuple[str, ...], tuple[bytes, dict[str, type]]] = {}
    for archive in sorted(FIXTURES.glob("*.tar.gz")):
        with tarfile.open(archive) as tar:
            for member in tar:
                name = Path(member.name).name
                if name not in ("journal.jsonl", "batch.jsonl"):
                    continue
                file = tar.extractfile(member)
                assert file is not None
                types: dict[str, type] = dict(EVENT_TYPES if name == "journal.jsonl" else BATCH_EVENT_TYPES)
                for line in file.read().splitlines():
                    record = json.loads(line)
                    found.setdefault((name, record["event"], *sorted(record)), (line, types))
    return list(found.values())


def test_whatever_version_0_1_wrote_keeps_its_kind_and_its_fields():
    lines = recorded_lines()
    assert len(lines) >= 25
    for line, types in lines:
        old, entry = json.loads(line), decode(line, types)
        now = json.loads(encode(entry))
        assert {key: now[key] for key in old} == old
        assert decode(encode(entry), types) == entry


@given(st.dictionaries(texts, texts), st.integers(1, FORMAT))
def test_upcasting_adds_and_changes_nothing_else(options, written):
    record = {"at": 1.0, "v": written, "event": "session_started", "slurm": options, "session": "s"}
    upcast(record)
    assert record.pop("engine_options", None) == (options if written == 1 else None)
    assert record == {"at": 1.0, "event": "session_started", "slurm": options, "session": "s"}


newer_kinds = st.builds(lambda kind: {"v": FORMAT, "event": kind}, texts.filter(lambda kind: kind not in EVENT_TYPES))
newer_formats = st.builds(
    lambda ahead, kind: {"v": FORMAT + ahead, "event": kind}, st.integers(1, 99), st.sampled_from(list(EVENT_TYPES))
)
newer_records = st.builds(
    lambda record, fields: {"at": 2.0, **fields, **record},
    st.one_of(newer_kinds, newer_formats),
    st.dictionaries(texts, texts, max_size=2),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=80, deadline=None)
@given(st.lists(entries, max_size=3), newer_records, st.lists(entries, max_size=2))
def test_a_record_of_a_newer_version_is_never_cut_off_wherever_it_stands(tmp_path, before, newer, after):
    path = tmp_path / "journal.jsonl"
    content = b"".join([*map(encode, before), line_of(newer), *map(encode, after)])
    path.write_bytes(content)
    for read in (Journal, read_journal):
        with pytest.raises(NewerJournal, match=r"written by a newer ai-sci.*: upgrade") as caught:
            read(path)
        assert caught.value.exit_code == 2 and "\n" not in str(caught.value)
    tail = Tail(path, EVENT_TYPES)
    assert [record.event for record in tail.read().records] == [entry.event for entry in before]
    assert "written by a newer ai-sci" in tail.trouble
    assert path.read_bytes() == content


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(newer_records, st.data())
def test_half_a_record_of_a_newer_version_is_a_torn_tail(tmp_path, newer, data):
    path = tmp_path / "journal.jsonl"
    first = Entry(1.0, Told("task", "a"))
    line = line_of(newer)
    path.write_bytes(encode(first) + line[: data.draw(st.integers(0, len(line) - 2))])
    Journal(path).close()
    assert path.read_bytes() == encode(first)


@given(st.one_of(st.integers(max_value=0), st.booleans(), texts, st.none(), st.floats()))
def test_a_format_that_is_none_is_damage(written):
    assume(not (type(written) is int and written >= 1))
    line = line_of({"at": 1.0, "v": written, "event": "told", "prompt": "task", "text": "a"})
    with pytest.raises(ValueError, match="its format is") as caught:
        decode(line, EVENT_TYPES)
    assert type(caught.value) is ValueError


def test_a_whole_last_record_that_cannot_be_read_is_damage_and_never_cut_off(tmp_path):
    path = tmp_path / "journal.jsonl"
    content = encode(Entry(1.0, Told("task", "a"))) + b'{"at": 2.0, "v": 2, "event": "told"}\n'
    path.write_bytes(content)
    with pytest.raises(JournalError, match=r"journal\.jsonl:2") as caught:
        Journal(path)
    assert not isinstance(caught.value, NewerJournal)
    assert path.read_bytes() == content


def resumed_by(version: str) -> bytes:
    return encode(Entry(1.0, Resumed("m", None, 5, None, None, version=version)))


@pytest.mark.parametrize(
    ("versions", "said"),
    [
        ([__version__, "99.1"], "written by a newer ai-sci (99.1): upgrade"),
        (["99.1", "99.2"], "written by a newer ai-sci (99.2): upgrade"),
        ([__version__], "written by a newer ai-sci: upgrade"),
        (["99.1", "no version at all"], "written by a newer ai-sci (99.1): upgrade"),
        ([], "written by a newer ai-sci: upgrade"),
    ],
)
def test_the_newer_version_is_named_where_the_journal_does(tmp_path, versions, said):
    path = tmp_path / "journal.jsonl"
    newer = b'{"at": 2.0, "event": "of_tomorrow"}\n'
    path.write_bytes(b"".join(map(resumed_by, versions)) + newer + resumed_by("100.0"))
    with pytest.raises(NewerJournal) as caught:
        read_journal(path)
    assert str(caught.value) == f"{path}: {said}."
    tail = Tail(path, EVENT_TYPES)
    tail.read()
    assert tail.trouble == f"{path}: {said}"


@pytest.mark.parametrize("newer", [{"event": "of_tomorrow"}, {"event": "batch_ended", "v": FORMAT + 1}])
@pytest.mark.parametrize("after", [[], [{"at": 3.0, "event": "batch_ended", "status": "completed", "reason": ""}]])
def test_the_same_of_the_journal_of_a_batch(tmp_path, newer, after):
    path = tmp_path / "batch.jsonl"
    started = Record(1.0, BatchStarted("b", {}, "local", 2, [], {}, "99.1"))
    content = encode(started) + b"".join(map(line_of, [{"at": 2.0, **newer}, *after]))
    path.write_bytes(content)
    for read in (parse, Records):
        with pytest.raises(NewerJournal, match=r"written by a newer ai-sci \(99\.1\): upgrade"):
            read(path, BATCH_EVENT_TYPES)
    assert path.read_bytes() == content
