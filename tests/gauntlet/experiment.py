"""Faults of the experiment itself: how it ends, hangs and leaves children behind.

Every fault is the code of run 2, bounded in itself: if a limit of ours failed, it would end without harm.
"""

from __future__ import annotations

from tests.end_to_end.templates import block
from tests.gauntlet.case import Case
from tests.gauntlet.checks import is_over_soon
from tests.gauntlet.machine_hooks import kill_the_experiment
from tests.gauntlet.story import faulty_run, story

UNSANDBOXED = ("--sandbox", "none", "--allow-unsandboxed")
LIMIT = 4  # seconds; a good attempt takes a tenth of one, but perhaps on a busy machine
SHORT = ("--timeout", f"{LIMIT}s")

# --- how it ends ------------------------------------------------------------------------------------------------------

_LAST_LINE = '    print(", ".join(f"{name} {value:.3f}" for name, value in means.items()))'
_SYNTAX_ERROR = block(_LAST_LINE, _LAST_LINE + "\n    print('no end")

ENDS = [
    Case(
        "syntax error in the experiment",
        story(_SYNTAX_ERROR, repair=block(_LAST_LINE + "\n    print('no end", _LAST_LINE + "\n    print('an end')")),
        ("lint_failed",),
        says=r"experiment\.py:\d+.*unterminated string",
    ),
    Case(
        "undefined name, seen by lint only after the reply",
        faulty_run("print(nowhere)"),
        ("lint_failed",),
        says=r"undefined name 'nowhere'",
    ),
    Case(
        "import error",
        faulty_run("import a_package_that_nobody_has"),
        ("crashed",),
        says=r"exit code 1: ModuleNotFoundError: No module named 'a_package_that_nobody_has'",
        quick=True,
    ),
    Case(
        "exception",
        faulty_run("raise ValueError('shapes (3,) and (4,) do not fit')"),
        ("crashed",),
        says=r"exit code 1: ValueError: shapes \(3,\) and \(4,\) do not fit",
    ),
    Case(
        "exception with a message of 100,000 characters",
        faulty_run("raise ValueError('x' * 100_000)"),
        ("crashed",),
        says=r"exit code 1: ValueError: x{50,}.{0,200}$",
    ),
    Case(
        "endless recursion",
        faulty_run("def again():\n    return again()\n\n\nagain()"),
        ("crashed",),
        says=r"RecursionError: maximum recursion depth exceeded",
    ),
    Case(
        "exit code 0 without a result",
        faulty_run("import sys\nsys.exit(0)"),
        ("no_result",),
        says=r"ended without writing final_info\.json into run_2 \(it is empty\)",
    ),
    Case(
        "os._exit(0) without a result",
        faulty_run("os._exit(0)"),
        ("no_result",),
        says=r"ended without writing final_info\.json",
    ),
    Case("os._exit(7)", faulty_run("os._exit(7)"), ("crashed",), says=r"exit code 7, and no output"),
    Case(
        "segmentation fault",
        faulty_run("import ctypes\nctypes.string_at(0)"),
        ("crashed",),
        says=r"ended by SIGSEGV: Fatal Python error: Segmentation fault",
    ),
    Case("abort", faulty_run("os.abort()"), ("crashed",), says=r"ended by SIGABRT: Fatal Python error: Aborted"),
    Case(
        "SIGKILL from outside",
        faulty_run("import time\nprint('kill me', flush=True)\ntime.sleep(20)"),
        ("crashed",),
        says=r"killed from outside by SIGKILL, by another program or by hand",
        act=kill_the_experiment("kill me"),
    ),
    Case(
        "SIGKILL from outside near the memory limit, as the kernel does it",
        faulty_run("import time\nfull = np.ones(35_000_000)\nprint('kill me', flush=True)\ntime.sleep(20)"),
        ("out_of_memory",),
        says=r"killed from outside by SIGKILL at .* most likely by the kernel for lack of memory",
        act=kill_the_experiment("kill me", after=0.5),
        args=("--memory", "350M"),
    ),
    Case(
        "asks a question on stdin",
        faulty_run("if input('Go on? ') != 'y':\n    raise SystemExit(1)"),
        ("crashed",),
        says=r"EOFError: EOF when reading a line",
    ),
    Case(
        "sets the clock",
        faulty_run("import time\ntime.clock_settime(time.CLOCK_REALTIME, time.time())"),
        ("crashed",),
        says=r"PermissionError: .*Operation not permitted",
    ),
    Case(
        "writes over its own code",
        faulty_run("Path('experiment.py').write_text('')"),
        ("crashed",),
        says=r"OSError: .*Read-only file system: 'experiment\.py'",
        quick=True,
    ),
    Case(
        "writes over its own code, without a sandbox",
        faulty_run("Path('experiment.py').write_text('')"),
        ("tampered",),
        says=r"the experiment changed experiment\.py, which only ai-sci may do; it was put back",
        args=UNSANDBOXED,
    ),
]

# --- hangs and children -----------------------------------------------------------------------------------------------

# What is left behind sleeps for 60 s: an attempt that waits for it takes far longer than the 8 s of its check.
TIME_LIMIT = rf"killed after {LIMIT} s, the time limit \(limits\.time or --timeout\)"
_DEAF = """\
import signal
for number in set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP}:
    signal.signal(number, signal.SIG_IGN)
while True:
    pass
"""
_DAEMON = """\
import time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.chdir('/')
        {closing}
        time.sleep(60)
    os._exit(0)
os.wait()
"""
_CLOSING = "[os.close(number) for number in (0, 1, 2)]"


def hangs(name: str, code: str, *args: str, quick: bool = False) -> Case:
    """The second run has no end, and its time is over when its limit says so."""
    check = is_over_soon(LIMIT)
    return Case(name, faulty_run(code), ("timed_out",), says=TIME_LIMIT, args=(*SHORT, *args), check=check, quick=quick)


HANGS = [
    hangs("endless loop", "while True:\n    pass"),
    hangs("ignores SIGTERM and every other signal", _DEAF, quick=True),
    hangs("ignores every signal, without a sandbox", _DEAF, *UNSANDBOXED),
    hangs("stops itself", "import signal\nos.kill(os.getpid(), signal.SIGSTOP)"),
    hangs(
        "a thread that never ends", "import threading, time\nthreading.Thread(target=time.sleep, args=(60,)).start()"
    ),
    hangs(
        "endless loop while a daemon in a session of its own holds stdout",
        _DAEMON.format(closing="pass") + "while True:\n    pass",
    ),
    hangs(
        "endless loop while a daemon holds stdout, without a sandbox",
        _DAEMON.format(closing="pass") + "while True:\n    pass",
        *UNSANDBOXED,
    ),
    Case(
        "leaves a sleeping child behind",
        faulty_run("import subprocess\nsubprocess.Popen(['sleep', '60'])"),
        accepted=3,
        check=is_over_soon(8),
    ),
    Case("leaves a daemon behind", faulty_run(_DAEMON.format(closing=_CLOSING)), accepted=3, check=is_over_soon(8)),
    Case(
        "leaves a daemon behind, without a sandbox",
        faulty_run(_DAEMON.format(closing=_CLOSING)),
        accepted=3,
        args=UNSANDBOXED,
        check=is_over_soon(8),
    ),
    Case(
        "a child holds stderr open after a clean exit",
        faulty_run("import subprocess\nsubprocess.Popen(['sleep', '60'], stdout=subprocess.DEVNULL)"),
        accepted=3,
        check=is_over_soon(8),
    ),
    Case(
        "a daemon holds stderr open, without a sandbox",
        faulty_run(_DAEMON.format(closing="os.close(1)")),
        accepted=3,
        args=UNSANDBOXED,
        check=is_over_soon(8),
    ),
    Case(
        "closes its own stdout and stderr, and works on",
        faulty_run("import sys, time\nos.close(1)\nos.close(2)\nsys.stdout = open(os.devnull, 'w')\ntime.sleep(0.5)"),
        accepted=3,
    ),
]

CASES = [*ENDS, *HANGS]
