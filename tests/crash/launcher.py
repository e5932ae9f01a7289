"""A warm process: it imports everything once, then forks one child for every command, which is the command.

Importing litellm takes two seconds, and a proof with hundreds of deaths starts many processes. A child is a process of
its own, forked before there is any second thread: it runs the real command line and dies alone. Requests and answers
are lines of JSON on stdin and stdout. Start it as `python -m tests.crash.launcher`.
"""

from __future__ import annotations

import atexit
import contextlib
import dataclasses
import functools
import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.crash.deaths import Death, Scene, set_up
from tests.end_to_end.command import ROOT, environment

TOO_LONG = 60.0  # seconds: no session here takes a tenth of it


@dataclass(frozen=True)
class Ended:
    """`code` is negative after a signal. `cpu`: seconds, its children included. `hung`: the launcher lost patience."""

    code: int
    seconds: float
    cpu: float
    hung: bool
    out: str
    err: str

    @property
    def killed(self) -> bool:
        return self.code == -signal.SIGKILL


class Launcher:
    """The test's end of it."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.crash.launcher"],
            cwd=ROOT,
            env=environment(PYTHONPATH=str(ROOT)),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        self._process.stdout.readline()  # it has imported everything

    def run(
        self,
        args: Sequence[str | Path],
        folder: Path,
        env: Mapping[str, str],
        death: Death | None = None,
        kill_after: float | None = None,
        counted: bool = True,
        patience: float = TOO_LONG,
        cwd: Path | None = None,
    ) -> Ended:
        """`ai-sci ARGS` in `cwd`, else in `folder`, with `env` beside this process's variables. It dies at `death` or
        after so many seconds, if it has not ended by then.

        `folder` gets the files `out` and `err`, and `counts` and `calls` unless it is the command as it is, not
        `counted`.
        """
        assert self._process.stdin is not None and self._process.stdout is not None
        request = {
            "args": list(map(str, args)),
            "folder": str(folder),
            "cwd": str(cwd or folder),
            "env": environment(**{"PYTHONPATH": str(ROOT), **env}),
            "death": dataclasses.asdict(death) if death else None,
            "kill_after": kill_after,
            "counted": counted,
            "patience": patience,
        }
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        texts = [(folder / name).read_text(errors="replace") for name in ("out", "err")]
        return Ended(**answer, out=texts[0], err=texts[1])

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(60)


@functools.cache
def warm_process() -> Launcher:
    """One for this process, which ends it by ending."""
    return Launcher()


@contextlib.contextmanager
def open_launcher() -> Iterator[Launcher]:
    launcher = Launcher()
    try:
        yield launcher
    finally:
        launcher.close()


def main() -> None:
    _import_everything()
    print("ready", flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        assert threading.active_count() == 1, "a child must be forked before there is a second thread"
        started = time.monotonic()
        pid = os.fork()
        if pid == 0:
            _be_the_command(request)
        print(
            json.dumps(
                {**_wait(pid, request["kill_after"], request["patience"]), "seconds": time.monotonic() - started}
            ),
            flush=True,
        )
    os._exit(0)  # taking so many modules down takes long


def _import_everything() -> None:

    import ai_sci.agent.cli.app
    import ai_sci.agent.commands.start  # noqa: F401
    import ai_sci.agent.edits.lint
    import ai_sci.experiment.sandbox.bubblewrap  # noqa: F401
    from ai_sci.agent.models.litellm_setup import load
    from ai_sci.agent.models.names import resolve

    resolve(load(), "openai/any", "http://127.0.0.1:9/v1")


def _be_the_command(request: dict[str, Any]) -> None:
    """Never returns."""
    folder = Path(request["folder"])
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    for number, name in ((1, "out"), (2, "err")):
        os.dup2(os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644), number)
    os.setsid()
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["env"])
    death = Death(**request["death"]) if request["death"] else None
    scene = Scene(death, folder / "counts")
    if request["counted"]:
        set_up(scene, folder / "calls")
    sys.argv = ["ai-sci", *request["args"]]
    from ai_sci.agent.cli.app import main as command

    code = 70
    try:
        command()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    finally:
        if request["counted"]:
            scene.write_counts()
        sys.stdout.flush()
        sys.stderr.flush()
        if code == 70:
            import traceback

            traceback.print_exc()
        if not request["counted"]:
            _end_as_an_interpreter_does()
        sys.stderr.flush()
        os._exit(code)


def _end_as_an_interpreter_does() -> None:
    """Threads are waited for, exit functions called: what goes wrong there would be seen by a user too."""
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()


def _wait(pid: int, kill_after: float | None, patience: float) -> dict[str, Any]:
    descriptor = os.pidfd_open(pid)
    try:
        over = bool(select.select([descriptor], [], [], patience if kill_after is None else kill_after)[0])
    finally:
        os.close(descriptor)
    if not over:
        os.kill(pid, signal.SIGKILL)
    _, status, usage = os.wait4(pid, 0)
    code = os.waitstatus_to_exitcode(status)
    return {"code": code, "cpu": usage.ru_utime + usage.ru_stime, "hung": not over and kill_after is None}


if __name__ == "__main__":
    main()
