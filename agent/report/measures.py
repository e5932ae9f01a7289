"""Metric values with their uncertainty: what may be claimed about a difference, and how it is written."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Measure:
    """A value. `stderr`: standard error over seeds; None with one seed, or when 0, which one seed gives too."""

    value: float
    stderr: float | None = None

    @property
    def text(self) -> str:
        """`0.9310 ± 0.0040`: two digits of the standard error; without one, as `number`."""
        if self.stderr is None:
            return number(self.value)
        digits = _digits(self.stderr)
        if digits > 6 or abs(self.value) >= 1e9:
            return f"{self.value:.4g} ± {self.stderr:.2g}"
        return f"{self.value:,.{digits}f} ± {self.stderr:,.{digits}f}"


@dataclass(frozen=True)
class Difference:
    """A value minus the baseline's. `word` never claims more than the seeds allow."""

    delta: float
    stderr: float | None
    word: str  # "better", "worse", "within noise", "one seed", "no change"

    @property
    def text(self) -> str:
        """The signed difference, written as a `Measure`."""
        sign = "−" if self.delta < 0 else "+" if self.delta else ""
        return sign + Measure(abs(self.delta), self.stderr).text


def measured(metrics: dict[str, float], stderrs: dict[str, float]) -> dict[str, Measure]:
    """Joins values and standard errors; one that is not positive is dropped, as an experiment may write anything."""
    errors = {name: error for name, error in stderrs.items() if error > 0}
    return {name: Measure(value, errors.get(name)) for name, value in metrics.items()}


def against(measure: Measure, baseline: Measure, higher_is_better: bool | None) -> Difference:
    """Compares at two standard errors of the difference. `higher_is_better`: None when no direction was declared."""
    delta = measure.value - baseline.value
    if measure.stderr is None or baseline.stderr is None:
        return Difference(delta, None, "no change" if delta == 0 else "one seed")
    stderr = math.hypot(measure.stderr, baseline.stderr)
    if abs(delta) <= 2 * stderr:
        return Difference(delta, stderr, "within noise")
    if higher_is_better is None:
        return Difference(delta, stderr, "differs")
    return Difference(delta, stderr, "better" if (delta > 0) == higher_is_better else "worse")


def number(value: float) -> str:
    """Whole numbers in full, others to four significant digits."""
    if not math.isfinite(value):
        return str(value)
    if value == int(value) and abs(value) < 1e12:
        return f"{int(value):,}"
    if 1e4 <= abs(value) < 1e9:
        return f"{value:,.0f}"
    return f"{value:.4g}"


def duration(milliseconds: int) -> str:
    """`850 ms`, `12.4 s`, `3 min 05 s`, `7 h 12 min`."""
    if milliseconds < 1000:
        return f"{milliseconds} ms"
    if milliseconds < 60_000:
        return f"{milliseconds / 1000:.1f} s"
    minutes, seconds = divmod(round(milliseconds / 1000), 60)
    if minutes < 60:
        return f"{minutes} min {seconds:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def money(usd: float) -> str:
    """`$12.34`, or `$0.1234` below ten dollars."""
    return f"${usd:,.2f}" if usd >= 10 or usd == 0 else f"${usd:.4f}"


def _digits(stderr: float) -> int:
    """Decimals that show two significant digits of `stderr`."""
    return max(0, 1 - math.floor(math.log10(stderr)))
