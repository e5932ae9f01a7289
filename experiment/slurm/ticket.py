"""The folder of one Slurm submission: what the job executes, its executions, and which of them counts.

A job may start twice (a requeue while the first execution is still running, a controller that lost its state), so each
execution works in its own folder. `decided` is a symbolic link created once, which shared file systems do atomically:
it names the execution whose outcome counts, or says that nobody waits for one any longer.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import socket
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ai_sci.experiment.attempt import AttemptOutcome, AttemptPlan, free_name, make_room, snapshot
from ai_sci.experiment.base import DiskFull, EnvironmentFailed, Verdict

_CLOSED = "closed"
BEAT = 2.0  # seconds between heartbeats of an execution
_RUN = re.compile(r"run_\d+")


@dataclass(frozen=True)
class Begun:
    """One execution of a job. `at` is seconds since the epoch, `gpus` the value of CUDA_VISIBLE_DEVICES."""

    at: float
    job: str
    node: str
    gpus: str

    @property
    def place(self) -> str:
        """The node and its GPUs, for people."""
        return f"node {self.node}" + (f" gpu {self.gpus}" if self.gpus else "")


@dataclass(frozen=True)
class Ticket:
    """One submission. `folder` is on the shared file system; its name is the token in the job's name."""

    folder: Path

    @property
    def token(self) -> str:
        """The random name of this submission."""
        return self.folder.name

    @property
    def job_name(self) -> str:
        """The name under which Slurm knows the job."""
        return f"ai-sci-{self.token}"

    @property
    def source(self) -> Path:
        """The session's files as they were when the job was submitted."""
        return self.folder / "source"

    @property
    def executions(self) -> list[Path]:
        """The executions that have started, oldest first."""
        begun = [path for path in self.folder.glob("execution-*") if (path / "begun.json").is_file()]
        return sorted(begun, key=lambda path: path.stat().st_mtime)

    # --- the decision -------------------------------------------------------------------------------------------------

    @property
    def decision(self) -> str | None:
        """The name of the execution whose outcome counts, "closed", or None while undecided."""
        try:
            return os.readlink(self.folder / "decided")
        except OSError:
            return None

    @property
    def is_closed(self) -> bool:
        """Whether no outcome will ever count."""
        return self.decision == _CLOSED

    @property
    def is_over(self) -> bool:
        """Whether an execution has nothing left to work for."""
        return self.decision is not None or not self.folder.is_dir()

    @property
    def accepted(self) -> Path | None:
        """The execution whose outcome counts."""
        decision = self.decision
        return None if decision in (None, _CLOSED) else self.folder / str(decision)

    def close(self) -> bool:
        """Refuses any outcome from now on. Returns False when one already counts."""
        self._decide(_CLOSED)
        return self.accepted is None

    def _decide(self, what: str) -> None:
        try:
            os.symlink(what, self.folder / "decided")
        except (FileExistsError, FileNotFoundError):  # already decided, or the folder was moved away
            pass

    @property
    def pulse(self) -> float | None:
        """The last heartbeat, in seconds since the epoch by the file system's clock; None before the first."""
        try:
            return (self.folder / "alive").stat().st_mtime
        except OSError:
            return None

    # --- what an execution does ---------------------------------------------------------------------------------------

    def begin(self, job: str, node: str, gpus: str, at: float) -> Path:
        """Creates a folder for this execution alone, with a copy of the session's code in `session`."""
        name = f"execution-{job}-{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"
        execution = self.folder / name
        execution.mkdir()
        shutil.copytree(self.source, execution / "session", symlinks=True)
        _write(execution / "begun.json", asdict(Begun(at, job, node, gpus)))
        return execution

    def beat(self) -> None:
        """Records a heartbeat."""
        try:
            (self.folder / "alive").touch()
        except OSError:  # the folder was moved away, or the disk is full
            pass

    def offer(self, execution: Path, outcome: AttemptOutcome | Exception) -> None:
        """Makes this the outcome that counts, if none does yet. `take_in` raises an exception again."""
        if isinstance(outcome, AttemptOutcome):
            inner = execution / "session"
            kept = asdict(outcome)
            kept["out_dir"], kept["log"] = (str(path.relative_to(inner)) for path in (outcome.out_dir, outcome.log))
        else:
            kept = {"error": type(outcome).__name__, "message": str(outcome)}
        _write(execution / "outcome.json", {"token": self.token, **kept})
        self._decide(execution.name)

    # --- what the session does ----------------------------------------------------------------------------------------

    def take_in(self, plan: AttemptPlan, execution: Path) -> AttemptOutcome:
        """Moves the execution's files to where `run_attempt` would put them; safe to repeat after a crash.

        Raises the DiskFull or EnvironmentFailed that `run_attempt` raised on the node.
        """
        outcome: dict[str, Any] = json.loads((execution / "outcome.json").read_text())
        begun = begun_of(execution)
        if outcome.pop("token") != self.token:
            raise EnvironmentFailed(f"{execution} holds the outcome of another job")
        if "error" in outcome:
            self.folder.rename(self.folder.with_name(f"{self.token}.failed"))  # so that a retry starts over
            kind = DiskFull if outcome["error"] == DiskFull.__name__ else EnvironmentFailed
            raise kind(f"{begun.place}: {outcome['message']}")
        inner = execution / "session"
        theirs = inner / "attempts" / plan.folder.name
        for name in os.listdir(theirs) if theirs.is_dir() else ():
            _move(theirs / name, plan.folder / name)
        if (inner / plan.out_dir.name).is_dir():
            _move(inner / plan.out_dir.name, plan.out_dir)
        self._clear()
        outcome |= {"verdict": Verdict(outcome["verdict"]), "place": begun.place}
        outcome |= {"out_dir": plan.session / outcome["out_dir"], "log": plan.session / outcome["log"]}
        return AttemptOutcome(**outcome)

    def waited(self, execution: Path) -> float:
        """Seconds from submission to the start of this execution, by the file system's clock."""
        submitted = [path.stat().st_mtime for path in self.folder.glob("*_submitted.pkl")]
        return round(max(0.0, (execution / "begun.json").stat().st_mtime - min(submitted)), 3) if submitted else 0.0

    def lived(self, execution: Path) -> float:
        """Seconds from the start of this execution to its last heartbeat, plus one beat, by the same clock."""
        begun = (execution / "begun.json").stat().st_mtime
        return round(max(0.0, (self.pulse or begun) - begun) + BEAT, 3)

    def keep_log(self, plan: AttemptPlan) -> Path:
        """Keeps only the code and the last execution's log of a job that left no outcome; returns the log's path."""
        snapshot(plan)
        log = plan.folder / "output.log"
        if self.executions and (left := log_of(plan, self.executions[-1])).is_file():
            shutil.copyfile(left, log, follow_symlinks=False)
        self._clear()
        return log

    def _clear(self) -> None:
        for leftover in (self.source, *self.folder.glob("execution-*/session")):
            shutil.rmtree(leftover, ignore_errors=True)


def open_ticket(plan: AttemptPlan) -> Ticket:
    """Starts a new submission: a fresh attempt folder with the session files that the job needs."""
    make_room(plan)
    plan.out_dir.rmdir()
    ticket = Ticket(plan.folder / "work" / secrets.token_hex(6))
    ticket.source.mkdir(parents=True)
    for name in sorted({*map(str, plan.template.files()), *plan.template.editable, "settings.json"}):
        source, target = plan.session / name, ticket.source / name
        if source.is_file() and not source.is_symlink():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target)
    for run in other_runs(plan):
        (ticket.source / run.name).symlink_to(run)
    return ticket


def find_ticket(plan: AttemptPlan) -> Ticket | None:
    """The submission of this attempt that an earlier ai-sci left behind."""
    tickets = [Ticket(path) for path in plan.folder.glob("work/*") if path.is_dir() and not path.suffix]
    return tickets[0] if tickets else None


def other_runs(plan: AttemptPlan) -> list[Path]:
    """The folders of earlier runs, which the experiment may read."""
    runs = [path for path in plan.session.iterdir() if _RUN.fullmatch(path.name) and path.name != plan.out_dir.name]
    return sorted(path for path in runs if path.is_dir() and not path.is_symlink())


def begun_of(execution: Path) -> Begun:
    """Reads when and where an execution started."""
    return Begun(**json.loads((execution / "begun.json").read_text()))


def log_of(plan: AttemptPlan, execution: Path) -> Path:
    """The path of an execution's output log."""
    return execution / "session" / "attempts" / plan.folder.name / "output.log"


def _move(source: Path, target: Path) -> None:
    """Anything already at `target`, left by a crash, is kept beside it."""
    if os.path.lexists(target):
        target.rename(free_name(target.with_name(target.name + ".lost")))
    source.rename(target)


def _write(path: Path, content: dict[str, Any]) -> None:
    """Writes atomically and fsyncs."""
    partial = path.with_name(path.name + ".partial")
    with partial.open("w") as file:
        json.dump(content, file)
        file.flush()
        os.fsync(file.fileno())
    partial.rename(path)
