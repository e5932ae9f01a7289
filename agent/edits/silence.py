"""Silences Python's warnings, for one thread at a time."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

_ONE_AT_A_TIME = threading.RLock()


@contextmanager
def without_warnings() -> Iterator[None]:
    """Filters of warnings and `sys.stdout` are the whole process's: they are changed in such a block only.

    Two sessions in threads of one process would else each put back what the other had set.
    """
    with _ONE_AT_A_TIME, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
