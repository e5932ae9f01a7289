"""What a refusal with HTTP 403 means by its words."""

from __future__ import annotations

import pytest

from ai_sci.agent.models.connections import HttpTrace
from ai_sci.agent.models.errors import TryFailed, explain


def refused(words: str) -> TryFailed:
    return explain(RuntimeError("x"), HttpTrace(1, 403, {}, words))


@pytest.mark.parametrize(
    "words",
    [
        "Rate limit exceeded",
        "rateLimitExceeded",
        "Quota exceeded for quota metric 'Requests' and limit 'Requests per minute'",
        "Too Many Requests",
        "Request was throttled",
        "You've reached your usage limit. Resets at 3pm",
        "You have hit your limit",
        "5-hour limit reached",
        "dailyLimitExceeded",
        "You exceeded your current quota",
        "API quota for this key has been exceeded",
        "RESOURCE_EXHAUSTED",
        "Limit of 60 requests per minute",
        "you have exceeded the number of allowed requests per day",
        "User quota is exhausted",
        "Concurrency limit reached",
        "over your limits",
        "Too many concurrent requests",
        "requests_per_minute exceeded",
        "Daily token allowance used up",
    ],
)
def test_a_limit_that_passes_is_waited_for(words):
    error = refused(words)
    assert (error.failure.kind, error.retry) == ("rate_limited", True)


@pytest.mark.parametrize(
    "words",
    [
        "",
        "Forbidden",
        "Country not supported",
        "User location is not supported for the API use.",
        "The aiplatform API requires a quota project",
        "Spending limit reached",
        "Budget limit exceeded for this key",
        "Key limit exceeded (total limit)",
        "billing quota exceeded",
        "Model not allowed for this key",
        "IP address not in allowlist",
        "Token expired",
        "your plan does not include this model",
        "The token limit was configured by your administrator",
        "The request is over the size limit",
    ],
)
def test_a_refusal_that_stays_is_not(words):
    error = refused(words)
    assert (error.failure.kind, error.retry) == ("auth", False)


@pytest.mark.parametrize("words", ['{"error": {"code": "insufficient_user_quota", "message": "no quota left"}}'])
def test_an_account_without_credit_cannot_pay(words):
    assert (refused(words).failure.kind, refused(words).retry) == ("payment", False)
