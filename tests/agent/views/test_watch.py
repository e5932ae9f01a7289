"""Following journals that are being written: whatever is seen of them when, the picture comes out the same."""

from __future__ import annotations

import io
import re
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from ai_sci.agent.batch.events import BatchEnded, BatchEvent, BatchStarted, IdeaAdded, SessionLaunched
from ai_sci.agent.batch.state import BATCH_JOURNAL
from ai_sci.agent.journal.events import EVENT_TYPES, Told
from ai_sci.agent.journal.journal import Entry, Record, encode, parse
from ai_sci.agent.journal.tail import Tail
from ai_sci.agent.session.session import JOURNAL
from ai_sci.agent.views.follow import Watch
from ai_sci.agent.views.frame import frame, plain
from tests.agent.journal.journals import entries, numbers, texts
from tests.bench.watching import make_batch

NOW = 4e9  # seconds since the epoch
names = st.sampled_from(["one", "two", "three"])
batch_events: st.SearchStrategy[BatchEvent] = st.one_of(
    st.builds(IdeaAdded, names, st.dictionaries(st.sampled_from(["Name", "Title"]), texts), st.just("/t")),
    st.builds(SessionLaunched, names, st.just(1), st.just(1), st.just("boot")),
    st.builds(BatchEnded, st.sampled_from(["completed", "no such status"]), texts),
)
batch_records = st.lists(st.builds(Record, at=st.integers(0, 10**9).map(float), event=batch_events), max_size=8)
budgets = st.dictionaries(st.sampled_from(["cost", "tokens", "time"]), st.none() | numbers, max_size=2)


def pieces(content: bytes, cuts: list[float]) -> list[bytes]:
    places = sorted({0, len(content), *(int(cut * len(content)) for cut in cuts)})
    return [content[one:other] for one, other in zip(places, places[1:])]


@settings(max_examples=60)
@given(
    batch_records,
    st.lists(st.lists(entries, max_size=8), min_size=3, max_size=3),
    budgets,
    st.lists(st.floats(0, 1), max_size=12),
    st.randoms(),
)
def test_any_split_of_the_bytes_gives_the_same_picture(records, stories, budgets, cuts, random):
    started = Record(1.0, BatchStarted("b", {}, "local", 2, [], budgets, "0"))
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place, "b")
        contents = {folder / BATCH_JOURNAL: b"".join(map(encode, [started, *records]))}
        for name, story in zip(("one", "two", "three"), stories):
            contents[folder / name / JOURNAL] = b"".join(map(encode, story))
        for path in contents:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        watched = Watch(folder, driven=lambda _: True)
        writes = [(path, piece) for path, content in contents.items() for piece in pieces(content, cuts)]
        order = sorted(range(len(writes)), key=lambda _: random.random())
        queues = {path: [piece for other, piece in writes if other == path] for path in contents}
        for path in [writes[number][0] for number in order]:  # any order between files, the written one within each
            with path.open("ab") as file:
                file.write(queues[path].pop(0))
            watched.look()
        whole = Watch(folder, driven=lambda _: True)
        whole.look()
        whole.look()
        assert watched.picture(NOW) == whole.picture(NOW)
        # Whatever a journal holds can be drawn, and does nothing to a terminal.
        assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", plain(whole.picture(NOW), 120))


def told(text: str) -> bytes:
    return encode(Entry(1.0, Told("task", text)))


@pytest.fixture
def journal(tmp_path) -> Path:
    return tmp_path / JOURNAL


def test_a_torn_line_waits_for_its_end(journal):
    tail = Tail(journal, EVENT_TYPES)
    assert tail.read().records == []  # it is not there yet
    journal.write_bytes(told("a") + told("b")[:-5])
    assert [one.event for one in tail.read().records] == [Told("task", "a")]
    journal.write_bytes(told("a") + told("b"))
    assert [one.event for one in tail.read().records] == [Told("task", "b")]
    assert not tail.read().records and not tail.trouble


def test_what_a_crash_left_and_its_writer_cut_off_again_is_never_seen(journal):
    tail = Tail(journal, EVENT_TYPES)
    journal.write_bytes(told("a") + b"\0\0\0\0\n")
    assert len(tail.read().records) == 1 and not tail.trouble
    journal.write_bytes(told("a") + told("b"))
    news = tail.read()
    assert [one.event for one in news.records] == [Told("task", "b")] and not news.anew


@pytest.mark.parametrize("other", [told("x"), told("x") + told("much longer than what was there"), b""])
def test_another_journal_in_its_place_is_read_anew(journal, other):
    tail = Tail(journal, EVENT_TYPES)
    journal.write_bytes(told("a") + told("b"))
    tail.read()
    journal.write_bytes(other)
    news = tail.read()
    assert news.anew and news.records == parse(journal, EVENT_TYPES)[0]


def test_a_spoiled_line_is_named_and_what_stood_before_it_is_kept(journal):
    tail = Tail(journal, EVENT_TYPES)
    journal.write_bytes(told("a") + b"spoiled\n" + told("b"))
    assert len(tail.read().records) == 1
    assert f"{journal}:2" in tail.trouble
    journal.write_bytes(told("a") + told("c") + told("b"))
    assert len(tail.read().records) == 2 and not tail.trouble


def test_no_byte_is_read_twice(journal, monkeypatch):
    tail = Tail(journal, EVENT_TYPES)
    journal.write_bytes(told("x" * 1_000_000))
    tail.read()
    taken: list[int] = []
    monkeypatch.setattr(tail, "_take", lambda content: taken.append(len(content)) or [])
    tail.read()
    with journal.open("ab") as file:
        file.write(told("b"))
    tail.read()
    assert taken == [len(told("b"))]


@pytest.fixture
def large(tmp_path) -> Path:
    return make_batch(tmp_path / "night")


def drawn(watched: Watch, width: int, height: int) -> list[str]:
    """The lines of a frame."""
    console = Console(width=width, force_terminal=False, record=True, file=io.StringIO())
    console.print(frame(watched.picture(NOW), width, height))
    return console.export_text().splitlines()


def test_of_200_ideas_the_most_interesting_are_on_the_screen_and_the_rest_is_counted(large):
    watched = Watch(large, driven=lambda _: True)
    watched.look()
    lines = drawn(watched, 80, 24)
    assert len(lines) <= 24
    assert "120 done  20 running  50 waiting  10 failed" in lines[1]
    assert lines[-1].strip() == "… and 2 running, 10 failed, 50 waiting, 120 done"
    order = [line.standing.value for line in watched.picture(NOW).lines]
    assert order == ["running"] * 20 + ["failed"] * 10 + ["waiting"] * 50 + ["done"] * 120
    everything = plain(watched.picture(NOW))
    assert "\x1b" not in everything and len(everything.splitlines()) > 200
