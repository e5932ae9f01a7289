"""Faults of an experiment that wants too much: output, memory, disk, processes.

Every fault is bounded in itself: if a limit of ours failed, it would end without harm.
"""

from __future__ import annotations

from tests.gauntlet.case import Case
from tests.gauntlet.checks import is_over_soon, log_says_what_was_cut
from tests.gauntlet.experiment import LIMIT, SHORT, TIME_LIMIT, UNSANDBOXED
from tests.gauntlet.machine_hooks import copy_template
from tests.gauntlet.stage import Stage
from tests.gauntlet.story import faulty_run

SMALL = ("--memory", "300M")
TIGHT = ("--disk", "20M")

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
        "no newline, and no end",
        faulty_run("import time\nwhile True:\n    os.write(1, b'.')\n    time.sleep(0.001)"),
        ("timed_out",),
        says=TIME_LIMIT,
        args=SHORT,
        check=is_over_soon(LIMIT),
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
_BOMB = """\
import time
first = os.getpid()
for _ in range(7):
    os.fork()
time.sleep(5)
if os.getpid() != first:
    os._exit(0)
"""
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
        says=r"killed with more than 64 processes at once, the limit \(limits\.processes\)",
        quick=True,
    ),
    Case(
        "fork bomb without a sandbox",
        faulty_run(_BOMB),
        ("too_many_processes",),
        says=r"killed with more than 64 processes at once, the limit \(limits\.processes\)",
        args=UNSANDBOXED,
    ),
]

CASES = [*OUTPUT, *HUNGER]
