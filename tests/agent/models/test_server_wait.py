"""When a server takes requests again, in the words and headers that servers use."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_sci.agent.models.server_wait import LONGEST, server_wait

NOW = datetime(2026, 11, 29, 12, 0, tzinfo=timezone.utc)
HOUR = 3600.0


def waits(headers: dict[str, str], body: str = "", limited: bool = True) -> float | None:
    return server_wait(headers, body, limited=limited, now=NOW)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "18000"}, 5 * HOUR),
        ({"retry-after": "Sun, 29 Nov 2026 17:00:00 GMT"}, 5 * HOUR),
        ({"retry-after": "5h"}, 5 * HOUR),
        ({"retry-after": "2026-11-29T17:00:00Z"}, 5 * HOUR),
        ({"retry-after": "1795960000"}, 6400.0),
        ({"X-Rate-Limit-Reset": "1795960000"}, 6400.0),
        ({"retry-after-ms": "1500", "Retry-After": "30"}, 1.5),
        ({"x-ratelimit-reset": "1795960000"}, 6400.0),
        ({"X-RateLimit-Reset": "1795960000000"}, 6400.0),
        ({"x-ratelimit-reset": "30"}, 30.0),
        ({"X-RateLimit-Reset-After": "3.5"}, 3.5),
        ({"ratelimit-reset": "42", "ratelimit-remaining": "0"}, 42.0),
        ({"RateLimit": "limit=100, remaining=0, reset=50"}, 50.0),
        ({"RateLimit": '"hourly";r=0;t=1800'}, 1800.0),
        ({"x-ratelimit-reset-requests": "6m0s", "x-ratelimit-remaining-requests": "0"}, 360.0),
        ({"anthropic-ratelimit-tokens-reset": "2026-11-29T17:00:00Z"}, 5 * HOUR),
    ],
)
def test_headers(headers, seconds):
    assert waits(headers) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Retry-After": "soon"},
        {"Retry-After": "nan"},
        {"Retry-After": "Thu, 31 Dec 2099 23:59:59 GMT"},
        {"Retry-After": str(LONGEST + 1)},
        {"x-ratelimit-reset": "0"},
        {"x-ratelimit-reset": "1700000000"},  # has passed: our own wait is the better one
        {"x-ratelimit-reset-tokens": "2h", "x-ratelimit-remaining-tokens": "500"},
        {"RateLimit": '"hourly";r=7;t=1800'},
        {"x-ratelimit-limit": "60"},
    ],
)
def test_headers_that_say_nothing(headers):
    assert waits(headers) is None


def test_only_limits_that_are_used_up_count():
    headers = {
        "x-ratelimit-reset-requests": "5h",
        "x-ratelimit-remaining-requests": "0",
        "x-ratelimit-reset-tokens": "30h",
        "x-ratelimit-remaining-tokens": "7",
        "anthropic-ratelimit-unified-7d-reset": "1796565000",
        "anthropic-ratelimit-unified-7d-status": "allowed",
    }
    assert waits(headers) == 5 * HOUR


@pytest.mark.parametrize(
    ("words", "seconds"),
    [
        ("Rate limit reached for gpt. Please try again in 6m0s. Visit …", 360.0),
        ("Please try again in 7m12.48s.", 432.48),
        ("try again in 5h", 5 * HOUR),
        ("You have hit your limit. Try again in 4 hours and 30 minutes", 4.5 * HOUR),
        ("retry in about 5 hours", 5 * HOUR),
        ("Please retry after 26 seconds.", 26.0),
        ("Please wait 3600 seconds", HOUR),
        ("Wait for 2 minutes before the next request", 120.0),
        ("Your quota will reset after 11h22m29s.", 40949.0),
        ("it will be available in 2 days", 48 * HOUR),
        ('{"error": {"details": [{"retryDelay": "34s"}]}}', 34.0),
        ('{"message": "slow down", "retry_after": 17}', 17.0),
        ('{"message": "slow down", "retryAfter": 17}', 17.0),
        ('{"error": {"retry_after_ms": 1500}}', 1.5),
        ('{"error": {"type": "usage_limit_reached", "resets_in_seconds": 17000}}', 17000.0),
        (r'{"error": {"message": "{\"resets_in_seconds\": 17000}"}}', 17000.0),
        ("Will reset in 04:59:12", 17952.0),
        ("try again in an hour", HOUR),
        ("Your next request is allowed in 4 hours", 4 * HOUR),
        ("usage limit reached|1795960000", 6400.0),
        ('{"metadata": {"headers": {"X-RateLimit-Reset": "1795960000000"}}}', 6400.0),
        ("Your limit resets at 15:00 UTC", 3 * HOUR),
        ("resets 3pm (Europe/Berlin)", 2 * HOUR),
        ("Your limit will reset at 3:30 p.m. (America/New_York).", 8.5 * HOUR),
        ("resets at 11:00 GMT", 23 * HOUR),
        ("resets Nov 30 at 3pm UTC", 27 * HOUR),
        ("You will regain access on 2026-12-01 at 00:00 UTC.", None),  # day and time apart cannot be told
        ("resets at 2026-11-29T22:00:00Z", 10 * HOUR),
        ("available again 2026-11-29 22:00:00+02:00", 8 * HOUR),
        ("try again tomorrow", None),
        ("Limit 30000, Requested 50000", None),
        ("Rate limit is 200 per 1m", None),
        ("resets at 3pm (Nowhere/Atlantis)", None),
        ("try again at 25:00", None),
        ("", None),
    ],
)
def test_words(words, seconds):
    assert waits({}, words) == (None if seconds is None else pytest.approx(seconds))


def test_a_time_without_a_zone_is_this_machines():
    here = NOW.astimezone().replace(hour=3, minute=0)
    seconds = waits({}, "Your limit resets at 3am")
    assert seconds is not None
    assert (here.timestamp() - NOW.timestamp() - seconds) % 86400 == 0


def test_words_count_only_where_a_limit_is_the_reason():
    assert waits({}, "the server failed, try again in 5h", limited=False) is None
    assert waits({"x-ratelimit-reset": "30"}, limited=False) is None
    assert waits({"Retry-After": "30"}, limited=False) == 30.0


WORD = st.sampled_from(
    ["try again in", "resets at", "wait", "3", "pm", "h", "2026-13-45T99:99", "Feb 30", "|1795960000"]
)


@given(st.dictionaries(st.sampled_from(["retry-after", "x-ratelimit-reset", "RateLimit"]), st.text()), st.text())
@pytest.mark.parametrize("limited", [True, False])
def test_whatever_a_server_sends_is_a_wait_or_nothing(limited, headers, body):
    seconds = server_wait(headers, body, limited=limited)
    assert seconds is None or 0 <= seconds <= LONGEST


@given(st.lists(WORD).map(" ".join))
def test_whatever_a_server_says_is_a_wait_or_nothing(body):
    seconds = server_wait({}, body, limited=True)
    assert seconds is None or 0 <= seconds <= LONGEST
