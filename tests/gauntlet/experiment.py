"""Faults of the experiment itself: how it dies, hangs, multiplies, talks and eats.

Every fault is the code of run 2, bounded in itself: if a limit of ours failed, it would end without harm.
"""

from __future__ import annotations

from tests.end_to_end.templates import block
from tests.gauntlet.case import Case
from tests.gauntlet.checks import is_over_soon, log_says_what_was_cut
from tests.gauntlet.machine_hooks import copy_template, kill_the_experiment
from tests.gauntlet.stage import Stage
from tests.gauntlet.story import faulty_run, story

UNSANDBOXED = ("--sandbox", "none", "--allow-unsandboxed")
SHORT = ("--timeout", "2s")
SMALL = ("--memory", "300M")
TIGHT = ("--disk", "20M")

# --- how it ends ------------------------------------------------------------------------------------------------------

_LAST_LINE = '    print(", ".join(f"{name} {value:.3f}" for name, value in means.items()))'
_SYNTAX_ERROR = block(_LAST_LINE, _LAST_LINE + "\n    print('no end")

ENDS = [
    Case(
        "syntax error in the experiment",
        story(_SYNTAX_ERROR, repair=block(_LAST_LINE + "\n    print('no end", _LAST_LINE + "\n    print('an end')")),
        ("lint_failed",),
        says=r"experiment\.py:\d+.*unterminated string",
        quick=True,
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
        quick=True,
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
        quick=True,
    ),
    Case("abort", faulty_run("os.abort()"), ("crashed",), says=r"ended by SIGABRT: Fatal Python error: Aborted"),
    Case(
        "SIGKILL from outside",
        faulty_run("import time\nprint('kill me', flush=True)\ntime.sleep(20)"),
        ("crashed",),
        says=r"killed from outside by SIGKILL after .* by another program or by hand",
        act=kill_the_experiment("kill me"),
        quick=True,
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

_TIME_LIMIT = r"killed after 2 s, the time limit \(limits\.time or --timeout\)"
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

HANGS = [
    Case(
        "endless loop",
        faulty_run("while True:\n    pass"),
        ("timed_out",),
        says=_TIME_LIMIT,
        args=SHORT,
        check=is_over_soon(2),
        quick=True,
    ),
    Case(
        "ignores SIGTERM and every other signal",
        faulty_run(_DEAF),
        ("timed_out",),
        says=_TIME_LIMIT,
        args=SHORT,
        check=is_over_soon(2),
        quick=True,
    ),
    Case(
        "ignores every signal, without a sandbox",
        faulty_run(_DEAF),
        ("timed_out",),
        says=_TIME_LIMIT,
        args=(*SHORT, *UNSANDBOXED),
        check=is_over_soon(2),
    ),
    Case(
        "stops itself",
        faulty_run("import signal\nos.kill(os.getpid(), signal.SIGSTOP)"),
        ("timed_out",),
        says=_TIME_LIMIT,
        args=SHORT,
        check=is_over_soon(2),
    ),
    Case(
        "a thread that never ends",
        faulty_run("import threading, time\nthreading.Thread(target=time.sleep, args=(60,)).start()"),
        ("timed_out",),
        says=_TIME_LIMIT,
        args=SHORT,
        check=is_over_soon(2),
    ),
    Case(
        "endless loop while a daemon in a session of its own holds stdout",
        faulty_run(_DAEMON.format(closing="pass") + "while True:\n    pass"),
        ("timed_out",),
        says=_TIME_LIMIT,
        args=SHORT,
        check=is_over_soon(2),
        quick=True,
    ),
    Case(
        "endless loop while a daemon holds stdout, without a sandbox",
        faulty_run(_DAEMON.format(closing="pass") + "while True:\n    pass"),
        ("timed_out",),
        says=_TIME_LIMIT,
        args=(*SHORT, *UNSANDBOXED),
        check=is_over_soon(2),
    ),
    Case(
        "leaves a sleeping child behind",
        faulty_run("import subprocess\nsubprocess.Popen(['sleep', '60'])"),
        accepted=3,
        check=is_over_soon(0),
        quick=True,
    ),
    Case("leaves a daemon behind", faulty_run(_DAEMON.format(closing=_CLOSING)), accepted=3, check=is_over_soon(0)),
    Case(
        "leaves a daemon behind, without a sandbox",
        faulty_run(_DAEMON.format(closing=_CLOSING)),
        accepted=3,
        args=UNSANDBOXED,
        check=is_over_soon(0),
        quick=True,
    ),
    Case(
        "a child holds stderr open after a clean exit",
        faulty_run("import subprocess\nsubprocess.Popen(['sleep', '60'], stdout=subprocess.DEVNULL)"),
        accepted=3,
        check=is_over_soon(0),
    ),
    Case(
        "a daemon holds stderr open, without a sandbox",
        faulty_run(_DAEMON.format(closing="os.close(1)")),
        accepted=3,
        args=UNSANDBOXED,
        check=is_over_soon(0),
    ),
    Case(
        "closes its own stdout and stderr, and works on",
        faulty_run("import sys, time\nos.close(1)\nos.close(2)\nsys.stdout = open(os.devnull, 'w')\ntime.sleep(0.5)"),
        accepted=3,
    ),
]

# --- output -----------------------------------------------------------------------------------------------------------

_FULL = "if os.environ.get('AI_SCI_SMOKE') != '1':\n"  # once is enough

OUTPUT = [
    Case(
        "500 MB of output",
        faulty_run(_FULL + "    for _ in range(500):\n        os.write(1, b'loss 0.123456789\\n' * 58_824)"),
        accepted=3,
        check=log_says_what_was_cut(500_000_000),
    ),
    Case(
        "binary output, and then it fails",
        faulty_run("os.write(1, os.urandom(1_000_000) + b'\\n\\x1b[2J\\x00')\nraise ValueError('and so it ends')"),
        ("crashed",),
        says=r"ValueError: and so it ends",
        quick=True,
    ),
    Case(
        "nothing but binary output, and then it fails",
        faulty_run("os.write(1, bytes(range(256)) * 4000)\nos._exit(3)"),
        ("crashed",),
        says=r"^exit code 3: [ -~\u00a0-\ufffd]{1,400}$",
    ),
    Case(
        "no newline for 20 MB",
        faulty_run("for _ in range(200):\n    os.write(1, b'.' * 100_000)\nraise ValueError('after the dots')"),
        ("crashed",),
        says=r"ValueError: after the dots",
    ),
    Case(
        "no newline for two seconds, then it hangs",
        faulty_run("import time\nwhile True:\n    os.write(1, b'.')\n    time.sleep(0.001)"),
        ("timed_out",),
        says=_TIME_LIMIT,
        args=SHORT,
        check=is_over_soon(2),
    ),
]

# --- memory, disk, processes ------------------------------------------------------------------------------------------


def limit_inodes(stage: Stage) -> None:
    """The usual 200,000 take half a minute to make."""
    copy_template(stage, ("processes = 64", "processes = 64\ninodes = 500"))


# Each stops by itself at three times its limit.
_GROWS = "import time\nkept = []\nfor _ in range(90):\n    kept.append(np.ones(1_250_000))\n    time.sleep(0.01)"
_MANY = """\
import time
for _ in range(12):
    if os.fork() == 0:
        full = np.ones(9_000_000)
        time.sleep(10)
        os._exit(0)
time.sleep(10)
"""
_SHARED = (
    "import time\nfor number in range(9):\n    Path(f'/dev/shm/{number}').write_bytes(b'x' * 10**8)\ntime.sleep(5)"
)
_FILES = """\
import time
for number in range(60):
    (out_dir / str(number)).write_bytes(b'x' * 1_000_000)
    time.sleep(0.01)
"""
_INODES = "import time\nfor number in range(20_000):\n    os.mknod(out_dir / str(number))\n    time.sleep(0.0005)"
_BOMB = "import time\nfor _ in range(7):\n    os.fork()\ntime.sleep(5)\nif os.getppid() == 1:\n    os._exit(0)"
_UNLINKED = """\
import time
file = open(out_dir / 'hidden', 'wb')
os.unlink(out_dir / 'hidden')
for _ in range(60):
    os.write(file.fileno(), b'x' * 300_000)
    time.sleep(0.01)
other = open(out_dir / 'hidden', 'wb')
os.unlink(out_dir / 'hidden')
other.write(b'x' * 15_000_000)
other.flush()
time.sleep(5)
"""

HUNGER = [
    Case(
        "memory hog that grows",
        faulty_run(_GROWS),
        ("out_of_memory",),
        says=r"killed at .* of memory, the limit is 300M \(limits\.memory or --memory\)",
        args=SMALL,
        quick=True,
    ),
    Case(
        "memory hog that asks for all at once",
        faulty_run("full = np.ones(125_000_000)"),
        ("out_of_memory",),
        says=r"ran out of memory: .*MemoryError.*the limit is 300M",
        args=SMALL,
    ),
    Case(
        "memory hog in twelve processes",
        faulty_run(_MANY),
        ("out_of_memory",),
        says=r"killed at .* of memory, the limit is 300M",
        args=SMALL,
    ),
    Case(
        "memory hog in /dev/shm",
        faulty_run(_SHARED),
        ("out_of_memory",),
        says=r"killed at .* of memory, the limit is 300M",
        args=SMALL,
    ),
    Case(
        "fills the disk with one file",
        faulty_run("with open(out_dir / 'big', 'wb') as file:\n    file.write(b'x' * 60_000_000)"),
        ("out_of_disk",),
        says=r"the limit is 20M \(limits\.disk or --disk\)",
        args=TIGHT,
    ),
    Case(
        "fills the disk with many files",
        faulty_run(_FILES),
        ("out_of_disk",),
        says=r"ended after writing .*, the limit is 20M \(limits\.disk or --disk\)",
        args=TIGHT,
        quick=True,
    ),
    Case(
        "fills the disk with files that no folder shows",
        faulty_run(_UNLINKED),
        ("out_of_disk",),
        says=r"ended after writing .*, the limit is 20M",
        args=TIGHT,
    ),
    Case(
        "fills the disk with empty files",
        faulty_run(_INODES),
        ("out_of_disk",),
        says=r"ended after making more than 500 files and folders, the limit \(limits\.inodes\)",
        prepare=limit_inodes,
    ),
    Case(
        "fork bomb",
        faulty_run(_BOMB),
        ("too_many_processes",),
        says=r"killed with \d+ processes at once, the limit is 64 \(limits\.processes\)",
        quick=True,
    ),
    Case(
        "fork bomb without a sandbox",
        faulty_run(_BOMB),
        ("too_many_processes",),
        says=r"killed with \d+ processes at once, the limit is 64 \(limits\.processes\)",
        args=UNSANDBOXED,
    ),
]

CASES = [*ENDS, *HANGS, *OUTPUT, *HUNGER]
