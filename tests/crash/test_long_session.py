"""What a resume does is in proportion to the journal, however long that is. Operations are counted, not seconds."""

from __future__ import annotations

import json

import pytest

from ai_sci.agent.journal import journal, state
from ai_sci.agent.journal.journal import encode, read_journal
from ai_sci.agent.journal.state import fold
from tests.bench.long_session import make_long_session

EVENTS = 1500


@pytest.fixture(scope="module")
def session(tmp_path_factory):
    return make_long_session(tmp_path_factory.mktemp("long"), EVENTS)


def test_it_is_a_valid_session(session):
    entries = read_journal(session / "journal.jsonl")
    assert len(entries) >= EVENTS
    where = fold(entries)
    assert len(where.accepted) > EVENTS // 20
    head = (session / ".git" / "refs" / "heads" / "main").read_text().strip()
    assert where.head == head


def test_a_resume_reads_each_record_at_most_twice(session, launcher, tmp_path, monkeypatch):
    """Once to see whether there is anything to resume, once under the lock."""
    records = len(read_journal(session / "journal.jsonl"))
    decoded, folded = [], []
    decode, advance = journal.decode, state.advance
    monkeypatch.setattr(journal, "decode", lambda line, types: decoded.append(1) or decode(line, types))
    monkeypatch.setattr(state, "advance", lambda *args: folded.append(1) or advance(*args))
    from ai_sci.agent.commands import ResumeOptions, resume
    from ai_sci.agent.session.screen import PlainScreen

    monkeypatch.setenv("AI_SCI_CACHE", str(tmp_path / "cache"))
    resume(session, ResumeOptions(), PlainScreen())
    assert len(decoded) <= 2 * records
    assert len(folded) <= 2 * records + 10
    last = [json.loads(encode(entry))["event"] for entry in read_journal(session / "journal.jsonl")[records:]]
    assert last == ["resumed", "sandbox_found", "call_failed", "session_ended"]
