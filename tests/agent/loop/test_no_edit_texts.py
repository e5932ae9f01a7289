"""What a reply without a usable edit is told, and that such failures have a count of their own."""

from __future__ import annotations

import pytest

from ai_sci.agent.edits import Seen
from ai_sci.agent.journal import AttemptFinished, Entry, ReplyRejected, RunClosed, fold, render
from ai_sci.agent.loop.prompting import why_no_edit

SEEN = {
    "tool call": "line 3 has a tool call, and there are no tools here",
    "markers": "line 3 has a marker other than `<<<<<<< SEARCH`",
    "patch": "the patch at line 3 needs `*** Begin Patch`",
    "tags": "line 3 has tags",
    "JSON": "line 3 has JSON",
    "diff": "the diff at line 3 needs the lines `--- a/NAME` and `+++ b/NAME`",
    "loose diff": "the diff at line 3 stands in no code fence",
    "shell": "line 3 has shell commands, which are not executed",
    "piece": "the code fence at line 3 has a piece of plot.py",
    "fence": "the code fence at line 3 has no file's name",
}


@pytest.mark.parametrize("what", SEEN)
def test_the_reason_names_what_was_seen(what: str):
    told = why_no_edit("no edit", seen=Seen(what, 3, "plot.py"))
    assert told.startswith(f"Your reply holds no edit: {SEEN[what]}") and told.endswith(".") and "\n" not in told


def test_prose_is_told_in_one_sentence():
    assert why_no_edit("no edit", seen=Seen()) == "Your reply holds no edit."


@pytest.mark.parametrize("phase", ["runs", "plots"])
def test_how_edits_are_written_is_repeated_in_two_lines(phase: str):
    short = render("no_edit", reasons=["Your reply holds no edit."], phase=phase, run=2, remind=False)
    long = render("no_edit", reasons=["Your reply holds no edit."], phase=phase, run=2, remind=True)
    added = [line for line in long.splitlines() if line and line not in short.splitlines()]
    assert len(added) == 2 and all(mark in added[0] for mark in ("<<<<<<< SEARCH", "=======", ">>>>>>> REPLACE"))


def crashed(attempt: int) -> AttemptFinished:
    return AttemptFinished(1, attempt, "full", "crashed", "it raised", "", 1.0, {}, f"code {attempt}")


def test_format_failures_are_counted_beside_the_others():
    """A broken edit and a crash both use up a try; what they are is counted apart."""
    events = [
        ReplyRejected("edit_refused", ["nowhere"]),
        crashed(1),
        ReplyRejected("no_edit", ["none"], "no edit"),
        ReplyRejected("no_edit", ["as it was"], "code unchanged"),
        ReplyRejected("lint_failed", ["F821"]),
    ]
    state = fold(Entry(float(at), event) for at, event in enumerate(events))
    assert (state.failures, state.format_failures, state.edits_refused, state.edits_missing) == (5, 2, 1, 1)
    assert state.failures_in_words == "5 failures in a row, 2 of them without a usable edit"
    closed = [
        *events,
        RunClosed(1, "lint_failed", {}, "c", "b", "h", format_failures=2),
        ReplyRejected("no_edit", ["x"]),
    ]
    state = fold(Entry(float(at), event) for at, event in enumerate(closed))
    assert (state.failures, state.format_failures) == (1, 0)  # of an older journal, which gives no case
    assert state.failures_in_words == "1 failure in a row"
