"""Training curves that a run saved by a small convention (docs/report.md).

`run_i/*curve*.json` holds {"steps": [...], name: [...]} or [{"step": 0, name: …}, …]; lists in `final_info.json` are
used when there is no such file. Nothing is ever unpickled.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Any

POINTS = 240  # per line; more than a phone can show
_STEPS = ("step", "steps", "epoch", "epochs", "iteration", "iterations")
_MOST_NAMES = 12
_FEWEST = 3  # points for a line


@dataclass(frozen=True)
class Curve:
    """One line. `x` and `y` have equal length; `y` is None where the run saved no finite number. `axis` names x."""

    name: str
    axis: str
    x: list[float]
    y: list[float | None]


def is_curve_file(name: str) -> bool:
    """Whether the convention takes this file name for curves."""
    return "curve" in name.lower() and name.lower().endswith(".json")


def read_curves(files: dict[str, bytes], final_info: bytes | None) -> list[Curve]:
    """The curves in `files` (by name), else in the lists of `final_info`; anything malformed is skipped."""
    curves: list[Curve] = []
    several = len(files) > 1
    for file, data in sorted(files.items()):
        prefix = f"{file.removesuffix('.json')}: " if several else ""
        curves += [Curve(prefix + one.name, one.axis, one.x, one.y) for one in _read(data)]
    if not curves and final_info:
        value = _json(final_info)
        for dataset in [value, *value.values()] if isinstance(value, dict) else []:
            curves += _of_lists(dataset) if isinstance(dataset, dict) else []
    return curves[:_MOST_NAMES]


def _read(data: bytes) -> list[Curve]:
    value = _json(data)
    if isinstance(value, dict):
        return _of_lists(value)
    if isinstance(value, list) and value and all(isinstance(row, dict) for row in value):
        names = dict.fromkeys(name for row in value for name in row)
        return _of_lists({name: [row.get(name) for row in value] for name in names})
    return []


def _of_lists(value: dict[str, Any]) -> list[Curve]:
    series = {name: column for name, column in value.items() if _is_series(column)}
    axis = next((name for name in series if name.lower() in _STEPS), None)
    curves = []
    for name, column in series.items():
        if name == axis:
            continue
        numbers = [_number(item) for item in column]
        steps = [_number(item) for item in series[axis]] if axis else []
        fits = len(steps) == len(numbers) and None not in steps
        x = [step for step in steps if step is not None] if fits else [float(place) for place in range(len(numbers))]
        curves.append(Curve(name[:60], axis if axis and fits else "step", *_thinned(x, numbers)))
    return curves


def _thinned(x: list[float], y: list[float | None]) -> tuple[list[float], list[float | None]]:
    """Every n-th point, plus the last one."""
    stride = math.ceil(len(x) / POINTS)
    kept = [*range(0, len(x) - 1, stride), len(x) - 1]
    return [x[place] for place in kept], [y[place] for place in kept]


def _is_series(column: object) -> bool:
    return isinstance(column, list) and len(column) >= _FEWEST and any(_number(item) is not None for item in column)


def _number(item: object) -> float | None:
    if isinstance(item, bool) or not isinstance(item, (int, float)):
        return None
    try:
        return float(f"{item:.6g}") if math.isfinite(item) else None
    except OverflowError:  # an integer beyond the largest float
        return None


def _json(data: bytes) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return None
