"""Faults of the experiment."""

from __future__ import annotations

from tests.gauntlet.case import Case

CASES: list[Case] = []
