"""The folder of one submission to Slurm: what the job executes, each execution of it, and which of them counts.

A job may be started twice (a requeue while the first one runs on, a controller that lost its state), so every execution
works in a folder of its own. `decided` is a symbolic link that is made once and never changed, which file systems that
nodes share do atomically: it names the execution whose outcome counts, or says that nobody waits for one any more.
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
BEAT = 2.0  # seconds between two signs of life of an execution
_RUN = re.compile(r"run_\d+")


@dataclass(frozen=True)
class Begun:
    """One execution of a job. `at` is seconds since the epoch, `gpus` what CUDA_VISIBLE_DEVICES holds."""

    at: float
    job: str
    node: str
    gpus: str

    @property
    def place(self) -> str:
        return f"node {self.node}" + (f" gpu {self.gpus}" if self.gpus else "")


@dataclass(frozen=True)
class Ticket:
    """`folder` is on the file system that the nodes share; its name is the token that the job's name carries."""

    folder: Path

    @property
    def token(self) -> str:
        return self.folder.name

    @property
    def job_name(self) -> str:
        return f"ai-sci-{self.token}"

    @property
    def source(self) -> Path:
        """The session's files as they were when the job was submitted."""
        return self.folder / "source"

    @property
    def executions(self) -> list[Path]:
        """Those that have begun, oldest first."""
        begun = [path for path in self.folder.glob("execution-*") if (path / "begun.json").is_file()]
        return sorted(begun, key=lambda path: path.stat().st_mtime)

    # --- the decision -------------------------------------------------------------------------------------------------

    @property
    def decision(self) -> str | None:
        """The execution whose outcome counts, "closed", or None while that is open."""
        try:
            return os.readlink(self.folder / "decided")
        except OSError:
            return None

    @property
    def is_closed(self) -> bool:
        return self.decision == _CLOSED

    @property
    def is_over(self) -> bool:
        """Whether an execution has nothing to work for any more."""
        return self.decision is not None or not self.folder.is_dir()

    @property
    def accepted(self) -> Path | None:
        """The execution whose outcome counts."""
        decision = self.decision
        return None if decision in (None, _CLOSED) else self.folder / str(decision)

    def close(self) -> bool:
        """From now on no outcome counts. False when one does already."""
        self._decide(_CLOSED)
        return self.accepted is None

    def _decide(self, what: str) -> None:
        try:
            os.symlink(what, self.folder / "decided")
        except (FileExistsError, FileNotFoundError):  # decided already, or the folder has been moved away
            pass

    @property
    def pulse(self) -> float | None:
        """Another number every few seconds as long as any execution is at work; None before the first one."""
        try:
            return (self.folder / "alive").stat().st_mtime
        except OSError:
            return None

    # --- what an execution does ---------------------------------------------------------------------------------------

    def begin(self, job: str, node: str, gpus: str, at: float) -> Path:
        """A folder that no other execution has, with `session` in it: a copy of the session's code."""
        name = f"execution-{job}-{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"
        execution = self.folder / name
        execution.mkdir()
        shutil.copytree(self.source, execution / "session", symlinks=True)
        _write(execution / "begun.json", asdict(Begun(at, job, node, gpus)))
        return execution

    def beat(self) -> None:
        try:
            (self.folder / "alive").touch()
        except OSError:  # the folder has been moved away, or the disk is full
            pass

    def offer(self, execution: Path, outcome: AttemptOutcome | Exception) -> None:
        """Makes this the outcome that counts, if none does yet. An exception is raised again where it is waited for."""
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
        """Moves what the execution left to where `run_attempt` leaves it; can be repeated after a crash.

        Raises DiskFull and EnvironmentFailed as `run_attempt` did on the node.
        """
        outcome: dict[str, Any] = json.loads((execution / "outcome.json").read_text())
        begun = begun_of(execution)
        if outcome.pop("token") != self.token:
            raise EnvironmentFailed(f"{execution} holds the outcome of another job")
        if "error" in outcome:
            self.folder.rename(self.folder.with_name(f"{self.token}.failed"))  # a repetition begins anew
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
        """Seconds from the submission to the beginning of this execution, by the clock of the file system."""
        submitted = [path.stat().st_mtime for path in self.folder.glob("*_submitted.pkl")]
        return round(max(0.0, (execution / "begun.json").stat().st_mtime - min(submitted)), 3) if submitted else 0.0

    def lived(self, execution: Path) -> float:
        """Seconds from the beginning of this execution to its last sign of life and the beat after it, as `waited`."""
        begun = (execution / "begun.json").stat().st_mtime
        return round(max(0.0, (self.pulse or begun) - begun) + BEAT, 3)

    def keep_log(self, plan: AttemptPlan) -> Path:
        """After the end of a job without an outcome: the code and the last execution's log, and nothing else."""
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
    """For a new submission: a fresh folder of the attempt, and in it all that the job needs of the session."""
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
    """The submission of this very attempt that an earlier ai-sci left."""
    tickets = [Ticket(path) for path in plan.folder.glob("work/*") if path.is_dir() and not path.suffix]
    return tickets[0] if tickets else None


def other_runs(plan: AttemptPlan) -> list[Path]:
    """The folders of earlier runs, which the experiment may read."""
    runs = [path for path in plan.session.iterdir() if _RUN.fullmatch(path.name) and path.name != plan.out_dir.name]
    return sorted(path for path in runs if path.is_dir() and not path.is_symlink())


def begun_of(execution: Path) -> Begun:
    return Begun(**json.loads((execution / "begun.json").read_text()))


def log_of(plan: AttemptPlan, execution: Path) -> Path:
    return execution / "session" / "attempts" / plan.folder.name / "output.log"


def _move(source: Path, target: Path) -> None:
    """What lies at `target` since before a crash is kept beside it."""
    if os.path.lexists(target):
        target.rename(free_name(target.with_name(target.name + ".lost")))
    source.rename(target)


def _write(path: Path, content: dict[str, Any]) -> None:
    """Whole or not at all, and on the disk when it returns."""
    partial = path.with_name(path.name + ".partial")
    with partial.open("w") as file:
        json.dump(content, file)
        file.flush()
        os.fsync(file.fileno())
    partial.rename(path)
