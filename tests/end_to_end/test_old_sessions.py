"""Sessions and batches that version 0.1 wrote are shown, reported, resumed and replayed as that version did it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.old_sessions import JOURNALS, REPORTED, Unpacked, expected, resumed, unpack


@pytest.fixture
def old(request: pytest.FixtureRequest, tmp_path: Path) -> Unpacked:
    return unpack(request.param, tmp_path)


def of(*names: object) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("old", names, indirect=True)


def slow(name: str) -> object:
    return pytest.param(name, marks=pytest.mark.slow)


@of(*REPORTED, *JOURNALS)
def test_it_is_shown_as_then(old):
    assert_as_then(old.show(), expected(f"{old.name}.json"))


@of("completed", "batch", *map(slow, REPORTED[2:]))
def test_it_is_reported_as_then_and_the_page_holds_what_the_check_finds(old):
    assert old.report() == expected(f"{old.name}.md")
    page = old.root / "page.html"
    made = old.command("report", old.folder, "-o", page)
    assert (made.code, made.session) == (0, page), made.err
    checked = old.command("report", old.folder, "--check", page)
    assert (checked.code, checked.err) == (0, ""), checked.out


@of("batch_killed", *map(slow, ("sigkilled", "interrupted", "unavailable", "exhausted")))
def test_it_is_resumed_to_the_same_end(old):
    assert_as_then(resumed(old), expected(f"{old.name}.resumed.json"))


@of("completed")
def test_it_is_replayed_with_the_same_edits_and_verdicts_and_its_prompts_are_no_difference(old):
    now, then = old.replay(), expected("completed.replayed.json")
    found, recorded = (one["show"]["origin"]["compared"] for one in (now, then))
    assert found["prompts_by"] == "ai-sci 0.1.0" and found["prompts"] < recorded["prompts"]
    as_recorded = "13 of 13 edits and 17 of 17 verdicts as recorded"
    assert now["said"] == f"the prompts were written by another version (ai-sci 0.1.0) and differ; {as_recorded}"
    assert then["said"] == f"13 of 13 prompts as recorded; {as_recorded}"
    assert not (old.root / "runs" / "again" / "replay").exists()
    for one in (now, then):
        del one["said"], one["show"]["origin"]["compared"]["prompts"]
    assert_as_then(now, then)


def assert_as_then(now: Any, then: Any) -> None:
    """A later version may tell more, and nothing else than before."""
    assert narrowed(now, then) == then


def narrowed(now: Any, then: Any) -> Any:
    """`now` without the keys that objects did not have then."""
    if isinstance(now, dict) and isinstance(then, dict):
        return {key: narrowed(value, then[key]) for key, value in now.items() if key in then}
    if isinstance(now, list) and isinstance(then, list) and len(now) == len(then):
        return [narrowed(*pair) for pair in zip(now, then)]
    return now
