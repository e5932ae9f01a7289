"""Faults of a reply."""

from __future__ import annotations

from tests.gauntlet.case import Case
from tests.gauntlet.story import story

CASES: list[Case] = [
    Case("prose only", story("I would first like to think."), verdicts=("no_edit",), quick=True),
]
