"""Durations and sizes as people write them: `90s`, `5m`, `2h`, `1d`, `512M`, `8G`."""

from __future__ import annotations

import math
import os
import re

from ai_sci.experiment.base.errors import ConfigError

_SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_BYTES = {"": 1, "K": 1024, "M": 1024**2, "G": 1024**3, "T": 1024**4}
_NUMBER = r"\d{1,20}(?:\.\d{1,20})?"
_DURATION = re.compile(rf"(?:{_NUMBER}[smhd]\s*)+|{_NUMBER}", re.ASCII)
_SIZE = re.compile(rf"({_NUMBER})\s*([KMGT]?)(?:I?B)?", re.ASCII)


def parse_duration(value: str | float) -> float:
    """Seconds in `90s`, `5m`, `2h`, `1d`, `1h30m` or a plain number of seconds; raises ConfigError."""
    wrong = ConfigError(f"{value!r} is not a duration: write 90s, 5m, 2h, 1d or a number of seconds above 0")
    text = _text_of(value, wrong).lower()
    if not _DURATION.fullmatch(text):
        raise wrong
    pieces = re.findall(rf"({_NUMBER})([smhd]?)", text)
    seconds = sum(float(number) * _SECONDS[unit or "s"] for number, unit in pieces)
    if not 0 < seconds < math.inf:
        raise wrong
    return seconds


def parse_size(value: str | float) -> int:
    """Bytes in `512M`, `8G`, `1.5T` or a plain number of bytes (K, M, G, T are powers of 1024); raises ConfigError."""
    wrong = ConfigError(f"{value!r} is not a size: write 512M, 8G or a number of bytes above 0")
    match = _SIZE.fullmatch(_text_of(value, wrong).upper())
    if not match:
        raise wrong
    number, unit = match[1], _BYTES[match[2]]
    size = int(float(number) * unit) if "." in number else int(number) * unit
    if not 1 <= size < 2**63:
        raise wrong
    return size


def seconds_in(variable: str) -> float | None:
    """The number of seconds in an environment variable; None if unset. Raises ConfigError."""
    value = os.environ.get(variable)
    if not value:
        return None
    try:
        seconds = float(value)
    except ValueError:
        seconds = -1.0
    if not 0.0 <= seconds < math.inf:
        raise ConfigError(f"{variable}={value} is not a number of seconds")
    return seconds


def format_duration(seconds: float) -> str:
    """`48s`, `12m30s`, `2h05m`: readable, and `parse_duration` can read it back."""
    whole = max(0, round(seconds))
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}h{minutes:02d}m" if minutes else f"{hours}h"
    if minutes:
        return f"{minutes}m{rest:02d}s" if rest else f"{minutes}m"
    return f"{rest}s"


def format_size(size: int) -> str:
    """`512M`, `7.5G`: in the largest unit that gives at least 1."""
    for unit in ("T", "G", "M", "K"):
        if size >= _BYTES[unit]:
            return f"{size / _BYTES[unit]:.1f}".removesuffix(".0") + unit
    return str(size)


def _text_of(value: object, wrong: ConfigError) -> str:
    """The written form of a TOML value: strings and numbers, but not booleans or tables."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise wrong
    if isinstance(value, float):
        if not math.isfinite(value):
            raise wrong
        return f"{value:f}"  # never an exponent
    return str(value).strip()
