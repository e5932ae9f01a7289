"""A baseline that failed, kept for those who wait for it: a hundred sessions need not wait for its time-out in turn."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path

from ai_sci.experiment.attempt.runner import AttemptOutcome
from ai_sci.experiment.base import Verdict

_SIGNALS_FROM_OUTSIDE = (128 + 9, 128 + 15)  # an out-of-memory killer, a person


@dataclass(frozen=True)
class FailedBaseline:
    verdict: Verdict
    reason: str


def keep_failure(path: Path, conditions: str, outcome: AttemptOutcome, reason: str) -> None:
    """Writes to `path` how the measurement failed, unless that was no fault of the template.

    `conditions` stands for what decides a failure but no result: limits, sandbox, data.
    """
    killed = outcome.verdict is Verdict.crashed and outcome.exit_code in _SIGNALS_FROM_OUTSIDE
    if killed or outcome.verdict is Verdict.lost:
        return
    record = {"at": time.time(), "conditions": conditions, "verdict": outcome.verdict.value, "reason": reason}
    partial = path.with_name(path.name + ".partial")
    partial.write_text(json.dumps(record))
    partial.rename(path)


def kept_failure(path: Path, conditions: str, since: float) -> FailedBaseline | None:
    """What `path` says, if it failed under these conditions at `since` or later (seconds since the epoch)."""
    try:
        record = json.loads(path.read_text())
        recent = since <= record["at"] <= time.time()  # a clock that was put back makes none recent for ever
        if recent and record["conditions"] == conditions:
            return FailedBaseline(Verdict(record["verdict"]), str(record["reason"]))
    except (FileNotFoundError, ValueError, KeyError, TypeError):  # none, or of a crash of this machine
        return None
    return None
