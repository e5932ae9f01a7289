"""The sessions that a batch has open: their processes, what each of them waits for, and what it said last."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import time
from dataclasses import dataclass, field

from agent.batch_child import Job, fork_session
from agent.batch_messages import Answer, Hangup, Reserve, Said, WantSlot, new_channel, receive, send
from experiment.process_tree import ProcessIdentity, identify


@dataclass
class Child:
    """`wants` and `asks` are what it waits for; times are seconds on the clock of the batch."""

    session: str
    template: str
    process: ProcessIdentity
    channel: socket.socket
    length: int  # bytes of its journal when it began
    runs_closed: int
    runs_left: int
    wants: WantSlot | None = None
    wanted_since: float = 0.0
    asks: Reserve | None = None
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

    def bury(self) -> int:
        """Waits for its end, which is near; the exit code, negative after a signal."""
        self.channel.close()
        _, status = os.waitpid(self.process.pid, 0)
        return os.waitstatus_to_exitcode(status)

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):  # a zombie still counts: its pid is nobody else's until buried
            os.kill(self.process.pid, number)


def begin(job: Job, template: str, others: list[int], length: int, runs_closed: int, runs_left: int) -> Child:
    """Forks the session's process. `others`: descriptors of ours that it must not keep."""
    ours, theirs = new_channel()
    try:
        pid = fork_session(job, theirs, [*others, ours.fileno()])
    finally:
        theirs.close()
    return Child(job.folder.name, template, identify(pid), ours, length, runs_closed, runs_left)
