"""Runs one process tree to its end: gate, limits, output, verdict. None of it is alive afterwards."""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import select
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ai_sci.experiment.attempt.judging import judge_exit
from ai_sci.experiment.attempt.watchdog import Breach, Watchdog, disk_breach
from ai_sci.experiment.base import (
    Allocation,
    DiskFull,
    EnvironmentFailed,
    Limits,
    Output,
    ProcessIdentity,
    Verdict,
    identify,
    last_error_line,
    process_tree,
)
from ai_sci.experiment.sandbox import TAG_VARIABLE, Launch, Sandbox, constrain, gates

_READ = 256 * 1024
_PIPE = 1024 * 1024
_LOG_CAP = 10 * 1024 * 1024  # bytes
_QUIET_MS = 20  # a program that prints byte by byte is read 50 times a second, not 50,000 times
_LAST_WORDS = 0.3  # seconds for Python to print its stack after a time-out
_DRAIN = 1.0  # seconds for the pipe to close after all its holders were killed
_LAST_BREATH = 1.0  # seconds for a killed tree to disappear: a fork bomb, or one that frees gigabytes

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ProcessSpec:
    """What to run, and under which limits. `time_setting` names the setting that changes the time limit."""

    argv: Sequence[str]
    cwd: Path
    writable: Sequence[Path]
    readable: Sequence[Path]
    env: Mapping[str, str]
    limits: Limits
    log: Path
    sandbox: Sandbox
    hidden: Sequence[Path] = ()
    time_setting: str = "limits.time or --timeout"
    allocation: Allocation = Allocation()
    beside: Mapping[str, Path] = field(default_factory=dict)


@dataclass(frozen=True)
class ProcessResult:
    """`exit_code` is 128 + N after signal N; `peak_memory` is in bytes, 0 for an attempt too short to be measured."""

    verdict: Verdict
    reason: str
    exit_code: int
    seconds: float
    peak_memory: int
    tail: str


def run_process(
    spec: ProcessSpec,
    on_output: Callable[[str], None],
    on_start: Callable[[ProcessIdentity], None] | None = None,
) -> ProcessResult:
    """Runs `spec.argv` in its sandbox and waits for its main process, then kills any children left.

    `on_start` is called before the program's first instruction, `on_output` with pieces of its output. The verdict is
    ok, crashed, timed_out, out_of_memory, out_of_disk or too_many_processes. Raises EnvironmentFailed if the program
    is missing, DiskFull if something else has filled the disk. Any exception, including KeyboardInterrupt, first kills
    the tree.
    """
    program = Path(spec.argv[0])
    if not os.access(program, os.X_OK):
        raise EnvironmentFailed(f"{program} is gone or cannot be executed: the experiment's environment is damaged")
    argv = [*gates.INNER, *spec.argv]
    launch = spec.sandbox.wrap(argv, spec.cwd, spec.writable, spec.readable, spec.env, spec.hidden, spec.beside)
    try:
        return _Execution(spec, launch, on_output, on_start).run()
    finally:
        if launch.scratch is not None:
            shutil.rmtree(launch.scratch, ignore_errors=True)


class _Execution:
    """The state of one `run_process`."""

    def __init__(
        self,
        spec: ProcessSpec,
        launch: Launch,
        on_output: Callable[[str], None],
        on_start: Callable[[ProcessIdentity], None] | None,
    ) -> None:
        self.spec, self.launch, self.on_start = spec, launch, on_start
        self.folders = [*spec.writable, *([launch.scratch] if launch.scratch else [])]
        self.output = Output(spec.log, _LOG_CAP, on_output)
        self.oom_kills = _oom_kills()
        self.namespace: int | None = None  # pidfd of the first process in the pid namespace

    def run(self) -> ProcessResult:
        gate, theirs = socket.socketpair()
        try:
            with theirs:
                self.process = subprocess.Popen(
                    [*gates.OUTER, *self.launch.argv],
                    stdin=theirs.fileno(),
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    env=self.launch.env,
                    bufsize=0,
                    start_new_session=True,
                    pass_fds=self.spec.allocation.lock_fds,
                )
            log.debug("process %d in %s: %s", self.process.pid, self.spec.cwd, self.launch.argv)
            return self._supervise(self.process, gate)
        finally:
            gate.close()
            self.output.close()

    def _supervise(self, process: subprocess.Popen[bytes], gate: socket.socket) -> ProcessResult:
        assert process.stdout is not None
        pipe = process.stdout.fileno()
        watchdog = Watchdog(
            process.pid, self.spec.limits, self.folders, self.launch.private_tmpfs, self._end, self.spec.time_setting
        )
        try:
            constrain(process.pid, self.spec.limits)
            if self.spec.allocation.cpus:
                os.sched_setaffinity(process.pid, self.spec.allocation.cpus)
            _widen(pipe)
            if self.on_start is not None:
                self.on_start(identify(process.pid))
            started = time.monotonic()
            watchdog.start()
            gates.open_gates(gate, process.pid, self.launch.pid_namespace)
            self._pump(pipe)
            seconds = time.monotonic() - started
            watchdog.stop()
            self._kill()  # what the main process left behind
            self._drain(pipe)
        finally:
            watchdog.stop()
            self._kill()
            process.stdout.close()
            process.wait()
            if self.launch.tag is not None and process.returncode < 0:  # the reaper was killed
                process_tree.kill_tagged(TAG_VARIABLE, self.launch.tag)
        self.output.close()
        return self._result(process.returncode, seconds, watchdog)

    # --- output -------------------------------------------------------------------------------------------------------

    def _pump(self, pipe: int) -> None:
        """Reads the output until the main process exits, even if others still hold the pipe."""
        exit_fd = _pidfd(self.process.pid)
        both, only_exit = select.poll(), select.poll()
        both.register(pipe, select.POLLIN)
        if exit_fd is not None:
            both.register(exit_fd, select.POLLIN)
            only_exit.register(exit_fd, select.POLLIN)
        pipe_is_open = True
        try:
            while not (only_exit.poll(0) if exit_fd is not None else self._has_ended()):
                looks = self._looks_for_namespace() or self.output.waiting or exit_fd is None
                patience = _QUIET_MS if looks else None
                ready = (both if pipe_is_open else only_exit).poll(patience)
                if not any(fd == pipe for fd, _ in ready):
                    self.output.show()
                    continue
                data = os.read(pipe, _READ)
                pipe_is_open = bool(data)
                self._feed(data)
                if pipe_is_open and len(data) < _READ // 4:
                    only_exit.poll(_QUIET_MS)
        finally:
            if exit_fd is not None:
                os.close(exit_fd)

    def _has_ended(self) -> bool:
        """Checks without reaping the process, so that its pid cannot be reused yet."""
        return os.waitid(os.P_PID, self.process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

    def _drain(self, pipe: int) -> None:
        """Reads what was written before the end and not read yet."""
        deadline = time.monotonic() + _DRAIN
        waiting = select.poll()
        waiting.register(pipe, select.POLLIN)
        while (left := deadline - time.monotonic()) > 0 and waiting.poll(left * 1000):
            if not (data := os.read(pipe, _READ)):
                break
            self._feed(data)
        self.output.end()

    def _feed(self, data: bytes) -> None:
        self.output.feed(data)
        if self.output.failed is not None:
            self._strike()

    def _looks_for_namespace(self) -> bool:
        """True while the first process of the namespace is still unknown, for a few milliseconds."""
        if self.namespace is None and self.launch.pid_namespace:
            first = process_tree.tree(self.process.pid, most=1)[1:]
            self.namespace = _pidfd(first[0]) if first else None
            return self.namespace is None
        return False

    def _wait_for_namespace(self) -> None:
        """Waits until all of the pid namespace is dead: its first process is the last to go."""
        if self.namespace is None:
            return
        ended = select.poll()
        ended.register(self.namespace, select.POLLIN)
        ended.poll(_LAST_BREATH * 1000)
        os.close(self.namespace)
        self.namespace = None

    # --- the end ------------------------------------------------------------------------------------------------------

    def _end(self, breach: Breach) -> None:
        """Called by the watchdog, from its thread."""
        if breach.verdict is Verdict.timed_out:
            self._ask_where_it_was()
        self._strike()

    def _ask_where_it_was(self) -> None:
        """Sends SIGABRT to the experiment's main process: with faulthandler on, Python prints its stack and exits."""
        pids = process_tree.tree(self.process.pid, most=4)
        depth = 2 if self.launch.pid_namespace else 1
        try:
            os.kill(pids[depth], signal.SIGABRT)
        except (IndexError, OSError):  # it has not started, or has exited
            return
        deadline = time.monotonic() + _LAST_WORDS
        while time.monotonic() < deadline and pids[depth] in process_tree.tree(self.process.pid, most=16):
            time.sleep(0.01)

    def _kill(self) -> None:
        """Kills the whole tree and waits until it is gone; main thread only."""
        self._looks_for_namespace()
        self._strike()
        self._wait_for_namespace()

    def _strike(self) -> None:
        if self.process.returncode is None:
            process_tree.kill_tree(self.process.pid, self.launch.pid_namespace)

    def _result(self, returncode: int, seconds: float, watchdog: Watchdog) -> ProcessResult:
        tail, peak, limits = self.output.tail(), watchdog.peak_memory, self.spec.limits
        code = returncode if returncode >= 0 else 128 - returncode
        ruling = watchdog.breach or disk_breach(self.folders, limits) or self._full_log()
        if ruling is None:
            ruling = judge_exit(code, seconds, peak, _oom_kills() > self.oom_kills, last_error_line(tail), limits)
        log.debug("process %d ended with %d after %.1f s: %s", self.process.pid, code, seconds, ruling.reason)
        if ruling.ours:
            raise DiskFull(ruling.reason)
        return ProcessResult(ruling.verdict, ruling.reason, code, seconds, peak, tail)

    def _full_log(self) -> Breach | None:
        if self.output.failed is None:
            return None
        reason = f"ended because {self.spec.log} cannot be written: {self.output.failed.strerror}"
        return Breach(Verdict.out_of_disk, reason)


def _widen(pipe: int) -> None:
    with contextlib.suppress(OSError):  # the user's quota for pipe buffers is used up
        fcntl.fcntl(pipe, getattr(fcntl, "F_SETPIPE_SZ", 1031), _PIPE)


def _pidfd(pid: int) -> int | None:
    """A descriptor that becomes readable when the process exits; None before Linux 5.3 or if it is gone."""
    try:
        return os.pidfd_open(pid)
    except (AttributeError, OSError):
        return None


def _oom_kills() -> int:
    """How many processes the kernel's OOM killer has killed since boot."""
    try:
        with open("/proc/vmstat", "rb") as file:
            return int(file.read().partition(b"\noom_kill ")[2].split(None, 1)[0])
    except (OSError, IndexError, ValueError):
        return 0
