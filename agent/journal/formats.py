"""The format of journal records, and the one place where those of earlier formats become today's.

Three keys stay in every format: `at`, `event` (the kind) and `v`, the format, which is 1 in a record without it.
A new kind, or a new field that an earlier version may ignore, needs no new format. A change that it would misread does:
add to `_CHANGES` what turns a record of the format before into one of the new format.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from ai_sci import __version__

Change = Callable[[dict[str, Any]], None]


class NewerRecord(ValueError):
    """A whole record that a newer version of ai-sci wrote: of a format or a kind that this one does not know."""


def is_record(record: Any) -> bool:
    """Whether a line's JSON is a whole record, of whatever format: never to be cut off as torn."""
    return isinstance(record, dict) and "at" in record and isinstance(record.get("event"), str)


def upcast(record: dict[str, Any]) -> None:
    """Turns a record of an earlier format into one of today's, without `v`. Raises NewerRecord, and ValueError."""
    written = record.pop("v", 1)
    if type(written) is not int or written < 1:
        raise ValueError(f"not a journal record: its format is {written!r}")
    if written > FORMAT:
        raise NewerRecord(f"a record of format {written}")
    for change in _CHANGES[written - 1 :]:
        change(record)


def _engine_options(record: dict[str, Any]) -> None:
    """Format 2: the options of any engine. Before, there were those of Slurm only."""
    if record["event"] == "session_started" and "slurm" in record:
        record.setdefault("engine_options", record["slurm"])


_CHANGES: tuple[Change, ...] = (_engine_options,)
FORMAT = 1 + len(_CHANGES)


def newer_writer(lines: Sequence[bytes]) -> str:
    """What to say of a journal of which the last of `lines` is a NewerRecord."""
    from packaging.version import InvalidVersion, Version  # 20 ms

    for line in reversed(lines):
        try:
            version = str(json.loads(line)["version"])
            if Version(version) > Version(__version__):
                return f"written by a newer ai-sci ({version}): upgrade"
        except (ValueError, KeyError, TypeError, RecursionError, InvalidVersion):
            continue
    return "written by a newer ai-sci: upgrade"
