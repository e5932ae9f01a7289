"""When a server takes requests again, from what its refusal says: headers first, then its words."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone, tzinfo

LONGEST = 31 * 86400.0  # seconds; a later time is a mistake of the server's

_READ = 20_000  # characters of a body

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_PIECE = (
    r"(\d+(?:\.\d+)?)\s*(milli(?:seconds?)?|ms|seconds?|secs?|s|minutes?|mins?|m|hours?|hrs?|h|days?|d)(?![a-z])\.?"
)
_SPAN = rf"{_PIECE}(?:(?:\s*,)?(?:\s*and)?\s*{_PIECE})*"
_AGAIN = (
    r"(?:try(?:ing)? again|retry|retries|resets?|available|back|access|allowed|lifted|restored|resumes?|renews?"
    r"|refills?|refresh(?:es)?)"
)
_ABOUT = r"(?:about |approximately |another |~)?"
_IN = re.compile(
    rf"(?:{_AGAIN}[^.;\n\d]{{0,40}}?(?:\b(?:in|after|for|within)\s+|[\"':=]\s*)|\bwait(?:ing)?\s+(?:for\s+)?)"
    rf"{_ABOUT}(?P<span>{_SPAN})|{_AGAIN}[^.;\n\d]{{0,40}}?\bin\s+(?P<clock>\d+:\d\d:\d\d)\b"
    r"|(?:retry|resets?|available)[-_ ]?(?:after|in)[-_ ]?(?P<unit>ms|milli|min|hour)?\w*[\\\"']*\s*[:=]\s*[\\\"']*"
    r"(?P<bare>\d+(?:\.\d+)?)\b",
    re.IGNORECASE,
)
_MONTHS: list[str] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
_AT = re.compile(
    rf"(?:{_AGAIN}|until)[^;\n\d]{{0,40}}?(?:"
    r"(?P<iso>\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?\s?(?:Z|UTC|GMT|[+-]\d\d:?\d\d)?)"
    rf"|(?:(?P<month>{'|'.join(_MONTHS)})[a-z]*\.?\s+(?P<day>\d{{1,2}})(?:st|nd|rd|th)?(?:,?\s+at|,)?\s+)?"
    r"(?P<hour>\d{1,2})(?::(?P<minute>\d\d))?\s?(?P<half>[ap]\.?m\b\.?)?"
    r"(?P<zone>\s?\(?(?:UTC|GMT|[A-Za-z]+/[A-Za-z_/]+)\)?)?)",
    re.IGNORECASE,
)
_ONE = re.compile(r"\b(?:an?|one) (?=(?:second|minute|hour|day)\b)", re.IGNORECASE)
_EPOCH = re.compile(r"(?:\||reset\D{0,12})\s*(1\d{12}|1\d{9})\b", re.IGNORECASE)
_FIELD = re.compile(r"(remaining|reset|\br|\bt)\s*=\s*(\d+)")  # of the headers `RateLimit` in their two forms


def server_wait(headers: Mapping[str, str], body: str, *, limited: bool, now: datetime | None = None) -> float | None:
    """Seconds until the server takes requests again; None where it does not say, or says nothing believable.

    `limited`: it refuses because of a rate or usage limit. Only then do the headers of its limits and its words count.
    """
    now = now or datetime.now(timezone.utc)
    lower = {str(name).lower(): str(value).strip() for name, value in headers.items()}
    asked = _retry_after(lower, now)
    if asked is None and limited:
        asked = _limit_resets(lower, now)
    if asked is None and limited:
        asked = _in_words(body, now)
    return asked if asked is not None and asked <= LONGEST else None


def _retry_after(headers: Mapping[str, str], now: datetime) -> float | None:
    """From `Retry-After` (seconds, an HTTP date, or what some servers take for one) or OpenAI's `retry-after-ms`."""
    milliseconds = _number(headers.get("retry-after-ms", ""))
    seconds = _until(headers.get("retry-after", ""), now) if milliseconds is None else milliseconds / 1000.0
    return None if seconds is None else max(0.0, seconds)


def _limit_resets(headers: Mapping[str, str], now: datetime) -> float | None:
    """From the headers of limits that are used up, such as `x-ratelimit-reset-tokens`. What has passed is no answer."""
    waits: list[float] = []
    for name, value in headers.items():
        if name == "ratelimit":
            fields = {kind[:3]: count for kind, count in _FIELD.findall(value)}
            used_up, reset = fields.get("rem", fields.get("r")) == "0", fields.get("res", fields.get("t", ""))
        elif re.search("rate-?limit", name) and "reset" in name:
            left = _number(headers.get(name.replace("reset", "remaining"), "0"))
            used_up, reset = left == 0 and headers.get(name.replace("reset", "status"), "") != "allowed", value
        else:
            continue
        wait = _later(_until(reset, now))
        if used_up and wait is not None:
            waits.append(wait)
    return max(waits, default=None)  # every limit that is used up has to be over


def _until(value: str, now: datetime) -> float | None:
    """Seconds until a reset: a duration (`6m0s`), seconds, a time since 1970, or a date."""
    number = _number(value)
    if number is not None:
        if number >= 1e12:
            number /= 1000.0
        return number - now.timestamp() if number >= 1e9 else number
    if re.fullmatch(_SPAN, value, re.IGNORECASE):
        return _seconds(value)
    when = _iso(value) or _http_date(value)
    return None if when is None else (when - now).total_seconds()


def _in_words(body: str, now: datetime) -> float | None:
    """From sentences such as "try again in 5h", "resets at 3pm (Europe/Berlin)" or `"retryDelay": "34s"`."""
    body = _ONE.sub("1 ", body[:_READ])
    if told := _IN.search(body):
        if told["clock"]:
            hours, minutes, seconds = map(int, told["clock"].split(":"))
            return hours * 3600.0 + minutes * 60.0 + seconds
        return _seconds(told["span"] or f"{told['bare']} {told['unit'] or 's'}")
    if epoch := _EPOCH.search(body):
        return _later(_until(epoch[1], now))
    for match in _AT.finditer(body):
        when = _iso(match["iso"]) if match["iso"] else _time_of_day(match, now)
        if when is not None:
            return _later((when - now).total_seconds())
    return None


def _later(seconds: float | None) -> float | None:
    return seconds if seconds is not None and seconds > 0 else None


def _time_of_day(match: re.Match[str], now: datetime) -> datetime | None:
    """The next such time; where no zone is named, by this machine's clock."""
    if not match["half"] and not match["minute"]:
        return None  # a bare number
    hour, minute = int(match["hour"]), int(match["minute"] or 0)
    if match["half"]:
        if not 1 <= hour <= 12:
            return None
        hour = hour % 12 + (12 if match["half"][0] in "pP" else 0)
    zone = _zone(match["zone"])
    if hour > 23 or minute > 59 or (match["zone"] and zone is None):
        return None
    here = now.astimezone(zone)
    try:
        when = here.replace(hour=hour, minute=minute, second=0, microsecond=0)
        if match["month"]:
            when = when.replace(month=_MONTHS.index(match["month"].lower()) + 1, day=int(match["day"]))
            return when if when > here else when.replace(year=when.year + 1)
    except ValueError:
        return None
    return when if when > here else when + timedelta(days=1)


def _zone(name: str | None) -> tzinfo | None:
    import zoneinfo

    bare = (name or "").strip(" ()")
    if bare.upper() in ("UTC", "GMT"):
        return timezone.utc
    try:
        return zoneinfo.ZoneInfo(bare) if bare else None
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        return None


def _seconds(text: str) -> float:
    """The sum of the pieces: "1h23m4.5s", "2 hours and 5 minutes"."""
    total = 0.0
    for number, unit in re.findall(_PIECE, text, re.IGNORECASE):
        unit = unit.lower()
        total += float(number) * _UNITS["ms" if unit.startswith(("ms", "milli")) else unit[0]]
    return total


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _iso(text: str) -> datetime | None:
    text = re.sub(r"\s?(Z|UTC|GMT)$", "+00:00", text.strip(), flags=re.IGNORECASE).replace(" ", "T", 1)
    text = re.sub(r"\.\d+", "", text)  # Python 3.10 reads only three or six digits
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        return None
    return when if when.tzinfo else when.replace(tzinfo=timezone.utc)


def _http_date(text: str) -> datetime | None:
    from email.utils import parsedate_to_datetime

    try:
        when = parsedate_to_datetime(text)
    except (TypeError, ValueError, IndexError):
        return None
    return when if when.tzinfo else when.replace(tzinfo=timezone.utc)
