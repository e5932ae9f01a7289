"""Sessions and batches that a newer version wrote: one clear line, exit code 2, and not a byte of them is changed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.end_to_end.old_sessions import Unpacked, unpack
from tests.end_to_end.recordings import fingerprint

NEWER = [
    {"at": 4e9, "v": 99, "event": "resumed", "version": "99.1"},
    {"at": 4e9, "v": 99, "event": "of_tomorrow", "text": "x"},
]
SAID = "written by a newer ai-sci (99.1): upgrade."


def add_newer(journal: Path) -> None:
    with journal.open("a") as file:
        file.writelines(json.dumps(record) + "\n" for record in NEWER)


@pytest.fixture(scope="module")
def session(tmp_path_factory) -> Unpacked:
    found = unpack("interrupted", tmp_path_factory.mktemp("session"))
    add_newer(found.folder / "journal.jsonl")
    return found


@pytest.fixture(scope="module")
def batch(tmp_path_factory) -> Unpacked:
    found = unpack("batch_killed", tmp_path_factory.mktemp("batch"))
    add_newer(found.folder / "batch.jsonl")
    return found


@pytest.mark.parametrize("command", ["show", "resume", "replay", "report"])
def test_a_session_is_refused_in_one_line(session, command):
    assert_refused(session, command, session.folder / "journal.jsonl")


@pytest.mark.parametrize("command", ["show", "resume", "report"])
def test_a_batch_is_refused_in_one_line(batch, command):
    assert_refused(batch, command, batch.folder / "batch.jsonl")


def assert_refused(newer: Unpacked, command: str, journal: Path) -> None:
    before = fingerprint(newer.root)
    done = newer.command(command, newer.folder)
    assert (done.code, done.err) == (2, f"ai-sci: {journal}: {SAID}\n")
    assert fingerprint(newer.root) == before


def test_watch_says_so_too(session):
    done = session.command("watch", session.folder, "--once")
    assert done.code == 0 and SAID.rstrip(".") in " ".join(done.out.split())


def test_one_newer_session_keeps_nobody_from_a_page_of_the_others(tmp_path):
    old = unpack("batch", tmp_path)
    newest = sorted(old.folder.glob("*/journal.jsonl"))[0]
    add_newer(newest)
    done = old.command("report", old.folder, "-o", tmp_path / "page.html")
    assert done.code == 0, done.err
    assert "written by a newer ai-sci" in (tmp_path / "page.html").read_text()
