from __future__ import annotations

import pytest

from tests.crash.launcher import Launcher, warm_process


@pytest.fixture(scope="session")
def launcher() -> Launcher:
    return warm_process()
