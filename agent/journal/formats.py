"""The journal's record format, and the one place that upgrades records of earlier formats.

Every format keeps three keys: `at`, `event` (the kind) and `v` (the format, 1 if missing). A new kind, or a new field
that earlier versions can ignore, needs no new format. A change that they would misread does: append to `_CHANGES` a
function that upgrades a record from the previous format.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from ai_sci import __version__

Change = Callable[[dict[str, Any]], None]


class NewerRecord(ValueError):
    """An intact record in a format or of a kind that only a newer ai-sci knows."""


def is_record(record: Any) -> bool:
    """Whether a line's JSON is a whole record of any format, and so not a torn line to drop."""
    return isinstance(record, dict) and "at" in record and isinstance(record.get("event"), str)


def upcast(record: dict[str, Any]) -> None:
    """Upgrades a record in place to the current format and removes `v`. Raises NewerRecord or ValueError."""
    written = record.pop("v", 1)
    if type(written) is not int or written < 1:
        raise ValueError(f"not a journal record: its format is {written!r}")
    if written > FORMAT:
        raise NewerRecord(f"a record of format {written}")
    for change in _CHANGES[written - 1 :]:
        change(record)


def _engine_options(record: dict[str, Any]) -> None:
    """Format 2 has options for every engine; format 1 had only `slurm`."""
    if record["event"] == "session_started" and "slurm" in record:
        record.setdefault("engine_options", record["slurm"])


_CHANGES: tuple[Change, ...] = (_engine_options,)
FORMAT = 1 + len(_CHANGES)


def newer_writer(lines: Sequence[bytes]) -> str:
    """The error message for a journal whose last line here is a NewerRecord."""
    from packaging.version import InvalidVersion, Version  # costs 20 ms, so not at the top

    for line in reversed(lines):
        try:
            version = str(json.loads(line)["version"])
            if Version(version) > Version(__version__):
                return f"written by a newer ai-sci ({version}): upgrade"
        except (ValueError, KeyError, TypeError, RecursionError, InvalidVersion):
            continue
    return "written by a newer ai-sci: upgrade"
