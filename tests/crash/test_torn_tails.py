"""A real journal, torn at every byte: no record is lost, and none is glued to the next one that is appended."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ai_sci.agent.journal.events import Event, Told
from ai_sci.agent.journal.journal import Journal, read_journal
from tests.crash.stories import STORIES
from tests.crash.trials import Stage

NEXT = Told("failed", "the next one")


@pytest.fixture(scope="module")
def journal(launcher, tmp_path_factory) -> bytes:
    """Of a session with failures in it."""
    stage = Stage(STORIES[0], tmp_path_factory.mktemp("torn"), launcher, None)
    return (stage.trial / "runs" / "s" / "journal.jsonl").read_bytes()


@pytest.mark.parametrize("step", [17, pytest.param(1, marks=pytest.mark.slow)])
def test_torn_at_every_byte_of_every_record(journal, tmp_path, step, record_property):
    lines = journal.splitlines(keepends=True)
    path = tmp_path / "journal.jsonl"
    tails = 0
    for before, line in zip(lines, lines[1:]):  # one record before it stands for all of them
        for cut in {*range(1, len(line), step), len(line) - 1}:
            path.write_bytes(before + line[:cut])
            assert len(_append(path)) == 2, (line, cut)
            assert path.read_bytes().startswith(before), (line, cut)
            tails += 1
        assert len(_reopened(path, before + line)) == 2
    record_property("torn tails", tails)


@pytest.mark.parametrize("garbage", [bytes(1), bytes(4096), b"\xff" * 10, b"{", b"{}", b"null", b'{"at": 1}'])
@pytest.mark.parametrize("end", [b"", b"\n"])
def test_what_a_power_cut_may_leave_behind_the_last_record(journal, tmp_path, garbage, end):
    path = tmp_path / "journal.jsonl"
    path.write_bytes(journal + garbage + end)
    told = [json.loads(line) for line in journal.splitlines()]
    events = _append(path)
    assert len(events) == len(told) + 1
    assert path.read_bytes().startswith(journal)


def _append(path: Path) -> list[Event]:
    """The events after a reopening and one more record, which is whole."""
    open_journal = Journal(path)
    open_journal.append(NEXT)
    open_journal.close()
    events = [entry.event for entry in read_journal(path)]
    assert events[-1] == NEXT
    return events


def _reopened(path: Path, content: bytes) -> list[Event]:
    path.write_bytes(content)
    Journal(path).close()
    assert path.read_bytes() == content
    return [entry.event for entry in read_journal(path)]
