"""One session of a batch: a process of its own, forked from the batch's, which has imported everything already."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import socket
import sys
import traceback
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from agent.batch_messages import SharedDesk
from agent.choose_model import choose_model
from agent.events import BaselineMeasured, Event, RunClosed, SessionEnded
from agent.interrupts import signals_interrupt
from agent.logbook import story
from agent.screen import PlainScreen
from agent.start import (
    ResumeOptions,
    RunOptions,
    create_session,
    drive_session,
    exit_code,
    resume,
)
from agent.state import State
from experiment.errors import AiSciError
from experiment.ideas import Idea
from experiment.setup import Setup

_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True)
class Job:
    """What one process of a batch works on. `folder` is the session's, `log` what it says about its work."""

    folder: Path
    log: Path
    idea: Idea
    options: RunOptions
    resumed: ResumeOptions
    setup: Setup
    time_left: float  # seconds of the batch's --max-time
    on_gpus: bool


def fork_session(job: Job, channel: socket.socket, others: Iterable[int]) -> int:
    """Begins to work on the session, or goes on with it, in a new process; returns its pid.

    `others` are descriptors that are not its business. It ends when the batch's process does, whatever ends that.
    """
    batch = os.getpid()
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid:
        return pid
    code = 3
    try:
        _be_alone(batch, job.log, others)
        code = _work(job, channel)
    except BaseException:  # noqa: BLE001  nothing may go back into the batch's own code, which this process still holds
        with contextlib.suppress(OSError):
            traceback.print_exc()
    finally:
        with contextlib.suppress(OSError):
            sys.stderr.flush()
        os._exit(code)


def _be_alone(batch: int, log: Path, others: Iterable[int]) -> None:
    os.setsid()  # a Ctrl-C in the terminal is the batch's: it tells its sessions in order
    for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(name, signal.SIG_DFL)
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != batch:
        os._exit(3)
    signal.set_wakeup_fd(-1)
    for descriptor in others:
        os.close(descriptor)
    written = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((nothing, 0), (written, 1), (written, 2)):
        os.dup2(source, target)
    os.close(written)
    os.close(nothing)


def _work(job: Job, channel: socket.socket) -> int:
    desk = SharedDesk(channel, job.time_left, job.on_gpus)
    screen = _BatchScreen(desk)
    try:
        with signals_interrupt():
            if job.folder.exists():
                _, status = resume(job.folder, job.resumed, screen, desk)
            else:
                model_name, model = choose_model(
                    job.options.model, job.options.api_base, job.setup.template, job.idea, screen.note
                )
                create_session(job.folder, job.options, job.idea, job.setup, model_name, model)
                status = drive_session(job.folder, job.setup, model, screen, desk=desk)
            return exit_code(job.folder, status)
    except KeyboardInterrupt:
        return 3
    except AiSciError as error:
        screen.note(f"ai-sci: {error}")
        desk.headline(str(error), 0, 0)
        return error.exit_code


class _BatchScreen(PlainScreen):
    """Everything goes to the session's own log; what a person wants to see of the night goes to the batch too."""

    def __init__(self, desk: SharedDesk) -> None:
        super().__init__()
        self._desk = desk

    def event(self, event: Event, state: State) -> None:
        super().event(event, state)
        if isinstance(event, (BaselineMeasured, RunClosed, SessionEnded)):
            closed = sum(record.closed is not None for record in state.runs.values())
            over = isinstance(event, SessionEnded) or state.completion_accepted
            line = (story(event) or "").replace("**", "")
            self._desk.headline(line, closed, 0 if over else max(0, state.max_runs - closed))
