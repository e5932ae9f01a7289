"""Durations and sizes: what people write is read, everything else is refused in one line."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_sci.experiment.base.errors import ConfigError
from ai_sci.experiment.base.quantities import format_duration, format_size, parse_duration, parse_size


@pytest.mark.parametrize(
    "written, seconds",
    [("90s", 90), ("5m", 300), ("2h", 7200), ("1d", 86400), ("120", 120), (120, 120), (0.5, 0.5), ("1.5h", 5400)]
    + [("1h30m", 5400), ("1h 30m", 5400), (" 2H ", 7200), ("0.25s", 0.25)],
)
def test_durations(written, seconds):
    assert parse_duration(written) == seconds


@pytest.mark.parametrize("written", ["", "0", "0s", "-5m", "5 minutes", "h", "1h30", "nan", "inf", "1e3", "²s", "5m!"])
def test_what_is_no_duration(written):
    with pytest.raises(ConfigError, match="is not a duration: write 90s, 5m, 2h, 1d"):
        parse_duration(written)


@pytest.mark.parametrize(
    "written, size",
    [("512M", 512 * 1024**2), ("8G", 8 * 1024**3), ("8GB", 8 * 1024**3), ("8GiB", 8 * 1024**3), ("8 g", 8 * 1024**3)]
    + [("1.5K", 1536), ("1024", 1024), (4096, 4096), ("9007199254740993", 9007199254740993), ("2T", 2 * 1024**4)],
)
def test_sizes(written, size):
    assert parse_size(written) == size


@pytest.mark.parametrize("written", ["", "0", "0.1", "-8G", "8X", "8Gb!", "GB", "1e9", "99999999T", "9" * 5000, "٣G"])
def test_what_is_no_size(written):
    with pytest.raises(ConfigError, match="is not a size: write 512M, 8G"):
        parse_size(written)


@pytest.mark.parametrize("value", [True, False, None, [], {}, float("nan"), float("inf"), b"8G"])
@pytest.mark.parametrize("parse", [parse_duration, parse_size])
def test_other_types_are_refused(parse, value):
    with pytest.raises(ConfigError):
        parse(value)


@given(st.text() | st.integers() | st.floats())
def test_nothing_else_than_a_config_error_is_raised(value):
    for parse, least in ((parse_duration, 0), (parse_size, 1)):
        try:
            assert parse(value) >= least
        except ConfigError as error:
            assert "\n" not in str(error) or "\n" in str(value)


@given(st.integers(1, 10**9))
def test_a_formatted_duration_reads_back(seconds):
    back = parse_duration(format_duration(seconds))
    assert back == seconds if seconds < 3600 else abs(back - seconds) < 60


@given(st.integers(1, 2**60))
def test_a_formatted_size_reads_back(size):
    assert abs(parse_size(format_size(size)) - size) <= 0.06 * size


@given(st.integers(0, 10**6), st.sampled_from("smhd"), st.integers(0, 10**6), st.sampled_from("smhd"))
def test_pieces_of_a_duration_add_up(first, one, second, two):
    unit = {"s": 1, "m": 60, "h": 3600, "d": 86400}
    total = first * unit[one] + second * unit[two]
    if total:
        assert parse_duration(f"{first}{one}{second}{two}") == total
