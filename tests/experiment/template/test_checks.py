"""The template's checks: what they accept, what they say, and what they refuse to be."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_sci.experiment.base.errors import ConfigError
from ai_sci.experiment.template.checks import Check, failed_checks, show_number

NAMES = st.text(st.characters(exclude_characters="<>=!", exclude_categories=("Z", "C")), min_size=1, max_size=20)
FINITE = st.floats(allow_nan=False, allow_infinity=False)
RELATIONS = st.sampled_from(["<", "<=", ">", ">=", "==", "!="])


@pytest.mark.parametrize(
    "text, metrics, expected",
    [
        ("l0 > 0", {"l0": 0.0}, ["l0 is 0, must be > 0"]),
        ("l0 > 0", {"l0": 31.5}, []),
        ("explained_variance >= 0.75", {"explained_variance": 0.7}, ["explained_variance is 0.7, must be >= 0.75"]),
        ("loss<1e3", {"loss": 2000.0}, ["loss is 2000, must be < 1000"]),
        ("x == 1", {"x": 1.0}, []),
        ("x != 1", {"x": 1.0}, ["x is 1, must be != 1"]),
        ("x <= -2", {"x": -2.0}, []),
        ("top-1 acc. > 0.5", {"top-1 acc.": 0.25}, ["top-1 acc. is 0.25, must be > 0.5"]),
        ("gemma/l0 > 0", {"gemma/l0": 0.0, "pythia/l0": 0.0}, ["gemma/l0 is 0, must be > 0"]),
        ("training_steps > 0", {"l0": 3.0}, ["training_steps is missing, must be > 0"]),
    ],
)
def test_a_rule_and_its_sentence(text: str, metrics: dict[str, float], expected: list[str]) -> None:
    assert failed_checks([Check.parse(text)], metrics) == expected


def test_a_plain_name_is_meant_for_every_dataset() -> None:
    metrics = {"a/l0": 0.0, "b/l0": 5.0, "c/l0": -1.0, "c/xl0": -1.0}
    assert failed_checks([Check.parse("l0 > 0")], metrics) == ["a/l0 is 0, must be > 0", "c/l0 is -1, must be > 0"]


def test_both_recorded_baselines_would_have_been_refused() -> None:
    rules = [Check.parse(rule) for rule in ("l0 > 0", "training_steps > 0", "explained_variance > 0")]
    first = {"l0": 0.0, "explained_variance": -0.78515625, "training_steps": 100.0}
    second = {"l0": 12.0, "explained_variance": 0.5, "training_steps": 0.0}
    assert len(failed_checks(rules, first)) == 2
    assert failed_checks(rules, second) == ["training_steps is 0, must be > 0"]


@pytest.mark.parametrize(
    "text, said",
    [
        ("", "is not of the form"),
        ("l0", "is not of the form"),
        ("> 0", "is not of the form"),
        ("l0 = 3", "is not of the form"),
        ("0 < l0 < 5", "is not of the form"),
        ("l0 > ", "is not of the form"),
        ("l0 > many", "'many', which is not a number"),
        ("l0 > 0 and l1 > 0", "is not of the form .* a rule of its own"),
        ("l0 > 0 and l1", "a rule of its own"),
        ("l0 > nan", "not a finite number"),
        ("l0 < inf", "not a finite number"),
        ("l0 < 1e999", "not a finite number"),
    ],
)
def test_bad_syntax_is_a_clear_line(text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said) as caught:
        Check.parse(text)
    assert "\n" not in str(caught.value)


@given(NAMES, RELATIONS, FINITE)
def test_what_a_check_prints_is_what_it_parses(name: str, relation: str, bound: float) -> None:
    check = Check(name, relation, bound)
    assert Check.parse(str(check)) == check


@given(NAMES, RELATIONS, FINITE, st.floats())
def test_it_fails_exactly_when_the_relation_does_not_hold(name: str, relation: str, bound: float, value: float) -> None:
    sentences = failed_checks([Check(name, relation, bound)], {name: value})
    expected = not math.isnan(value) and eval(f"value {relation} bound")  # the language's own reading of the rule
    assert (sentences == []) is expected
    assert all(name in sentence and relation in sentence for sentence in sentences)


@given(st.text())
def test_any_text_parses_or_is_refused(text: str) -> None:
    try:
        Check.parse(text)
    except ConfigError:
        pass


@given(st.floats(allow_nan=False))
def test_a_number_is_shown_exactly(value: float) -> None:
    assert float(show_number(value)) == value
