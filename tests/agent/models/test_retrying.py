"""What a server asks for is waited for within `--wait`; everything else within the time for all tries."""

from __future__ import annotations

import re

import pytest

from ai_sci.agent.models.errors import TryFailed, failed
from ai_sci.agent.models.reply import CallFailure
from ai_sci.agent.models.retrying import RetryPolicy, unlimited, until_answered


def limited(wait: float) -> TryFailed:
    return TryFailed(CallFailure(429, "rate_limited", "HTTP 429"), retry=True, wait=wait)


def told_of(tries: list[TryFailed], policy: RetryPolicy, left: float | None = None) -> list[CallFailure]:
    """What is told of a call that fails in these ways, and would be answered then."""
    told: list[CallFailure] = []
    failures = iter(tries)

    def attempt(_: float) -> str:
        for failure in failures:
            raise failure
        return "answered"

    try:
        until_answered(attempt, policy, unlimited if left is None else lambda: left, told.append, lambda: True)
    except TryFailed:
        pass
    return told


@pytest.mark.parametrize(("seconds", "hours"), [(18000, 5), (18001, 6), (3601, 2), (30 * 86400, 720)])
def test_a_wait_beyond_patience_ends_at_once_with_the_time(seconds, hours):
    [failure] = told_of([limited(seconds)], RetryPolicy())
    assert failure.retry_in is None
    assert re.search(r"takes requests again at [\d :-]+ \(in \d+h(\d\dm)?\): resume then", failure.message)
    assert failure.message.endswith(f"--wait {hours}h")


@pytest.mark.parametrize(("seconds", "patience", "tries"), [(0.2, 0.3, 1), (0.2, 0.1, 1), (0.15, 0.4, 2)])
def test_patience_bounds_what_servers_ask_for(seconds, patience, tries):
    told = told_of([limited(seconds)] * tries, RetryPolicy(patience=patience).scaled(0.001))
    waited = [failure for failure in told if failure.retry_in is not None]
    assert len(waited) == (tries if seconds * tries <= patience else 0)


def test_waits_of_one_call_are_added_up():
    told = told_of([limited(0.2)] * 3, RetryPolicy(patience=0.45).scaled(0.001))
    assert [failure.retry_in is None for failure in told] == [False, False, True]


def test_what_a_server_asked_for_leaves_the_time_for_other_failures():
    policy = RetryPolicy(patience=10.0, total=0.3).scaled(0.001)
    told = told_of([limited(0.5), failed("server_error", "HTTP 500")], policy)
    assert all(failure.retry_in is not None for failure in told)


def test_a_long_wait_that_the_sessions_time_does_not_hold_is_not_begun():
    [failure] = told_of([limited(4000)], RetryPolicy(patience=20000), left=1000.0)
    assert failure.retry_in is None and "takes requests again" in failure.message


def test_a_long_wait_is_told_by_the_clock(monkeypatch):
    monkeypatch.setattr("ai_sci.agent.models.retrying._sleep", lambda _: None)
    [failure] = told_of([limited(18000)], RetryPolicy(patience=20000))
    assert re.search(r"try 2 of 8 at [\d :-]+ \(in 5h\)$", failure.message)
    assert failure.retry_in == pytest.approx(18000, abs=1)
