"""Read-only values for a session and a batch, as of when they were opened.

To see what has happened since, open the folder again.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from ai_sci.agent.journal import Status


@dataclass(frozen=True)
class AttemptView:
    """One execution of a run."""

    attempt: int  # counted from 1
    kind: str  # "smoke" or "full"
    verdict: str  # "ok", "crashed", "timed_out", …
    seconds: float
    reason: str  # for the verdict
    log: Path  # its output; the file may be gone


@dataclass(frozen=True)
class ReplyView:
    """One reply of the model."""

    turn: int  # counted from 1
    run: int | None  # the run it worked on; None for a reply that ended the experiments, and for plots and notes
    text: str
    reasoning: str
    refused: str | None  # "edit_refused", "lint_failed" or "no_edit"; None for a reply that was accepted
    model: str
    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int
    cost: float | None  # USD; None when the price is not known
    seconds: float


@dataclass(frozen=True)
class RunView:
    """One run, as far as it has got."""

    run: int  # counted from 1
    status: str  # "ok" when it was accepted, "running" while it is open, else the verdict that closed it
    metrics: dict[str, float]
    commit: str | None  # with its outcome; None while it is open
    attempts: tuple[AttemptView, ...]
    diff: str  # unified diff from the code it builds on to the code it last executed
    replies: tuple[ReplyView, ...]  # those that worked on it

    @property
    def accepted(self) -> bool:
        """Whether its results count."""
        return self.status == "ok"

    @property
    def seconds(self) -> float:
        """Total over its attempts."""
        return sum(attempt.seconds for attempt in self.attempts)

    @property
    def reason(self) -> str:
        """The reason for the last attempt's verdict; "" before the first attempt."""
        return self.attempts[-1].reason if self.attempts else ""


@dataclass(frozen=True)
class BaselineView:
    """The unmodified experiment, which runs are compared with."""

    status: str  # "ok", or the verdict that makes it unusable
    metrics: dict[str, float]
    reason: str
    source: str  # "template", "measured", "cached" or "reused"


@dataclass(frozen=True)
class SpentView:
    """What a session has spent. `unsettled_…` is the worst case of calls whose outcome is unknown."""

    calls: int
    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int
    cost: float  # USD, of the calls whose price is known
    unpriced_calls: int
    unsettled_cost: float  # USD
    unsettled_tokens: int
    gpu_hours: float


@dataclass(frozen=True)
class SessionView(os.PathLike[str]):
    """A session as of when it was opened. Accepted wherever its folder is."""

    folder: Path
    status: Status  # a str: `session.status == "completed"`
    reason: str | None  # why it ended; None while it runs
    idea: dict[str, Any]  # Name, Title, Experiment, and the idea's other keys
    template: str
    model: str
    started: datetime  # UTC
    ended: datetime | None  # UTC
    metric: str | None  # decides which run is best
    best: RunView | None = field(repr=False)
    baseline: BaselineView | None
    runs: tuple[RunView, ...] = field(repr=False)
    replies: tuple[ReplyView, ...] = field(repr=False)
    spent: SpentView
    notes: str | None = field(repr=False)  # the text of notes.txt
    plots: tuple[Path, ...]

    def __fspath__(self) -> str:
        return str(self.folder)

    @property
    def name(self) -> str:
        """The name of its folder."""
        return self.folder.name

    @property
    def resumable(self) -> bool:
        """Whether it stopped early, so that `resume(session)` can continue it."""
        return self.status.resumable and self.status is not Status.running

    def table(self) -> list[dict[str, Any]]:
        """One flat row for the baseline (run 0) and each run, for `pandas.DataFrame` or `csv.DictWriter`.

        `run`, `status`, one column for each metric, `attempts`, `seconds`, `commit`. A metric named like another column
        gets the prefix "metric ".
        """
        rows = [_row(0, self.baseline.status, self.baseline.metrics, (), None)] if self.baseline else []
        rows += [_row(run.run, run.status, run.metrics, run.attempts, run.commit) for run in self.runs]
        return _same_columns(rows)


@dataclass(frozen=True)
class BatchView(os.PathLike[str]):
    """A batch as of when it was opened. Accepted wherever its folder is."""

    folder: Path
    status: Status
    reason: str | None  # why it ended; None while it runs
    started: datetime  # UTC
    ended: datetime | None  # UTC
    sessions: tuple[SessionView, ...] = field(repr=False)  # those that have started
    unopened: dict[str, str]  # session name -> why it has not started or cannot be read

    def __fspath__(self) -> str:
        return str(self.folder)

    @property
    def name(self) -> str:
        """The name of its folder."""
        return self.folder.name

    @property
    def resumable(self) -> bool:
        """Whether it stopped early, so that `resume_batch(batch)` can continue it."""
        return self.status.resumable and self.status is not Status.running

    def table(self) -> list[dict[str, Any]]:
        """The rows of all its sessions, each with the columns `session`, `idea` and `template` first."""
        rows = [
            {"session": one.name, "idea": one.idea["Name"], "template": one.template, **row}
            for one in self.sessions
            for row in one.table()
        ]
        return _same_columns(rows)


def _row(
    run: int, status: str, metrics: dict[str, float], attempts: Sequence[AttemptView], commit: str | None
) -> dict[str, Any]:
    seconds = sum((attempt.seconds for attempt in attempts), 0.0)
    before, after = {"run": run, "status": status}, {"attempts": len(attempts), "seconds": seconds, "commit": commit}
    taken = {*before, *after}
    return {**before, **{f"metric {name}" if name in taken else name: metrics[name] for name in metrics}, **after}


def _same_columns(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Gives every row every column, None where it has no value."""
    columns = dict.fromkeys(name for row in rows for name in row)
    return [{name: row.get(name) for name in columns} for row in rows]
