"""All cases of the gauntlet, by group."""

from __future__ import annotations

from tests.gauntlet import (
    disks,
    elsewhere,
    endings,
    experiment,
    hunger,
    keys,
    machine,
    model_answers,
    model_api,
    model_limits,
    protocols,
    reasoning,
    replies,
    results,
    templates,
)
from tests.gauntlet.case import Case

GROUPS: dict[str, list[Case]] = {
    "model API": [*model_api.CASES, *model_answers.CASES, *model_limits.CASES, *protocols.CASES, *keys.CASES],
    "replies": [*replies.CASES, *reasoning.CASES, *endings.CASES],
    "experiment": [*experiment.CASES, *hunger.CASES, *results.CASES],
    "machine": [*machine.CASES, *disks.CASES, *elsewhere.CASES],
    "templates": templates.CASES,
}


def all_cases() -> list[tuple[str, Case]]:
    """Group and case; names are unique."""
    pairs = [(group, case) for group, cases in GROUPS.items() for case in cases]
    names = [case.name for _, case in pairs]
    twice = {name for name in names if names.count(name) > 1}
    assert not twice, f"two cases are called {twice}"
    return pairs


def find(name: str) -> tuple[str, Case]:
    return next(pair for pair in all_cases() if pair[1].name == name)
