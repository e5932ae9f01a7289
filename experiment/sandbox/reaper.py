"""Runs one command and kills everything that it leaves behind.

Only for attempts without a sandbox, where no pid namespace does this. A separate script, so that it keeps working when
the harness is killed. Usage: reaper.py HARNESS_PID CWD COMMAND…
Exits like the command, with 128 + N after signal N.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36


def main(harness: int, cwd: str, command: list[str]) -> int:
    """Runs `command` in `cwd`; returns its exit code, 128 + N after signal N."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)  # daemons that it forks become our children
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)  # the harness was killed
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(give_up(harness)))
    if os.getppid() != harness:  # it was killed before prctl took effect
        return 128 + signal.SIGTERM
    experiment = os.fork()
    if experiment == 0:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        try:
            os.setsid()
            os.chdir(cwd)
            os.execvpe(command[0], command, os.environ)
        except OSError as error:
            os.write(2, f"cannot start {command[0]}: {error.strerror}\n".encode(errors="replace"))
            os._exit(127)
    while True:
        pid, status = os.wait()
        if pid == experiment:
            code = os.waitstatus_to_exitcode(status)
            return sweep(code if code >= 0 else 128 - code)


def give_up(harness: int) -> int:
    """Cleans up after the harness died, when nothing else removes the temporary folder."""
    code = sweep(128 + signal.SIGTERM)
    deadline = time.monotonic() + 1  # the signal comes when one thread dies, perhaps before the whole process
    while os.getppid() == harness and time.monotonic() < deadline:
        time.sleep(0.01)
    if os.getppid() != harness:
        import shutil

        shutil.rmtree(os.environ["TMPDIR"], ignore_errors=True)
    return code


def sweep(code: int) -> int:
    """Kills all descendants, including ones forked meanwhile, for at most five seconds; returns `code`."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        alive = descendants(os.getpid())
        for pid in alive:
            try:
                os.kill(pid, signal.SIGKILL)
            except OSError:
                pass
        if not reap() and not alive:
            break
        time.sleep(0.001)
    return code


def reap() -> bool:
    """Collects dead children; True if any child is left."""
    try:
        while True:
            if os.waitpid(-1, os.WNOHANG)[0] == 0:
                return True
    except ChildProcessError:
        return False


def descendants(root: int) -> list[int]:
    """The pids below `root`, parents first."""
    found = [root]
    for pid in found:
        found += children(pid)
    return found[1:]


def children(pid: int) -> list[int]:
    """The pids of the children of all threads of `pid`; empty if it has exited."""
    kids: list[int] = []
    try:
        for thread in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{thread}/children", "rb") as file:
                kids += [int(kid) for kid in file.read().split()]
    except OSError:
        pass
    return kids


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), sys.argv[2], sys.argv[3:]))
