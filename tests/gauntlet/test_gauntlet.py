"""The gauntlet under pytest: the quick third in `make test`, the rest in `make test-all`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.gauntlet.case import Case
from tests.gauntlet.cases import all_cases
from tests.gauntlet.judge import problems
from tests.gauntlet.stage import cache_for, play


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One for all workers of pytest-xdist."""
    return cache_for(tmp_path_factory.getbasetemp().parent)


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(case, id=f"{group}: {case.name}", marks=() if case.quick else pytest.mark.slow)
        for group, case in all_cases()
    ],
)
def test_a_fault_ends_in_a_named_outcome(case: Case, tmp_path: Path, cache: Path):
    if case.needs and (reason := case.needs()):
        pytest.skip(reason)
    outcome = play(case, tmp_path / "case", cache)
    assert [str(problem) for problem in problems(case, outcome)] == []
