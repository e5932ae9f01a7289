"""Remembers a failed baseline, so that a hundred waiting sessions need not each run into its time-out."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path

from ai_sci.experiment.attempt.runner import AttemptOutcome
from ai_sci.experiment.base import Verdict
from ai_sci.keys import mask_keys_in

_SIGNALS_FROM_OUTSIDE = (128 + 9, 128 + 15)  # an out-of-memory killer, a person


@dataclass(frozen=True)
class FailedBaseline:
    """How the measurement failed in an earlier session."""

    verdict: Verdict
    reason: str


def keep_failure(path: Path, conditions: str, outcome: AttemptOutcome, reason: str) -> None:
    """Writes to `path` how the measurement failed, unless the template was not at fault.

    `conditions` is a hash of what affects failures but not results: limits, sandbox, data.
    """
    killed = outcome.verdict is Verdict.crashed and outcome.exit_code in _SIGNALS_FROM_OUTSIDE
    if killed or outcome.verdict is Verdict.lost:
        return
    record = {"at": time.time(), "conditions": conditions, "verdict": outcome.verdict.value, "reason": reason}
    partial = path.with_name(path.name + ".partial")
    partial.write_text(json.dumps(mask_keys_in(record)))
    partial.rename(path)


def kept_failure(path: Path, conditions: str, since: float) -> FailedBaseline | None:
    """The failure in `path`, if it happened under these conditions at or after `since` (seconds since the epoch)."""
    try:
        record = json.loads(path.read_text())
        recent = since <= record["at"] <= time.time()  # a clock set back must not keep a failure recent forever
        if recent and record["conditions"] == conditions:
            return FailedBaseline(Verdict(record["verdict"]), str(record["reason"]))
    except (FileNotFoundError, ValueError, KeyError, TypeError):  # no file, or one damaged by a machine crash
        return None
    return None
