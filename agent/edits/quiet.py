"""Keeps Python's warnings quiet while a model's code is compiled."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Generator
from contextlib import contextmanager

_ONE_AT_A_TIME = threading.RLock()


@contextmanager
def without_warnings() -> Generator[None, None, None]:
    """Ignore warnings in the block, in one thread at a time: Python's filters and `sys.stdout` are process-wide.

    Without the lock, two sessions in threads of one process would each restore what the other had set.
    """
    with _ONE_AT_A_TIME, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
