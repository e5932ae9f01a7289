"""What a journal says was spent, in the awkward cases: waited for, held elsewhere, cut off, written long ago."""

from __future__ import annotations

import pytest

from ai_sci.agent.journal.events import (
    EVENT_TYPES,
    AttemptFinished,
    AttemptStarted,
    BaselineMeasured,
    BaselineStarted,
    CallFailed,
    CallStarted,
    Event,
    Replied,
    Resumed,
    SessionEnded,
)
from ai_sci.agent.journal.journal import Entry, decode
from ai_sci.agent.journal.state import State, fold

RESUMED = Resumed("m", None, 5, None, None)
CALL = CallStarted(0.5, 1000)


def replied(model: str = "openai/m", cost: float | None = 0.1) -> Replied:
    return Replied("hello", "", "stop", model, 100, 10, 0, cost, 1.0)


def began(gpus: int = 2, limit: float = 60.0, **more) -> AttemptStarted:
    return AttemptStarted(1, 1, "full", "code", "commit", 7, 7, "boot", gpus=gpus, limit=limit, **more)


def finished(verdict: str, seconds: float, **more) -> AttemptFinished:
    return AttemptFinished(1, 1, "full", verdict, "", "", seconds, {}, "code", **more)


def state(*events: Event, every: float = 10.0) -> State:
    """Of a journal with these events, `every` so many seconds one."""
    return fold(Entry(1000.0 + every * number, event) for number, event in enumerate(events))


def test_the_seconds_that_were_waited_for_a_place_are_no_work():
    assert state(CALL, CALL, CALL).active_seconds == 20
    baseline = BaselineMeasured({}, "ok", [], "cached", None, waited=6.0)
    assert state(CALL, baseline, began(waited=7.0)).active_seconds == pytest.approx(7.0)


def test_a_try_counts_with_its_most_until_it_is_answered_or_fails():
    assert state(CALL).spent.committed.cost == 0.5
    assert state(CALL, replied()).spent.committed.cost == 0.1
    assert state(CALL, replied()).spent.unsettled_tokens == 0
    failed = CallFailed(None, "cut", "cut", 1.0, 100, 5, 0.05)
    both = state(CALL, failed, CALL, replied()).spent
    assert both.cost == pytest.approx(0.15) and both.committed.tokens == 215
    assert (both.calls, both.unsettled_cost) == (1, 0.0)


def test_a_try_that_nobody_saw_the_end_of_stays_unsettled_whatever_comes_later():
    spent = state(CALL, RESUMED, CALL, replied(), CALL, SessionEnded("interrupted", ""), RESUMED, replied()).spent
    assert (spent.unsettled_cost, spent.unsettled_tokens) == (1.0, 2000)
    assert spent.cost == pytest.approx(0.2)


def test_a_call_of_unknown_price_is_counted_as_one():
    spent = state(CallStarted(None, None), replied(cost=None)).spent
    assert (spent.unpriced_calls, spent.committed.cost) == (1, 0.0)


def test_replayed_tokens_were_spent_by_the_session_that_is_replayed():
    spent = state(replied("replay:/runs/s", 0.0), replied("history:h.md#1", 0.0), replied("scripted:x", 0.0)).spent
    assert spent.prompt_tokens == 300 and spent.committed.tokens == 110


@pytest.mark.parametrize(
    "events, seconds",
    [
        ([began(), finished("ok", 4.0)], 4.0),
        ([began(), finished("lost", 4.0)], 4.0),  # a budget ended it
        ([began(), SessionEnded("interrupted", ""), RESUMED, finished("lost", 0.0)], 10.0),
        ([began(), RESUMED, finished("lost", 0.0)], 10.0),
        ([began(limit=3.0), RESUMED, finished("lost", 0.0)], 3.0),
        ([began(job="77"), RESUMED, SessionEnded("interrupted", ""), RESUMED, finished("ok", 34.0)], 34.0),
        ([began(job="77"), RESUMED, finished("lost", 0.0)], 20.0),
        ([began(job="77"), finished("lost", 0.0, begun=False)], 0.0),  # cancelled in the queue
        ([BaselineStarted(2, 60.0), SessionEnded("budget_exhausted", "")], 10.0),
    ],
)
def test_gpus_count_for_as_long_as_they_were_held(events, seconds):
    assert state(*events).spent.gpu_seconds == pytest.approx(2 * seconds)


def test_a_measured_baseline_is_counted_once():
    baseline = BaselineMeasured({}, "ok", [], "measured", None, seconds=5.0, gpus=2)
    assert state(BaselineStarted(2, 60.0), baseline, RESUMED).spent.gpu_seconds == 10.0


def test_journals_of_older_versions_are_read():
    line = b'{"at": 1, "event": "call_failed", "status": 500, "failure": "cut", "message": "", "retry_in": null}'
    assert decode(line, EVENT_TYPES).event == CallFailed(500, "cut", "", None)
    line = b'{"at": 1, "event": "resumed", "model": "m", "api_base": null, "max_runs": 5, "max_cost": 2, "max_time": 9}'
    budgets = fold([decode(line, EVENT_TYPES)]).budgets
    assert (budgets.cost, budgets.time, budgets.tokens, budgets.gpu_hours, budgets.disk) == (2, 9, None, None, None)
