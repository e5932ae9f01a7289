"""The sessions that a batch has open: their processes, what each of them waits for, and what it said last."""

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
    """`wants` is the slot that it waits for; times are seconds on the clock of the batch."""

    session: str
    template: str
    process: ProcessIdentity
    channel: socket.socket
    done_before: int  # replies and attempts of its session when it began
    runs_closed: int
    runs_left: int
    wants: WantSlot | None = None
    wanted_since: float = 0.0
    slots: int = 0  # that it holds
    held_since: float | None = None
    thinks_since: float = field(default_factory=time.monotonic)
    has_asked: bool = False  # for a slot, ever
    last_words: str = ""

    def answer(self, answer: Answer, descriptors: tuple[int, ...] = ()) -> None:
        """A session that is gone hears nothing, and its end is seen elsewhere."""
        with contextlib.suppress(Hangup):
            send(self.channel, answer, descriptors)

    def hear(self) -> Said | None:
        """The next thing that it says; None when it has hung up."""
        try:
            message, _ = receive(self.channel)
        except Hangup:
            return None
        return message  # type: ignore[return-value]  this end only gets what sessions say

    def ask_to_stop(self) -> None:
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        self._signal(signal.SIGKILL)

    def reap(self, patience: float = 60.0) -> int:
        """Waits for its end, and kills it after `patience` seconds; the exit code, negative after a signal."""
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
        with contextlib.suppress(ProcessLookupError):  # a zombie still counts: its pid is nobody else's until buried
            os.kill(self.process.pid, number)


def begin(
    job: SessionJob, template: str, others: list[int], done_before: int, runs_closed: int, runs_left: int
) -> Child:
    """Forks the session's process. `others`: descriptors of ours that it must not keep."""
    ours, theirs = new_channel()
    try:
        pid = fork_session(job, theirs, [*others, ours.fileno()])
    finally:
        theirs.close()
    try:
        process = identify(pid)
    except ProcessLookupError:  # it has ended already; that is heard of when it is listened to
        process = ProcessIdentity(pid, 0, boot_id())
    return Child(job.folder.name, template, process, ours, done_before, runs_closed, runs_left)


def sweep(batch: Path, session: str) -> None:
    """Removes what a process that was killed while it opened its session has left."""
    for partial in batch.glob(f".{session}.*.partial"):
        shutil.rmtree(partial, ignore_errors=True)
