"""What can happen in a session with its experiments: lines of the journal, as all in `events`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar


@dataclass(frozen=True)
class BaselineMeasured:
    kind: ClassVar[str] = "baseline_measured"
    metrics: dict[str, float]
    verdict: str
    reasons: list[str]
    source: str  # "template", "measured", "cached" or "reused"
    commit: str | None
    key: str = ""  # of all that decides the outcome; "" in journals of older versions
    seconds: float = 0.0  # of the attempt, where it was measured
    gpus: int = 0  # that it had for itself
    waited: float = 0.0  # seconds for its place
    metrics_source: str = "self-reported"  # or "graded"; journals of older versions have no grader


@dataclass(frozen=True)
class BaselineStarted:
    """The baseline is being measured, and holds GPUs; one without any needs no such record."""

    kind: ClassVar[str] = "baseline_started"
    gpus: int
    limit: float  # seconds


@dataclass(frozen=True)
class AttemptStarted:
    kind: ClassVar[str] = "attempt_started"
    run: int
    attempt: int
    attempt_kind: str  # "smoke" or "full"
    code_hash: str
    commit: str
    pid: int
    process_started: int  # clock ticks since boot
    boot_id: str
    job: str = ""  # where a cluster executes it: the job's id, and pid is 0
    place: str = ""  # "gpu 3", "cpus 0-3"; "" when it has no place of its own
    gpus: int = 0  # that it has for itself
    waited: float = 0.0  # seconds for its place
    limit: float = 0.0  # seconds that it may take; 0 in journals of older versions


@dataclass(frozen=True)
class AttemptFinished:
    kind: ClassVar[str] = "attempt_finished"
    run: int
    attempt: int
    attempt_kind: str
    verdict: str
    reason: str
    digest: str
    seconds: float
    metrics: dict[str, float]
    code_hash: str
    key: str = ""  # of all that decides the outcome; "" when it is not known
    reused: str = ""  # "run 1, attempt 2 of SESSION" when that outcome was taken over
    place: str = ""  # "node n1 gpu 0": of a job, whose place nobody knows when it is submitted
    waited: float = 0.0  # seconds that the job was in the queue
    begun: bool = True  # False when the job never left the queue, and held no GPU
    metrics_source: str = "self-reported"  # or "graded"; journals of older versions have no grader


@dataclass(frozen=True)
class OutcomeCommitted:
    """A failed attempt stands in the git log."""

    kind: ClassVar[str] = "outcome_committed"
    run: int
    attempt: int
    commit: str


@dataclass(frozen=True)
class RunClosed:
    """A run is over: accepted (`ok`) or closed after too many failures in a row."""

    kind: ClassVar[str] = "run_closed"
    run: int
    status: str
    metrics: dict[str, float]
    commit: str
    base_commit: str  # the commit whose code the next edit builds on
    code_hash: str  # of that code
    artefacts: dict[str, str] = field(default_factory=dict)  # untracked file -> sha256


@dataclass(frozen=True)
class PlotsFinished:
    kind: ClassVar[str] = "plots_finished"
    verdict: str
    reason: str
    digest: str
    files: list[str]
    commit: str | None
