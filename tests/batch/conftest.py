"""Batches run by the real command, on slots of their own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.batch.command import Batch
from tests.crash.launcher import warm_process


@pytest.fixture(scope="session", autouse=True)
def warm() -> None:
    """Its imports take no time of the first test, in which a clock may run."""
    warm_process()


@pytest.fixture(scope="module")
def cache(tmp_path_factory) -> str:
    return str(tmp_path_factory.mktemp("cache"))


@pytest.fixture
def batch(tmp_path: Path, cache: str) -> Callable[..., Batch]:
    """Starts `ai-sci batch` with these options in this test's folder; the batch is `runs/night`."""
    return lambda *args, **env: Batch(tmp_path, "batch", "--session", "night", *args, AI_SCI_CACHE=cache, **env)


@pytest.fixture
def resume(tmp_path: Path, cache: str) -> Callable[..., Batch]:
    night = tmp_path / "runs" / "night"
    return lambda *args, **env: Batch(tmp_path, "resume", night, *args, AI_SCI_CACHE=cache, **env)
