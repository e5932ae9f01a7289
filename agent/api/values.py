"""A session and a batch as read-only values: what their journals and commits held when they were opened.

Nothing here changes anything. To see what has happened since, open the folder again.
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
    reason: str  # of the verdict
    log: Path  # what it printed; the file may be gone


@dataclass(frozen=True)
class ReplyView:
    """One reply of the model."""

    turn: int  # counted from 1
    run: int | None  # that it worked on; None for one that ended the experiments, for plots and for notes
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
    """One run as far as it got."""

    run: int  # counted from 1
    status: str  # "ok" when it was accepted, "running" while it is open, else the verdict that closed it
    metrics: dict[str, float]
    commit: str | None  # of its outcome; None while it is open
    attempts: tuple[AttemptView, ...]
    diff: str  # a unified diff of the code that it executed last, against the code that it builds on
    replies: tuple[ReplyView, ...]  # that led to it

    @property
    def accepted(self) -> bool:
        return self.status == "ok"

    @property
    def seconds(self) -> float:
        """Of all its attempts."""
        return sum(attempt.seconds for attempt in self.attempts)

    @property
    def reason(self) -> str:
        """Of the last attempt's verdict; "" before there is one."""
        return self.attempts[-1].reason if self.attempts else ""


@dataclass(frozen=True)
class BaselineView:
    """The unmodified experiment: what runs are compared with."""

    status: str  # "ok", or the verdict that makes it unusable
    metrics: dict[str, float]
    reason: str
    source: str  # "template", "measured", "cached" or "reused"


@dataclass(frozen=True)
class SpentView:
    """What a session has spent. `unsettled_…` is the most that calls have cost of which nobody saw the end."""

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
    """A session as it stood when it was opened. It can be given wherever its folder can."""

    folder: Path
    status: Status  # a str: `session.status == "completed"`
    reason: str | None  # why it ended; None while it runs
    idea: dict[str, Any]  # Name, Title, Experiment, and the idea's other keys
    template: str
    model: str
    started: datetime  # UTC
    ended: datetime | None  # UTC
    metric: str | None  # that decides which run is best
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
        return self.folder.name

    @property
    def resumable(self) -> bool:
        """Whether it stopped early: `resume(session)` goes on with it."""
        return self.status.resumable and self.status is not Status.running

    def table(self) -> list[dict[str, Any]]:
        """One flat row for the baseline (run 0) and each run, for `pandas.DataFrame` or `csv.DictWriter`.

        `run`, `status`, one column for each metric, `attempts`, `seconds`, `commit`. A metric with the name of another
        column has "metric " before it.
        """
        rows = [_row(0, self.baseline.status, self.baseline.metrics, (), None)] if self.baseline else []
        rows += [_row(run.run, run.status, run.metrics, run.attempts, run.commit) for run in self.runs]
        return _same_columns(rows)


@dataclass(frozen=True)
class BatchView(os.PathLike[str]):
    """A batch as it stood when it was opened. It can be given wherever its folder can."""

    folder: Path
    status: Status
    reason: str | None  # why it ended; None while it runs
    started: datetime  # UTC
    ended: datetime | None  # UTC
    sessions: tuple[SessionView, ...] = field(repr=False)  # that have begun
    unopened: dict[str, str]  # name of a session -> why there is none (yet), or why it cannot be read

    def __fspath__(self) -> str:
        return str(self.folder)

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def resumable(self) -> bool:
        """Whether it stopped early: `resume_batch(batch)` goes on with it."""
        return self.status.resumable and self.status is not Status.running

    def table(self) -> list[dict[str, Any]]:
        """The rows of all its sessions, each with the columns `session`, `idea` and `template` before the others."""
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
    """Every row with every column, None where it has no value."""
    columns = dict.fromkeys(name for row in rows for name in row)
    return [{name: row.get(name) for name in columns} for row in rows]
