"""The open sessions of a batch: their processes, what each waits for, and its last headline."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import time
from dataclasses import dataclass, field
from pathlib import Path

from ai_sci.agent.batch.child import SessionJob, fork_session
from ai_sci.agent.batch.messages import Answer, Hangup, Said, WantSlot, new_channel, receive, send
from ai_sci.experiment.base import ProcessIdentity, boot_id, identify


@dataclass
class Child:
    """One open session. `wants` is the slot it waits for; times are in seconds of the batch's monotonic clock."""

    session: str
    template: str
    process: ProcessIdentity
    channel: socket.socket
    done_before: int  # progress of its session at launch (see done_so_far)
    runs_closed: int
    runs_left: int
    wants: WantSlot | None = None
    wanted_since: float = 0.0
    slots: int = 0  # held now
    held_since: float | None = None
    thinks_since: float = field(default_factory=time.monotonic)
    has_asked: bool = False  # whether it ever asked for a slot
    last_words: str = ""

    def answer(self, answer: Answer, descriptors: tuple[int, ...] = ()) -> None:
        """Sends an answer. A session that is gone is ignored here: `hear` notices it."""
        with contextlib.suppress(Hangup):
            send(self.channel, answer, descriptors)

    def hear(self) -> Said | None:
        """Its next message; None when it has hung up."""
        try:
            message, _ = receive(self.channel)
        except Hangup:
            return None
        return message  # type: ignore[return-value]  sessions only send Said

    def ask_to_stop(self) -> None:
        """Sends SIGTERM, on which a session stops in order."""
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """Sends SIGKILL."""
        self._signal(signal.SIGKILL)

    def reap(self, patience: float = 60.0) -> int:
        """Waits for its end, killing it after `patience` seconds. Returns the exit code, negative after a signal."""
        self.channel.close()
        deadline = time.monotonic() + patience
        while True:
            pid, status = os.waitpid(self.process.pid, os.WNOHANG)
            if pid:
                return os.waitstatus_to_exitcode(status)
            if time.monotonic() > deadline:
                self.kill()
            time.sleep(0.002)

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):  # until it is reaped, its pid is not reused
            os.kill(self.process.pid, number)


def begin(
    job: SessionJob, template: str, others: list[int], done_before: int, runs_closed: int, runs_left: int
) -> Child:
    """Forks the session's process, which closes our descriptors in `others`."""
    ours, theirs = new_channel()
    try:
        pid = fork_session(job, theirs, [*others, ours.fileno()])
    finally:
        theirs.close()
    try:
        process = identify(pid)
    except ProcessLookupError:  # it has already ended; `hear` will notice
        process = ProcessIdentity(pid, 0, boot_id())
    return Child(job.folder.name, template, process, ours, done_before, runs_closed, runs_left)


def sweep(batch: Path, session: str) -> None:
    """Removes the partial folder left by a process that was killed while creating its session."""
    for partial in batch.glob(f".{session}.*.partial"):
        shutil.rmtree(partial, ignore_errors=True)
