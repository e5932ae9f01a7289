"""Waits for the outcome of one submission: its files say what happened, Slurm whether the job still exists."""

from __future__ import annotations

import codecs
import os
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from ai_sci.experiment.attempt import AttemptOutcome, AttemptPlan, OnOutput
from ai_sci.experiment.base import LIVE_BYTES, TAIL_BYTES, EnvironmentFailed, Verdict, format_duration
from ai_sci.experiment.results import failure_excerpt
from ai_sci.experiment.slurm.commands import SlurmJob, Unreachable, cancel, job_log, look, release
from ai_sci.experiment.slurm.ticket import Begun, Ticket, begun_of, log_of

_GLANCE = 0.25  # seconds between looks into the ticket's folder
# Seconds between queries to the controller, which serves others too.
_FIRST_QUESTION, _LAST_QUESTION = 1.0, 15.0
_PULSE = 120.0  # seconds without a heartbeat after which an execution that Slurm lost track of counts as dead
_OUT_OF_SIGHT = ("", "NODE_FAIL", "BOOT_FAIL")  # states in which the execution may still be running
# A controller that lost unsaved state starts a job again, is refused by the node, and holds the job.
_HELD = "launch failed requeued held"
_MOST_RELEASES = 3
_HOPELESS = {
    "BadConstraints": "no node fits what it asks for",
    "DependencyNeverSatisfied": "what it depends on has failed",
    "InvalidAccount": "the account is not valid",
    "InvalidQOS": "the QOS is not valid",
    "PartitionNodeLimit": "it asks for more nodes than the partition has",
    "PartitionTimeLimit": "it asks for more time than the partition allows",
    _HELD: "the node could not start it",
}


class Waiting:
    """One wait. `reattached`: an earlier ai-sci submitted the job, so its failure says nothing about the setup."""

    def __init__(
        self,
        plan: AttemptPlan,
        ticket: Ticket,
        patience: float,
        time_left: Callable[[], float],
        on_output: OnOutput,
        reattached: bool = False,
    ) -> None:
        self._plan, self._ticket, self._tell, self._reattached = plan, ticket, on_output, reattached
        self._patience, self._time_left = patience, time_left
        self._follower = _Follower(plan, ticket, on_output)
        self._job = SlurmJob()
        self._pause, self._next_question = _FIRST_QUESTION, 0.0
        self._silent_since: float | None = None
        self._pulse: float | None = None
        self._felt = 0.0
        self._releases = 0

    @contextmanager
    def ends_the_job(self) -> Generator[None, None, None]:
        """Cancels the job when anything stops the wait (Ctrl-C, a full disk): nobody would collect its outcome.

        Only when the controller does not answer does the job continue, so that a later ai-sci can reattach.
        """
        try:
            yield
        except Unreachable as error:
            raise EnvironmentFailed(str(error)) from None
        except BaseException:
            if self._ticket.close():
                self._cancel()
            raise

    def until_the_end(self, job: str) -> AttemptOutcome:
        """Returns the outcome. Raises EnvironmentFailed, DiskFull, and Unreachable after too long a silence."""
        self._job = SlurmJob(job)
        while self._ticket.accepted is None:
            self._follower.show()
            if self._time_left() <= 0 and self._ticket.close():
                where = "" if self._ticket.executions else " in the queue"
                return self._without_outcome(Verdict.lost, f"the session's time was used up{where}")
            if time.monotonic() >= self._next_question and self._has_ended() and self._ticket.close():
                return self._without_outcome(*self._verdict())
            time.sleep(_GLANCE)
        return self._accept()

    # --- while the job is there ---------------------------------------------------------------------------------------

    def _has_ended(self) -> bool:
        before = self._job
        try:
            job = self._job = look(self._ticket, before.id)
            self._release(job)
        except Unreachable as error:
            self._is_silent(error)
            return False
        self._silent_since = None
        self._pause = _FIRST_QUESTION if job != before else min(self._pause * 1.3, _LAST_QUESTION)
        self._next_question = time.monotonic() + self._pause
        if job.waits and job != before:
            self._tell(f"job {job.id} is {job.state.lower()} ({job.reason})\n")
        is_stuck = job.waits and job.reason in _HOPELESS
        if is_stuck and not self._ticket.executions:
            raise EnvironmentFailed(f"Slurm will never start job {job.id}: {_HOPELESS[job.reason]} ({job.reason})")
        if is_stuck or job.state in _OUT_OF_SIGHT:
            return not self._shows_life()
        return not job.is_alive

    def _release(self, job: SlurmJob) -> None:
        if job.reason != _HELD or not self._ticket.executions or self._releases >= _MOST_RELEASES:
            return
        self._releases += 1
        try:
            release(job)
        except EnvironmentFailed as error:  # only an administrator may, or it is no longer held
            self._tell(f"{error}\n")

    def _shows_life(self) -> bool:
        """Whether the execution still sends heartbeats, though Slurm lost track of it."""
        now, pulse = time.monotonic(), self._ticket.pulse
        if pulse != self._pulse:
            self._pulse, self._felt = pulse, now
        return pulse is not None and now - self._felt < _PULSE

    def _is_silent(self, error: Unreachable) -> None:
        now = time.monotonic()
        if self._silent_since is None:
            self._silent_since = now
            self._tell(f"{error} Still waiting for the job, for up to {format_duration(self._patience)}.\n")
        if now - self._silent_since > self._patience:
            raise error
        self._next_question = now + min(_LAST_QUESTION, self._patience / 4)

    def _cancel(self) -> None:
        try:
            cancel(self._ticket)
        except (Unreachable, EnvironmentFailed) as error:
            self._tell(f"{error} The job will notice that nobody waits for it, and end.\n")

    # --- afterwards ---------------------------------------------------------------------------------------------------

    def _accept(self) -> AttemptOutcome:
        self._follower.show()
        execution = self._ticket.accepted
        assert execution is not None
        waited, executions = self._ticket.waited(execution), len(self._ticket.executions)
        outcome = self._ticket.take_in(self._plan, execution)
        if executions > 1:
            self._tell(f"job {self._job.id} was started {executions} times; the first outcome counts\n")
        if executions > 1 or self._waits_again():
            self._cancel()
        return replace(outcome, waited=waited)

    def _waits_again(self) -> bool:
        try:
            return look(self._ticket, self._job.id).waits
        except (Unreachable, EnvironmentFailed):
            return False  # if started again, it checks the ticket itself

    def _verdict(self) -> tuple[Verdict, str]:
        """The verdict on a job that ended, or vanished, without an outcome."""
        job, executions = self._job, self._ticket.executions
        if not executions and job.state in ("FAILED", "COMPLETED") and not self._reattached:
            session = self._plan.session
            raise EnvironmentFailed(
                f"job {job.id} failed on node {job.node} before the experiment began: "
                + (job_log(self._ticket, job.id) or f"it left no log, so {session} is probably not on a file system")
                + ("" if job_log(self._ticket, job.id) else " that the nodes share: take another --runs-dir")
            )
        where = f"job {job.id}" + (f" on {begun_of(executions[-1]).place}" if executions else "")
        if executions and job.state in ("TIMEOUT", "DEADLINE"):
            return Verdict.timed_out, "Slurm ended the job at its time limit (limits.time, --timeout or --slurm time)"
        if executions and job.state == "OUT_OF_MEMORY":
            return Verdict.out_of_memory, "Slurm ended the job, which used more memory than it had (limits.memory)"
        return Verdict.lost, f"{where} {_ENDINGS.get(job.state, f'ended as {job.state} without an outcome')}"

    def _without_outcome(self, verdict: Verdict, reason: str) -> AttemptOutcome:
        self._follower.show()
        if self._job.is_alive or not self._job.state:  # never queried, it may be alive
            self._cancel()
        executions = self._ticket.executions
        begun: Begun | None = begun_of(executions[-1]) if executions else None
        log = self._ticket.keep_log(self._plan)
        tail = log.read_bytes()[-TAIL_BYTES:].decode("utf-8", "replace") if log.is_file() else ""
        files = list(map(str, self._plan.template.files()))
        lost = verdict is Verdict.lost
        return AttemptOutcome(
            verdict=verdict,
            reason=reason,
            seconds=min(self._ticket.lived(executions[-1]), self._plan.time_limit) if executions else 0.0,
            metrics={},
            digest="" if lost else failure_excerpt(verdict, reason, tail, files, self._plan.code_folders),
            out_dir=self._plan.folder / "out",
            log=log,
            exit_code=137,
            peak_memory=0,
            place=begun.place if begun else "",
            waited=self._ticket.waited(executions[-1]) if executions else 0.0,
            begun=begun is not None,
        )


_ENDINGS = {
    "": "is not known to Slurm any more",
    "PENDING": "could not be started again",
    "CANCELLED": "was cancelled from outside",
    "PREEMPTED": "was preempted and not put back into the queue",
    "NODE_FAIL": "ended because its node failed",
    "BOOT_FAIL": "ended because its node failed",
}


class _Follower:
    """Passes on what the newest execution prints, from its log."""

    def __init__(self, plan: AttemptPlan, ticket: Ticket, on_output: OnOutput) -> None:
        self._plan, self._ticket, self._on_output = plan, ticket, on_output
        self._execution: Path | None = None

    def show(self) -> None:
        execution = self._ticket.accepted or next(iter(reversed(self._ticket.executions)), None)
        if execution is None:
            return
        if execution != self._execution:
            begun = begun_of(execution)
            again = "" if self._execution is None else " again"
            self._on_output(f"job {begun.job} begins{again} on {begun.place}\n")
            self._execution, self._position = execution, 0
            self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        try:
            with open(log_of(self._plan, execution), "rb") as log:
                log.seek(max(self._position, os.fstat(log.fileno()).st_size - LIVE_BYTES))
                data = log.read(LIVE_BYTES)
                self._position = log.tell()
        except FileNotFoundError:
            return
        if text := self._decoder.decode(data):
            self._on_output(text)
