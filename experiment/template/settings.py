"""The settings of a template: `[settings]`, overridden by a preset, overridden by `--set KEY=VALUE`."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ai_sci.experiment.base import ConfigError, Table, nearest
from ai_sci.keys import mask_keys

Setting = bool | int | float | str

AUTO, NONE = "auto", "none"
_TRUE = ("true", "yes", "on", "1")
_FALSE = ("false", "no", "off", "0")


def read_settings(top: Table, overrides: Mapping[str, str]) -> dict[str, Setting]:
    """The settings for a session's `settings.json`; raises ConfigError that names file and line, or the option.

    If the template has presets, `settings["preset"]` is the name of the one applied, or "none".
    """
    top.expect("settings", "presets")
    table = Table(top.file, "settings")
    table.expect(*table.values)
    settings = {key: _checked(table, key, value) for key, value in table.values.items()}
    presets = _read_presets(top, settings)
    overrides = dict(overrides)
    if presets:
        wanted = overrides.pop("preset", None)
        name = _chosen(presets, wanted if wanted is not None else settings.get("preset", AUTO), table, wanted is None)
        settings["preset"] = name
        if name != NONE:
            settings.update(presets[name][1])
    for key, text in overrides.items():
        if key not in settings:
            known = [*settings, "preset"] if presets else list(settings)
            raise ConfigError(f'--set {key}=…: this template has no setting "{key}"{nearest(key, known)}')
        if (masked := mask_keys(text)) != text:
            raise ConfigError(f"--set {key}={masked}: settings are recorded, so no key may be in them")
        settings[key] = parse_setting(key, text, settings[key])
    return settings


def parse_setting(key: str, text: str, default: Setting) -> Setting:
    """The value of `--set KEY=TEXT`, converted to the type of the setting's default; raises ConfigError."""
    text = text.strip() if not isinstance(default, str) else text
    if isinstance(default, bool):
        if text.lower() in _TRUE + _FALSE:
            return text.lower() in _TRUE
        raise ConfigError(f"--set {key}={text}: must be true or false")
    if isinstance(default, str):
        return text
    number = _number(text)
    if number is None:
        raise ConfigError(f"--set {key}={text}: must be a number, such as {default}")
    if isinstance(default, float):
        return float(number)
    if number != int(number):
        raise ConfigError(f"--set {key}={text}: must be a whole number, such as {default}")
    return int(number)


def gpu_present() -> bool:
    """Whether a GPU is usable here: a device node exists and CUDA_VISIBLE_DEVICES does not hide it."""
    if os.environ.get("CUDA_VISIBLE_DEVICES", "0").strip() in ("", "-1"):
        return False
    return any(Path("/dev").glob("nvidia[0-9]*")) or Path("/dev/kfd").exists()


def _read_presets(top: Table, settings: dict[str, Setting]) -> dict[str, tuple[str | None, dict[str, Setting]]]:
    """Each preset's `when` and its values, which may only change settings that `[settings]` declares."""
    presets = {}
    for name in Table(top.file, "presets").values:
        if name in (AUTO, NONE):
            top.file.refuse(f'a preset cannot be named "{name}"', "presets", name)
        table = Table(top.file, "presets", name)
        when = table.text("when", None)
        if when not in (None, "gpu", "no-gpu"):
            table.refuse("when", f'when = "{when}" must be "gpu" or "no-gpu"')
        values = {}
        for key, value in table.values.items():
            if key == "when":
                continue
            if key not in settings or key == "preset":
                table.refuse(key, f'preset "{name}" sets "{key}", which is not in [settings]{nearest(key, settings)}')
            value = _checked(table, key, value)
            if not _same_kind(value, settings[key]):
                table.refuse(key, f"{key} = {value!r} is not of the type of its default, {settings[key]!r}")
            values[key] = float(value) if isinstance(settings[key], float) else value
        presets[name] = (when, values)
    return presets


def _chosen(presets: Mapping[str, tuple[str | None, Any]], wanted: object, table: Table, in_file: bool) -> str:
    """The preset's name; `auto` means the first one whose `when` matches this machine."""
    if wanted == AUTO:
        here = "gpu" if gpu_present() else "no-gpu"
        return next((name for name, (when, _) in presets.items() if when == here), NONE)
    if wanted == NONE or (isinstance(wanted, str) and wanted in presets):
        return str(wanted)
    what = f'there is no preset "{wanted}"{nearest(str(wanted), [*presets, AUTO, NONE])}'
    if in_file:
        table.refuse("preset", what)
    raise ConfigError(f"--set preset={wanted}: {what}")


def _checked(table: Table, key: str, value: object) -> Setting:
    if isinstance(value, float) and not math.isfinite(value):
        table.refuse(key, f"{key} must be a finite number")
    if not isinstance(value, (bool, int, float, str)):
        table.refuse(key, f"{key} must be a string, a number, true or false")
    return value


def _same_kind(value: Setting, default: Setting) -> bool:
    if isinstance(default, float):
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    return type(value) is type(default)


def _number(text: str) -> int | float | None:
    """`3`, `1_000`, `1e6` (also a whole number) or `0.5`; None for anything else."""
    for parse in (int, float):
        try:
            number = parse(text)
        except ValueError:
            continue
        return number if abs(number) < 2**63 else None  # also rejects nan and infinity
    return None
