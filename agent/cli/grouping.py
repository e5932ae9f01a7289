"""Options that several commands share are declared once, as the fields of a dataclass."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from typing import Any, get_type_hints


def command(function: Callable[..., None]) -> Callable[..., None]:
    """`function` for typer, with each parameter whose type is a dataclass replaced by that class's fields."""
    shown: list[inspect.Parameter] = []
    groups: dict[str, Any] = {}
    for name, parameter in inspect.signature(function, eval_str=True).parameters.items():
        if not is_dataclass(parameter.annotation):
            shown.append(parameter)
            continue
        groups[name] = parameter.annotation
        hints = get_type_hints(parameter.annotation, include_extras=True)
        shown += [
            inspect.Parameter(one.name, parameter.KEYWORD_ONLY, default=one.default, annotation=hints[one.name])
            for one in fields(parameter.annotation)
        ]

    def call(**values: Any) -> None:
        built = {
            name: group(**{one.name: values.pop(one.name) for one in fields(group)}) for name, group in groups.items()
        }
        function(**values, **built)

    call.__name__, call.__doc__ = function.__name__, function.__doc__
    call.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [parameter.replace(kind=parameter.KEYWORD_ONLY) for parameter in shown]
    )
    return call


def given(*groups: Any, **values: Any) -> dict[str, Any]:
    """The options that were given, from `--name` to value: those that are neither None nor False."""
    for group in groups:
        values |= vars(group)
    return {
        f"--{name.rstrip('_').replace('_', '-')}": value
        for name, value in values.items()
        if value is not None and value is not False
    }


def refuse(options: Mapping[str, Any], why: str) -> None:
    """Raises ConfigError for the first of the `given` options, since an option without effect is an error."""
    from ai_sci.experiment.base import ConfigError

    for name in options:
        raise ConfigError(f"{name} {why}.")
