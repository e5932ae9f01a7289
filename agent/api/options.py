"""Converts what a notebook passes (keywords, "2h", "8G", strings for paths) to the options of the commands."""

from __future__ import annotations

import dataclasses
import json
import math
import numbers
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from ai_sci.agent.batch import BatchOptions
from ai_sci.agent.budgets import Budgets
from ai_sci.agent.commands import ResumeOptions, RunOptions, read_engine_options
from ai_sci.experiment.base import ConfigError, parse_duration, parse_size
from ai_sci.experiment.template import read_idea

Options = TypeVar("Options")


def _path(value: str | os.PathLike[str]) -> Path:
    return Path(value).expanduser()


_READ = {
    "timeout": parse_duration,
    "time": parse_duration,
    "wait": parse_duration,
    "memory": parse_size,
    "disk": parse_size,
    "ideas_file": _path,
    "runs_dir": _path,
    "python": _path,
}
# At least.
_WHOLE = {
    "max_runs": 1,
    "max_failures": 1,
    "context_window": 256,
    "from_turn": 1,
    "slots": 1,
    "at_once": 1,
    "tokens": 1,
}
_REAL = ("cost", "gpu_hours")
_BUDGETS = {f"max_{one.name}" for one in dataclasses.fields(Budgets)}


def with_keywords(
    kind: type[Options], options: Options | None, keywords: Mapping[str, Any], budgets_prefix: str = "max_"
) -> Options:
    """`options`, or new ones from keywords: the fields of `kind`, and `max_cost` etc. for its budgets.

    Errors name a budget with `budgets_prefix`: `session_max_` where the caller passed it so.

    Raises TypeError for both at once and for unknown keywords, ConfigError for invalid values.
    """
    if options is None:
        options = kind(**_split_budgets(keywords))
    elif keywords:
        raise TypeError(f"pass {kind.__name__} or keywords, not both: {', '.join(keywords)}")
    return _checked(options, budgets_prefix=budgets_prefix)


def batch_options(options: BatchOptions | None, keywords: Mapping[str, Any]) -> BatchOptions:
    """The same for a batch: `max_…` for all sessions, `session_max_…` for each, the rest as for one session."""
    if options is not None or "session" in keywords:
        return with_keywords(BatchOptions, options, keywords)
    own = {one.name for one in dataclasses.fields(BatchOptions)} | _BUDGETS
    shared = {name: value for name, value in keywords.items() if name in own}
    each = {name.removeprefix("session_"): value for name, value in keywords.items() if name not in own}
    if wrong := {"idea", "template"} & each.keys():
        raise TypeError(f"batch() takes ideas=… and templates=…, not {', '.join(sorted(wrong))}")
    shared |= {name: _names(shared[name]) for name in ("templates", "gpus") if name in shared}
    if "ideas" in shared:
        shared["ideas"] = ",".join(_names(shared["ideas"]))
    session = with_keywords(RunOptions, None, {"idea": "", **each}, "session_max_")
    return with_keywords(BatchOptions, None, {**shared, "session": session})


def resume_batch_options(keywords: Mapping[str, Any]) -> tuple[ResumeOptions, Budgets]:
    """The options for each unfinished session, and the budgets for all together."""
    shared = {name: value for name, value in keywords.items() if name in _BUDGETS}
    each = {name.removeprefix("session_"): value for name, value in keywords.items() if name not in _BUDGETS}
    budgets = with_keywords(ResumeOptions, None, shared).budgets
    return with_keywords(ResumeOptions, None, each, "session_max_"), budgets


def _checked(options: Options, prefix: str = "", budgets_prefix: str = "max_") -> Options:
    """Converts every value to the type of its field. Raises ConfigError, which names keywords with these prefixes."""
    changes: dict[str, Any] = {}
    for one in dataclasses.fields(options):  # type: ignore[arg-type]  all of them are dataclasses
        value: Any = getattr(options, one.name)
        if value is None:
            continue
        if one.name == "idea" and isinstance(value, Mapping):
            changes[one.name] = read_idea(dict(value), "idea")
        elif isinstance(value, Budgets):
            changes[one.name] = _checked(value, budgets_prefix)
        elif isinstance(value, RunOptions):
            changes[one.name] = _checked(value, budgets_prefix="session_max_")
        elif one.name == "overrides":
            changes[one.name] = {key: _as_text(setting) for key, setting in value.items()}
        elif isinstance(options, RunOptions) and one.name == "engine_options":
            pairs = [f"{key}={_as_text(option)}" for key, option in value.items()]
            changes[one.name] = read_engine_options(options.engine, pairs)
        elif one.name in _READ:
            changes[one.name] = _read(one.name, value, prefix)
        elif one.name in _WHOLE:
            changes[one.name] = int(_number(prefix + one.name, value, numbers.Integral, _WHOLE[one.name]))
        elif one.name in _REAL:
            changes[one.name] = float(_number(prefix + one.name, value, numbers.Real, 0))
    return dataclasses.replace(options, **changes)  # type: ignore[type-var]


def _split_budgets(keywords: Mapping[str, Any]) -> dict[str, Any]:
    budgets = {name.removeprefix("max_"): value for name, value in keywords.items() if name in _BUDGETS}
    others = {name: value for name, value in keywords.items() if name not in _BUDGETS}
    return {**others, "budgets": Budgets(**budgets)} if budgets else others


def _names(value: Any) -> tuple[str, ...]:
    """One name (or path), or several."""
    return (str(value),) if isinstance(value, (str, os.PathLike)) else tuple(map(str, value))


def _read(name: str, value: Any, prefix: str) -> Any:
    try:
        return _READ[name](value)
    except ConfigError as error:
        raise ConfigError(f"{prefix}{name}: {error}") from None


def _number(keyword: str, value: Any, kind: type, least: int) -> Any:
    if isinstance(value, bool) or not isinstance(value, kind):
        what = "an integer" if kind is numbers.Integral else "a number"
        raise ConfigError(f"{keyword} must be {what}, not {value!r}")
    if not least <= value < math.inf:  # type: ignore[operator]
        raise ConfigError(f"{keyword} must be at least {least}, not {value}")
    return value


def _as_text(setting: Any) -> str:
    """As on the command line: true, not True."""
    return setting if isinstance(setting, str) else json.dumps(setting)
