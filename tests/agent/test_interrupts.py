"""A signal ends a session also where Python swallows the exception that it raises."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from types import SimpleNamespace
from typing import cast

import pytest

from ai_sci.agent import interrupts
from ai_sci.agent.journal.state import Status
from ai_sci.agent.loop.loop import drive
from ai_sci.agent.loop.session_context import SessionContext


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """Put back: a session that is on its way out hears no more signals."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


class Swallows:
    def __del__(self) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        sum(range(1000))  # the handler runs between two instructions here, and its exception is ignored


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_interrupt_in_a_destructor_is_raised_at_the_next_look():
    with interrupts.signals_interrupt():
        interrupts.check()
        one = Swallows()
        del one
        with pytest.raises(KeyboardInterrupt):
            interrupts.check()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_the_loop_looks_before_each_step():
    never_stepped = cast(SessionContext, SimpleNamespace(state=SimpleNamespace(status=Status.running)))
    with interrupts.signals_interrupt():
        one = Swallows()
        del one
        with pytest.raises(KeyboardInterrupt):
            drive(never_stepped)


def test_the_next_session_starts_with_a_clean_slate():
    with interrupts.signals_interrupt():
        interrupts.check()
