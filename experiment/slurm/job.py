"""What a job does on its node: one attempt in a folder of its own, unless the outcome is already decided."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import FrameType

from ai_sci.experiment.attempt import AttemptPlan, other_sessions, run_attempt
from ai_sci.experiment.base import AiSciError, Allocation, Limits
from ai_sci.experiment.sandbox import Sandbox, Unsandboxed, find_sandbox
from ai_sci.experiment.slurm.ticket import BEAT, Ticket, begun_of, other_runs

HARNESS_MEMORY = 512 * 1024**2  # bytes for our own processes, on top of the experiment
_UNTIL_KILLED = 120.0  # seconds; Slurm does not requeue a preempted job that exits by itself


class _Stopped(BaseException):
    """Slurm wants the node back, or nobody waits for the outcome any longer."""


def execute(folder: Path, plan: AttemptPlan) -> None:
    """Runs the attempt and offers its outcome; if another execution was faster, keeps only `begun.json`.

    When preempted, it ends the experiment and waits to be killed; the next execution starts over.
    """
    ticket = Ticket(folder)
    if ticket.is_over:
        return
    execution: Path | None = None
    try:
        with _told_to_stop(ticket):
            gpus = os.environ.get("CUDA_VISIBLE_DEVICES", "")
            node = os.environ.get("SLURMD_NODENAME") or socket.gethostname()
            execution = ticket.begin(os.environ.get("SLURM_JOB_ID", ""), node, gpus, time.time())
            try:
                outcome = run_attempt(_here(plan, execution))
            except AiSciError as error:
                outcome = error
            except OSError as error:
                outcome = AiSciError(f"{error.filename}: {error.strerror}" if error.filename else str(error))
            ticket.offer(execution, outcome)
    except _Stopped:
        _wait_for_the_end(ticket)
    finally:
        if execution is not None and ticket.accepted != execution and ticket.is_over:
            shutil.rmtree(execution / "session", ignore_errors=True)


def _here(plan: AttemptPlan, execution: Path) -> AttemptPlan:
    """The plan adapted to this node: the GPUs and memory that Slurm allocated, and this node's sandbox."""
    if (cpus := os.environ.get("SLURM_CPUS_PER_TASK")) is not None:
        os.environ.setdefault("OMP_NUM_THREADS", cpus)
    return replace(
        plan,
        session=execution / "session",
        sandbox=_sandbox(plan.sandbox),
        limits=_limits(plan.limits),
        allocation=Allocation(begun_of(execution).place),
        readable=tuple(other_runs(plan)),
        hidden=(other_sessions(plan.session),),
    )


def _sandbox(chosen: Sandbox) -> Sandbox:
    return chosen if isinstance(chosen, Unsandboxed) else find_sandbox(chosen.tier)


def _limits(limits: Limits) -> Limits:
    """Without a memory limit, defaults to the job's allocation rather than a share of the node."""
    megabytes = re.match(r"\d+", os.environ.get("SLURM_MEM_PER_NODE", ""))
    if limits.memory is not None or megabytes is None or int(megabytes[0]) == 0:
        return limits
    given = int(megabytes[0]) * 1024**2
    return replace(limits, memory=max(given // 2, given - HARNESS_MEMORY))


@contextmanager
def _told_to_stop(ticket: Ticket) -> Generator[None, None, None]:
    """Raises _Stopped in the body, which kills the experiment, on Slurm's signals or once the ticket is over."""
    done = threading.Event()
    asked = (signal.SIGTERM, signal.SIGUSR2)

    def stop(number: int, frame: FrameType | None) -> None:
        for name in asked:
            signal.signal(name, signal.SIG_IGN)
        raise _Stopped

    def look() -> None:
        while not done.wait(BEAT):
            if ticket.is_over:
                os.kill(os.getpid(), signal.SIGTERM)
                return
            ticket.beat()

    for name in asked:
        signal.signal(name, stop)
    watcher = threading.Thread(target=look, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        for name in asked:
            signal.signal(name, signal.SIG_IGN)
        done.set()


def _wait_for_the_end(ticket: Ticket) -> None:
    deadline = time.monotonic() + _UNTIL_KILLED
    while not ticket.is_over:
        if time.monotonic() > deadline:
            raise SystemExit(1)
        time.sleep(0.5)
