"""The journal events about experiments; `events` holds the rest."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar


@dataclass(frozen=True)
class BaselineMeasured:
    """The outcome of run 0, wherever it came from."""

    kind: ClassVar[str] = "baseline_measured"
    metrics: dict[str, float]
    verdict: str
    reasons: list[str]
    source: str  # "template", "measured", "cached" or "reused"
    commit: str | None
    key: str = ""  # hash of everything that determines the outcome; "" in older journals
    seconds: float = 0.0  # of the attempt, if it was measured
    gpus: int = 0  # allocated exclusively
    waited: float = 0.0  # seconds for a slot
    metrics_source: str = "self-reported"  # or "graded"; older journals have no grader


@dataclass(frozen=True)
class BaselineStarted:
    """The baseline is being measured on GPUs. Not recorded when it uses none."""

    kind: ClassVar[str] = "baseline_started"
    gpus: int
    limit: float  # seconds


@dataclass(frozen=True)
class AttemptStarted:
    """An attempt was launched, with what a resume needs to find its process or job again."""

    kind: ClassVar[str] = "attempt_started"
    run: int
    attempt: int
    attempt_kind: str  # "smoke" or "full"
    code_hash: str
    commit: str
    pid: int
    process_started: int  # clock ticks since boot
    boot_id: str
    job: str = ""  # the job id on a cluster, where pid is 0
    place: str = ""  # "gpu 3", "cpus 0-3"; "" if nothing is allocated
    gpus: int = 0  # allocated exclusively
    waited: float = 0.0  # seconds for a slot
    limit: float = 0.0  # time limit in seconds; 0 in older journals


@dataclass(frozen=True)
class AttemptFinished:
    """The outcome of an attempt."""

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
    key: str = ""  # hash of everything that determines the outcome; "" if unknown
    reused: str = ""  # "run 1, attempt 2 of SESSION" when that outcome was reused
    place: str = ""  # "node n1 gpu 0", for a cluster job: unknown until it starts
    waited: float = 0.0  # seconds the job was queued
    begun: bool = True  # False when the job never left the queue, so it held no GPU
    metrics_source: str = "self-reported"  # or "graded"; older journals have no grader


@dataclass(frozen=True)
class OutcomeCommitted:
    """A failed attempt was recorded in the git log."""

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
    artefacts: dict[str, str] = field(default_factory=dict)  # sha256 of each untracked file
    format_failures: int = 0  # replies without a usable edit, among the failures that closed it; 0 in older journals


@dataclass(frozen=True)
class PlotsFinished:
    """The outcome of running plot.py."""

    kind: ClassVar[str] = "plots_finished"
    verdict: str
    reason: str
    digest: str
    files: list[str]
    commit: str | None
