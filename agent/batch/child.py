"""One session of a batch, in a process forked from the batch's, where everything is already imported."""

from __future__ import annotations

import contextlib
import ctypes
import logging
import os
import signal
import socket
import sys
import traceback
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ai_sci.agent.batch.messages import SharedResources
from ai_sci.agent.budgets import Limit
from ai_sci.agent.commands import (
    ResumeOptions,
    RunOptions,
    choose_model,
    create_session,
    drive_session,
    engine_kind,
    exit_code,
    resume,
)
from ai_sci.agent.interrupts import signals_interrupt
from ai_sci.agent.journal import BaselineMeasured, Event, RunClosed, SessionEnded, State
from ai_sci.agent.session import PlainScreen, plain_story
from ai_sci.experiment.attempt import ExecutionContext
from ai_sci.experiment.base import AiSciError
from ai_sci.experiment.template import Idea

_log = logging.getLogger(__name__)

_PR_SET_PDEATHSIG = 1
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True)
class SessionJob:
    """The work of one process of a batch. `folder` is the session's, `log` gets its screen output."""

    folder: Path
    log: Path
    idea: Idea
    options: RunOptions
    resumed: ResumeOptions
    execution: ExecutionContext | None  # to create the session; None to resume it
    time_limit: Limit | None  # the batch's --max-time
    on_gpus: bool


def fork_session(job: SessionJob, channel: socket.socket, others: Iterable[int]) -> int:
    """Creates or resumes the session in a new process and returns its pid.

    The child closes the descriptors in `others`. It ends when the batch's process does, however that ends.
    """
    batch = os.getpid()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError):  # the reader may be gone
            stream.flush()
    job.log.parent.mkdir(exist_ok=True)
    log = os.open(job.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
    # A signal that arrives before the child is ready must not be lost in an inherited handler.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    pid = os.fork()
    if pid:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        os.close(log)
        _log.debug("process %d works on %s", pid, job.folder)
        return pid
    code = 3
    try:
        _be_alone(batch, job, log, others)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        code = _work(job, channel)
    except BaseException:  # noqa: BLE001  the child must never return into the batch's own code
        _log.debug("a session of the batch died", exc_info=True)
        with contextlib.suppress(OSError):
            traceback.print_exc()
    finally:
        with contextlib.suppress(OSError):
            sys.stderr.flush()
        os._exit(code)


def _be_alone(batch: int, job: SessionJob, log: int, others: Iterable[int]) -> None:
    os.setsid()  # Ctrl-C in the terminal goes to the batch, which stops its sessions in order
    for name in _SIGNALS:
        signal.signal(name, signal.SIG_DFL)
    # SIGTERM lets the session end its experiment. Jobs that survive need nothing: a resume reattaches to them.
    farewell = signal.SIGKILL if engine_kind(job.options.engine).jobs_survive else signal.SIGTERM
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, farewell)
    if os.getppid() != batch:
        os._exit(3)
    signal.set_wakeup_fd(-1)
    for descriptor in others:
        os.close(descriptor)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((nothing, 0), (log, 1), (log, 2)):
        os.dup2(source, target)
    os.close(log)
    os.close(nothing)


def _work(job: SessionJob, channel: socket.socket) -> int:
    broker = SharedResources(channel, job.time_limit, job.on_gpus)
    screen = _BatchScreen(broker)
    try:
        with signals_interrupt():
            if job.execution is None:
                _, status = resume(job.folder, job.resumed, screen, broker)
            else:
                asked, execution = job.options, job.execution
                name, model = choose_model(
                    asked.model, asked.api_base, execution.template, job.idea, screen.note, asked.wait
                )
                create_session(job.folder, asked, job.idea, execution, name, model)
                status = drive_session(job.folder, execution, model, screen, broker=broker)
            return exit_code(job.folder, status)
    except KeyboardInterrupt:
        return 3
    except AiSciError as error:
        screen.note(f"ai-sci: {error}")
        broker.headline(str(error))
        return error.exit_code


class _BatchScreen(PlainScreen):
    """Logs everything to the session's own log and sends the headlines to the batch."""

    def __init__(self, broker: SharedResources) -> None:
        super().__init__()
        self._broker = broker

    def event(self, event: Event, state: State) -> None:
        super().event(event, state)
        if isinstance(event, (BaselineMeasured, RunClosed, SessionEnded)):
            closed = sum(record.closed is not None for record in state.runs.values())
            over = isinstance(event, SessionEnded) or state.completion_accepted
            line = plain_story(event) or ""
            self._broker.headline(line, closed, 0 if over else max(0, state.max_runs - closed))
