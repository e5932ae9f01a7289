from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.crash.launcher import Launcher, open_launcher


@pytest.fixture(scope="session")
def launcher() -> Iterator[Launcher]:
    with open_launcher() as one:
        yield one
