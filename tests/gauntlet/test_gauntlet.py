"""The gauntlet under pytest: a case for each class of fault in `make test`, the rest in `make test-all`."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ai_sci.experiment.base.cache import locked
from tests.gauntlet.case import Case
from tests.gauntlet.cases import all_cases
from tests.gauntlet.judge import problems
from tests.gauntlet.stage import cache_for, play, warm_up


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One for all workers of pytest-xdist. The first of them builds what is not there, while the others wait."""
    own = tmp_path_factory.getbasetemp()
    cache = cache_for(own.parent)
    run = own.parent if "PYTEST_XDIST_WORKER" in os.environ else own  # the folder of this run of pytest
    warm = run / "gauntlet warm up"
    with locked(run / "gauntlet warm up.lock"):
        if not warm.exists():
            warm_up(warm, cache)
    return cache


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
