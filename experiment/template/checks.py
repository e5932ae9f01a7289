"""The template's `[checks]`: comparisons such as `l0 > 0` that the metrics of an accepted run must satisfy."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from ai_sci.experiment.base import ConfigError

_COMPARE: dict[str, Callable[[float, float], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    ">": operator.gt,
}
# A metric name may contain anything but operator characters: `dataset/metric`, `top-1 acc.`
_RULE = re.compile(r"\s*([^<>=!]*[^<>=!\s])\s*(<=|>=|==|!=|<|>)\s*([^<>=!\s][^<>=!]*?)\s*")


@dataclass(frozen=True)
class Check:
    """`metric` compared with the finite number `bound`; `relation` is one of < <= > >= == !=."""

    metric: str
    relation: str
    bound: float

    @classmethod
    def parse(cls, text: object) -> Check:
        """Reads `NAME < NUMBER` (or <= > >= == !=); raises ConfigError with a hint on the form."""
        match = _RULE.fullmatch(text) if isinstance(text, str) else None
        hint = ": write each comparison as a rule of its own" if " and " in str(text) else ""
        if match is None:
            raise ConfigError(f"the check {text!r} is not of the form 'metric > number' (or < <= >= == !=){hint}")
        name, relation, right = match.groups()
        try:
            bound = float(right)
        except ValueError:
            raise ConfigError(f"the check {text!r} compares with {right!r}, which is not a number{hint}")
        if not math.isfinite(bound):
            raise ConfigError(f"the check {text!r} compares with {right!r}, which is not a finite number")
        return cls(name, relation, bound)

    def __str__(self) -> str:
        return f"{self.metric} {self.relation} {show_number(self.bound)}"

    def holds(self, value: float) -> bool:
        """Always False for NaN, even under `!=`: NaN is not a measurement."""
        return not math.isnan(value) and _COMPARE[self.relation](value, self.bound)


def failed_checks(checks: Iterable[Check], metrics: Mapping[str, float]) -> list[str]:
    """One sentence for each comparison that does not hold, such as `l0 is 0, must be > 0`; a missing metric fails.

    `metrics` is flat. Where results are `dataset/l0`, a check on `l0` applies to every dataset.
    """
    sentences: list[str] = []
    for check in checks:
        names = [check.metric] if check.metric in metrics else _in_datasets(check.metric, metrics)
        if not names:
            sentences.append(f"{check.metric} is missing, must be {check.relation} {show_number(check.bound)}")
        for name in names:
            if not check.holds(metrics[name]):
                is_ = f"{name} is {show_number(metrics[name])}"
                sentences.append(f"{is_}, must be {check.relation} {show_number(check.bound)}")
    return sentences


def _in_datasets(metric: str, metrics: Mapping[str, float]) -> list[str]:
    return [name for name in metrics if name.endswith(f"/{metric}")]


def show_number(value: float) -> str:
    """The shortest text that is exactly this number: 0, 0.75, -3e-05."""
    if math.isfinite(value) and value == int(value) and abs(value) < 1e15:
        return str(int(value))
    return repr(value)
