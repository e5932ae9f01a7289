"""Numbers beside the baseline's, with their uncertainty: what may be said of a difference, and how it is written."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Measure:
    """`stderr`: the standard error over seeds; None with one seed, and for a spread of 0, which one seed gives too."""

    value: float
    stderr: float | None = None

    @property
    def text(self) -> str:
        """`0.931 ± 0.004`: as many digits as the uncertainty leaves; without one, four."""
        if self.stderr is None:
            return number(self.value)
        digits = _digits(self.stderr)
        if digits > 6 or abs(self.value) >= 1e9:
            return f"{self.value:.4g} ± {self.stderr:.2g}"
        return f"{self.value:,.{digits}f} ± {self.stderr:,.{digits}f}"


@dataclass(frozen=True)
class Difference:
    """A measure minus the baseline's. `word` never says more than the seeds allow."""

    delta: float
    stderr: float | None
    word: str  # "better", "worse", "within noise", "one seed", "no change"

    @property
    def text(self) -> str:
        sign = "−" if self.delta < 0 else "+" if self.delta else ""
        return sign + Measure(abs(self.delta), self.stderr).text


def measured(metrics: dict[str, float], stderrs: dict[str, float]) -> dict[str, Measure]:
    """A standard error that is no positive number is none: whatever an experiment writes, the page is made."""
    errors = {name: error for name, error in stderrs.items() if error > 0}
    return {name: Measure(value, errors.get(name)) for name, value in metrics.items()}


def against(measure: Measure, baseline: Measure, higher_is_better: bool | None) -> Difference:
    """`higher_is_better`: None for a metric of which nobody said which direction is good."""
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
    """Whole numbers in full, others with four digits."""
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
    return f"${usd:,.2f}" if usd >= 10 or usd == 0 else f"${usd:.4f}"


def _digits(stderr: float) -> int:
    """Decimals that show two digits of it."""
    return max(0, 1 - math.floor(math.log10(stderr)))
