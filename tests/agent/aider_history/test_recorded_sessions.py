"""Recorded histories that are not part of the project: their folder is in AI_SCI_RECORDED_SESSIONS.

`000_*.txt` ends after two answered turns; in `002_*.txt` every turn after the first was refused.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ai_sci.agent.aider_history.diagnosis import diagnose
from ai_sci.agent.aider_history.file import read_history
from ai_sci.agent.aider_history.idea import recognise_idea
from ai_sci.agent.aider_history.pieces import scan_history
from ai_sci.agent.aider_history.turns import HistorySession, TurnKind
from ai_sci.experiment.template.template import load_template
from tests.agent.aider_history.test_turns import read

FOLDER = os.environ.get("AI_SCI_RECORDED_SESSIONS", "")
pytestmark = pytest.mark.skipif(not FOLDER, reason="AI_SCI_RECORDED_SESSIONS names no folder with recorded sessions")


def file(number: str) -> Path:
    (found,) = Path(FOLDER).glob(f"{number}_*.txt")
    return found


def session(number: str) -> HistorySession:
    (only,) = read_history(file(number))
    return only


@pytest.mark.parametrize("number", ["000", "002"])
def test_every_prefix_is_read(number):
    text = file(number).read_bytes().decode()
    for end in range(0, len(text) + 1):
        assert "".join(piece.raw for piece in scan_history(text[:end])) == text[:end]
        if end % 7 == 0 or text[end - 1 : end] == "\n":  # what a turn says costs more, and changes line by line
            read(text[:end])


def test_the_one_that_ends_after_two_replies():
    recorded = session("000")
    assert [(turn.kind, turn.blocks, len(turn.lint)) for turn in recorded.turns] == [
        (TurnKind.user, 8, 2),
        (TurnKind.lint, 2, 0),
    ]
    found = recognise_idea(recorded, load_template("sae"))
    assert (found.idea.name, found.max_runs) == ("temporal_sae", 5)
    told = diagnose(recorded)
    assert "two turns, both answered, with ten SEARCH/REPLACE blocks (8 + 2)" in told
    assert (
        "the linter found F821 undefined name 'F' and F821 undefined name 'CustomTrainer'; after those of turn 2"
        in told
    )
    assert "It ends on aider's line “Run shell command?" in told and "no result of a run is in it" in told
    assert "is dead (l2_norm_out = 0.0, l0 = 0.0)" in told


def test_the_one_that_was_refused_nine_times():
    recorded = session("002")
    assert [turn.blocks for turn in recorded.turns] == [4] + [0] * 9
    assert [turn.has_failed for turn in recorded.turns] == [False] + [True] * 9
    found = recognise_idea(recorded, load_template("sae"))
    assert (found.idea.name, found.max_runs) == ("progressive_cosine_sae", 10)
    told = diagnose(recorded)
    assert "ten turns, one of them answered, with four SEARCH/REPLACE blocks" in told
    assert "Two messages of one side in a row reached the API after turn 1. That turn has its reply" in told
    assert "Turns 2 to 10 got no reply: the same error 400 came nine times" in told
    assert "Turns 3 to 10 report eight more runs of code that nothing had changed" in told
    assert "None of the nine reports of a failed run says why it failed" in told
    assert "was never trained (training_steps = 0, final_loss = None)" in told
