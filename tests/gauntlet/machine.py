"""Faults of the machine."""

from __future__ import annotations

from tests.gauntlet.case import Case

CASES: list[Case] = []
