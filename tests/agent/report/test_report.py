"""The figures of a report: uncertainty, where the night went, curves, the order of a leaderboard."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ai_sci.agent.journal.events import (
    AttemptFinished,
    AttemptStarted,
    BaselineMeasured,
    BaselineStarted,
    CallFailed,
    CallStarted,
    Replied,
    Resumed,
    SessionEnded,
    Told,
)
from ai_sci.agent.journal.journal import Entry
from ai_sci.agent.report.curves import POINTS, read_curves
from ai_sci.agent.report.journal_facts import read_journal_facts
from ai_sci.agent.report.leaderboard import Row, ordered
from ai_sci.agent.report.measures import Measure, against, measured
from ai_sci.agent.report.time_breakdown import where_it_went
from tests.agent.journal.journals import entries

FULL = AttemptFinished(1, 1, "full", "ok", "", "", 30.0, {}, "h")
REPLIED = Replied("", "", None, "m", 1, 1, 0, None, 3.0)


def test_a_difference_of_more_than_two_standard_errors_is_better_or_worse():
    assert against(Measure(0.9, 0.01), Measure(0.8, 0.01), True).word == "better"
    assert against(Measure(0.9, 0.01), Measure(0.8, 0.01), False).word == "worse"
    assert against(Measure(0.7, 0.01), Measure(0.8, 0.01), False).word == "better"


def test_a_difference_of_two_standard_errors_is_noise():
    noise = against(Measure(1.0, 0.3), Measure(0.0, 0.4), True)
    assert (noise.word, noise.stderr) == ("within noise", pytest.approx(0.5))


@given(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6), st.sampled_from([True, False, None]))
def test_with_one_seed_nothing_is_ever_claimed(value, base, higher):
    for one, other in ((None, None), (None, 0.1), (0.1, None)):
        assert against(Measure(value, one), Measure(base, other), higher).word in ("one seed", "no change")


def test_a_spread_of_zero_is_what_one_seed_gives():
    for nonsense in (0.0, -0.1, float("nan")):
        assert measured({"loss": 1.0}, {"loss": nonsense})["loss"].stderr is None


def test_of_a_metric_without_a_direction_only_the_difference_is_said():
    assert against(Measure(2.0, 0.1), Measure(1.0, 0.1), None).word == "differs"


@pytest.mark.parametrize(
    ("measure", "text"),
    [
        (Measure(0.93127, 0.00412), "0.9313 ± 0.0041"),
        (Measure(1234.5, 12.0), "1,234 ± 12"),
        (Measure(1500.0), "1,500"),
        (Measure(0.123456), "0.1235"),
        (Measure(0.00001234), "1.234e-05"),
        (Measure(1e-12, 1e-13), "1e-12 ± 1e-13"),
    ],
)
def test_a_number_is_written_with_the_digits_that_it_has(measure, text):
    assert measure.text == text


def test_every_part_of_the_night_has_a_name():
    night = where_it_went(
        [
            Entry(100.0, Told("task", "t")),
            Entry(110.0, BaselineMeasured({}, "ok", [], "measured", None, seconds=6.0, waited=1.5)),
            Entry(112.0, CallFailed(500, "server", "", 1.0)),
            Entry(115.0, REPLIED),
            Entry(120.0, AttemptStarted(1, 1, "full", "h", "c", 1, 1, "b", waited=4.0)),
            Entry(152.0, FULL),
            Entry(153.0, SessionEnded("interrupted", "")),
            Entry(1153.0, Resumed("m", None, 5, None, None)),
        ]
    )
    assert night.shares == {
        "model": 5_000,
        "experiment": 36_000,
        "grading": 2_000,
        "slot": 5_500,
        "harness": 2_500 + 1_000 + 1_000,
        "idle": 1_000_000,
    }
    assert night.total == 1_053_000


@settings(max_examples=40)
@given(st.lists(entries, min_size=1, max_size=8))
def test_the_shares_of_the_night_sum_up_to_the_clock(told):
    told = sorted((one for one in told if one.event.kind != "branched"), key=lambda one: one.at)
    night = where_it_went(told)
    assert min(night.shares.values()) >= 0
    if told:
        assert night.total == round(told[-1].at * 1000) - round(told[0].at * 1000)


def test_the_wait_before_another_try_and_before_the_baseline_have_their_shares():
    night = where_it_went(
        [
            Entry(0.0, Told("task", "t")),
            Entry(5.0, BaselineStarted(1, 60.0)),
            Entry(12.0, BaselineMeasured({}, "ok", [], "measured", None, seconds=6.5, gpus=1, waited=4.0)),
            Entry(13.0, CallStarted(0.1, 100)),
            Entry(14.0, CallFailed(500, "server", "", 30.0)),
            Entry(44.0, CallStarted(0.1, 100)),
            Entry(45.0, REPLIED),
        ]
    )
    expected = {"model": 32_000, "experiment": 6_500, "grading": 500, "slot": 4_000, "harness": 2_000, "idle": 0}
    assert night.shares == expected


def test_the_time_in_a_cluster_s_queue_is_no_grading():
    night = where_it_went(
        [
            Entry(0.0, Told("task", "t")),
            Entry(1.0, BaselineStarted(1, 60.0)),
            Entry(108.0, BaselineMeasured({}, "ok", [], "measured", None, seconds=6.5, gpus=1, waited=101.0)),
            Entry(109.0, AttemptStarted(1, 1, "full", "h", "c", 0, 0, "", job="7")),
            Entry(240.0, replace(FULL, waited=100.0, place="node n1 gpu 0")),
        ]
    )
    assert (night.shares["slot"], night.shares["experiment"], night.shares["grading"]) == (201_000, 36_500, 1_500)


def test_an_attempt_of_a_cluster_is_told_with_its_node_and_its_wait():
    entries = [
        Entry(0.0, AttemptStarted(1, 1, "full", "h", "c", 0, 0, "", job="7")),
        Entry(90.0, replace(FULL, waited=50.0, place="node n1 gpu 0")),
    ]
    attempt = read_journal_facts(entries).runs[0].attempts[0]
    assert (attempt.waited, attempt.place) == (50.0, "node n1 gpu 0")


def test_an_attempt_that_was_taken_over_took_no_time_of_an_experiment():
    reused = replace(FULL, reused="run 1, attempt 1 of x")
    assert where_it_went([Entry(0.0, REPLIED), Entry(0.2, reused)]).shares["experiment"] == 0


def test_ideas_are_in_the_order_of_their_best_value_and_those_without_one_are_last():
    values = {"none": None, "high": 0.9, "nan": math.nan, "low": 0.1}
    rows = [Row(name, name, "", None, None if value is None else Measure(value)) for name, value in values.items()]
    assert [row.name for row in ordered(rows, True)] == ["high", "low", "none", "nan"]
    assert [row.name for row in ordered(rows, False)] == ["low", "high", "none", "nan"]


def test_curves_are_read_by_column_and_by_row():
    by_column = json.dumps({"steps": [0, 10, 20], "loss": [3, 2, 1], "name": "x"}).encode()
    by_row = json.dumps([{"steps": 10 * n, "loss": 3 - n} for n in range(3)]).encode()
    for data in (by_column, by_row):
        (curve,) = read_curves({"curves.json": data}, None)
        assert (curve.name, curve.axis, curve.x, curve.y) == ("loss", "steps", [0, 10, 20], [3, 2, 1])


def test_lists_in_the_result_are_curves_where_there_is_no_file_of_them():
    result = json.dumps({"d": {"means": {"a": 1}, "train_loss": [3, 2, float("nan")]}}).encode()
    (curve,) = read_curves({}, result)
    assert (curve.name, curve.y) == ("train_loss", [3, 2, None])
    assert read_curves({"curves.json": b'{"loss": [1, 2, 3]}'}, result)[0].name == "loss"


json_values = st.recursive(
    st.none() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=12,
)


@given(st.binary(max_size=50) | json_values.map(lambda value: json.dumps(value).encode()))
def test_whatever_a_run_saved_as_curves_stops_nothing(data):
    for curve in read_curves({"curves.json": data}, data):
        assert len(curve.x) == len(curve.y) <= POINTS + 1


def test_a_long_curve_keeps_its_last_point():
    (curve,) = read_curves({"curves.json": json.dumps({"loss": list(range(100_001))}).encode()}, None)
    assert curve.x[-1] == 100_000 and len(curve.x) <= POINTS + 1
