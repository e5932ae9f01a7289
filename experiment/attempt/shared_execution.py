"""One execution of unmodified code for all sessions on it: the first executes it, the others wait for the outcome."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ai_sci.experiment.attempt.failed_baseline import FailedBaseline, keep_failure, kept_failure
from ai_sci.experiment.attempt.missing_here import what_is_missing
from ai_sci.experiment.attempt.runner import AttemptOutcome, AttemptPlan
from ai_sci.experiment.base import locked


@dataclass(frozen=True)
class SharedExecution:
    """`kept` is where its results are cached; what else is known stands beside it, under the same name.

    `conditions` is a hash of what affects failures but not results. `failed_since`: seconds since the epoch; older
    failures are not reused. `origin` is the folder that the session was made from.
    """

    plan: AttemptPlan
    kept: Path
    conditions: str
    failed_since: float
    origin: Path
    execute: Callable[[AttemptPlan], AttemptOutcome]
    tell: Callable[[str], None]

    @contextmanager
    def alone(self, doing: str) -> Generator[float, None, None]:
        """Holds off the other sessions, and yields the seconds that this one waited for one of them."""
        since: list[float] = []

        def waiting() -> None:
            since.append(time.monotonic())
            self.tell(f"another session is {doing}; waiting for it\n")

        with locked(self._beside(".lock"), waiting):
            yield time.monotonic() - since[0] if since else 0.0

    def failed_elsewhere(self) -> FailedBaseline | None:
        """How it failed for another session, recently and under the same conditions."""
        return kept_failure(self._beside(".failed.json"), self.conditions, self.failed_since)

    def run(self) -> tuple[AttemptOutcome, str | None]:
        """The outcome, and what the code lacks on this machine."""
        outcome = self.execute(self.plan)
        return outcome, what_is_missing(outcome, self.plan, self.origin)

    def keep_failure(self, outcome: AttemptOutcome, reason: str) -> None:
        """For the sessions that wait."""
        keep_failure(self._beside(".failed.json"), self.conditions, outcome, reason)

    def _beside(self, suffix: str) -> Path:
        return self.kept.with_name(self.kept.name + suffix)
