"""Attempts: whatever an experiment does, it ends in time, in a named verdict, and nothing of it is left."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from experiment import watchdog
from experiment.attempt import ProcessIdentity, run_process
from experiment.errors import EnvironmentFailed
from experiment.limits import Limits
from experiment.process_tree import still_runs
from experiment.verdict import Verdict
from tests.experiment.attempts import HEARTBEAT, Attempts, eventually, make_attempts, within

MB = 1024**2
REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture(params=["bwrap", "none"])
def attempts(request: pytest.FixtureRequest, tmp_path: Path) -> Attempts:
    return make_attempts(tmp_path / "session", request.param)


# --- how it ends ------------------------------------------------------------------------------------------------------


def test_a_program_that_ends_well(attempts: Attempts) -> None:
    done = attempts.run("import os, sys\nprint(os.getcwd(), sys.stdin.read() == '')\nopen('out/x', 'w').write('1')")
    assert (done.verdict, done.exit_code) == (Verdict.ok, 0)
    assert done.tail.split() == [str(attempts.folder), "True"]
    assert (attempts.out / "x").read_text() == "1"
    assert attempts.log.read_text() == done.tail == "".join(attempts.pieces)


@pytest.mark.parametrize(
    "code, exit_code, said",
    [
        ("1/0", 1, "exit code 1: ZeroDivisionError: division by zero"),
        ("import nothing_like_it", 1, "exit code 1: ModuleNotFoundError: No module named 'nothing_like_it'"),
        ("def f(:", 1, "exit code 1: SyntaxError"),
        ("import os; os._exit(3)", 3, "exit code 3, and no output"),
        ("import sys; sys.exit('no data')", 1, "exit code 1: no data"),
        ("import os; os.kill(os.getpid(), 11)", 139, "ended by SIGSEGV: Fatal Python error: Segmentation fault"),
        ("import os; os.abort()", 134, "ended by SIGABRT"),
        ("import os; os.kill(os.getpid(), 15)", 143, "ended by SIGTERM"),
        ("import os; os.kill(os.getpid(), 9)", 137, "killed from outside by SIGKILL"),
    ],
)
def test_a_crash_says_how(attempts: Attempts, code: str, exit_code: int, said: str) -> None:
    done = attempts.run(code)
    assert (done.verdict, done.exit_code) == (Verdict.crashed, exit_code)
    assert said in done.reason and "\n" not in done.reason


def test_a_kill_near_the_memory_limit_is_the_kernel_s(attempts: Attempts) -> None:
    code = "import os, time\nx = b'1' * (190 << 20)\ntime.sleep(0.4)\nos.kill(os.getpid(), 9)"
    done = attempts.run(code, memory=220 * MB)
    assert done.verdict is Verdict.out_of_memory
    assert "most likely by the kernel" in done.reason and "220M" in done.reason


# --- time -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "code",
    [
        "import time; time.sleep(60)",
        "while True: pass",
        "import signal, time\nfor n in (1, 2, 6, 15): signal.signal(n, signal.SIG_IGN)\nwhile True: time.sleep(1)",
        "import os, signal; os.kill(os.getpid(), signal.SIGSTOP)",
        "import os, time\nif os.fork() == 0: os.setsid()\ntime.sleep(60)",
        "import os, time\nos.close(1); os.close(2); time.sleep(60)",
    ],
    ids=["sleeps", "busy", "ignores signals", "stopped", "child holds the pipe", "closed its output"],
)
def test_a_timeout_is_over_when_it_says_so(attempts: Attempts, code: str) -> None:
    with within(0.5 + 2):
        done = attempts.run(code, time=0.5)
    assert done.verdict is Verdict.timed_out
    assert done.reason == "killed after 0.5 s, the time limit (limits.time or --timeout)"
    assert not still_runs(attempts.started[0])


def test_a_timeout_says_where_it_was(attempts: Attempts) -> None:
    done = attempts.run("import time\ndef train():\n    time.sleep(60)\ntrain()", time=0.5)
    assert "line 3 in train" in done.tail


def test_a_timeout_takes_the_daemons_along(attempts: Attempts) -> None:
    code = f"""
        import os, time
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                exec({HEARTBEAT!r})
            os._exit(0)
        time.sleep(60)
    """
    done = attempts.run(code, time=0.6)
    assert done.verdict is Verdict.timed_out
    assert (attempts.out / "beat").exists() and not attempts.beats()


# --- children that are left behind ------------------------------------------------------------------------------------


@pytest.mark.parametrize("daemon", [False, True])
def test_a_child_that_holds_the_pipe_is_not_waited_for(attempts: Attempts, daemon: bool) -> None:
    setsid = "os.setsid()\n    if os.fork(): os._exit(0)\n    " if daemon else ""
    ready = "while not os.path.exists('out/beat'): pass"
    code = f"import os\nif os.fork() == 0:\n    {setsid}exec({HEARTBEAT!r})\n{ready}\nprint('done')"
    with within(3):
        done = attempts.run(code)
    assert (done.verdict, done.tail) == (Verdict.ok, "done\n")
    assert not attempts.beats()


def test_killing_the_reaper_frees_nobody(tmp_path: Path) -> None:
    attempts = make_attempts(tmp_path / "session", "none")
    ready = "while not os.path.exists('out/beat'): pass"
    code = f"import os\nif os.fork() == 0:\n    os.setsid()\n    exec({HEARTBEAT!r})\n{ready}\nos.kill(os.getppid(), 9)"
    done = attempts.run(f"{code}\nimport time\ntime.sleep(60)")
    assert done.verdict is Verdict.crashed
    assert not attempts.beats()


# --- output -----------------------------------------------------------------------------------------------------------


def test_half_a_gigabyte_of_output_is_cheap(attempts: Attempts) -> None:
    code = """
        import os
        os.write(1, b'first\\n')
        for _ in range(500): os.write(1, b'x' * 1_000_000)
        os.write(1, b'\\nlast\\n')
    """
    before = time.process_time()
    with within(20):
        done = attempts.run(code)
    assert time.process_time() - before < 3
    assert done.verdict is Verdict.ok and done.tail.endswith("\nlast\n")
    log = attempts.log.read_bytes()
    assert len(log) < 10.1 * MB and log.startswith(b"first\nxxx") and log.endswith(b"x\nlast\n")
    assert b"bytes were cut here" in log
    assert sum(map(len, attempts.pieces)) < 50 * MB


def test_binary_output_without_any_line(attempts: Attempts) -> None:
    done = attempts.run("import os\nos.write(1, bytes(range(256)) * 4000)")
    assert done.verdict is Verdict.ok
    assert attempts.log.read_bytes() == bytes(range(256)) * 4000
    "".join(attempts.pieces).encode()


def test_output_is_seen_while_it_runs_and_carriage_returns_stay(attempts: Attempts) -> None:
    arrived: list[tuple[float, str]] = []
    code = "import time\nfor i in range(3):\n    print(i, end='\\r', flush=True); time.sleep(0.3)"
    attempts.run(code, on_output=lambda text: arrived.append((time.monotonic(), text)))
    assert "".join(text for _, text in arrived) == "0\r1\r2\r"
    assert arrived[-1][0] - arrived[0][0] > 0.4


def test_many_small_writes_cost_little(attempts: Attempts) -> None:
    code = "import os, time\nend = time.time() + 1.5\nwhile time.time() < end: os.write(1, b'x')"
    before = time.thread_time()
    attempts.run(code)
    assert time.thread_time() - before < 0.3
    assert set("".join(attempts.pieces)) == {"x"}


def test_a_log_that_cannot_be_written_is_no_end_of_the_world(attempts: Attempts) -> None:
    with within(5):
        done = attempts.run("import time\nprint('x', flush=True)\ntime.sleep(60)", log=Path("/dev/full"))
    assert done.verdict is Verdict.out_of_disk
    assert "/dev/full cannot be written: No space left on device" in done.reason


# --- memory -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "code",
    [
        "x = b'1' * (3 << 30)",
        "import time\nx = [b'1' * (4 << 20) for _ in range(300)]\ntime.sleep(60)",
        "import mmap, time\nm = mmap.mmap(-1, 1 << 30)\nfor i in range(0, 1 << 30, 4096): m[i] = 1\ntime.sleep(60)",
        """
        import os, time
        for _ in range(6):
            if os.fork() == 0:
                x = b'1' * (80 << 20); time.sleep(60)
        time.sleep(60)
        """,
    ],
    ids=["at once", "step by step", "shared mapping", "six processes"],
)
def test_a_memory_hog(attempts: Attempts, code: str) -> None:
    with within(10):
        done = attempts.run(code, memory=300 * MB)
    assert done.verdict is Verdict.out_of_memory
    assert "300M" in done.reason and "--memory" in done.reason
    assert not still_runs(attempts.started[0])


def test_pages_that_forks_share_count_once(attempts: Attempts) -> None:
    code = """
        import os, time
        x = b'1' * (150 << 20)
        for _ in range(4):
            if os.fork() == 0:
                time.sleep(1); os._exit(0)
        time.sleep(0.8)
    """
    done = attempts.run(code, memory=300 * MB)
    assert done.verdict is Verdict.ok
    assert 150 * MB < done.peak_memory < 300 * MB


def test_shared_memory_files_are_memory(tmp_path: Path) -> None:
    attempts = make_attempts(tmp_path / "session", "bwrap")
    code = """
        import time
        with open('/dev/shm/x', 'wb') as f:
            for _ in range(400): f.write(b'x' * 1_000_000)
        time.sleep(60)
    """
    with within(10):
        assert attempts.run(code, memory=200 * MB).verdict is Verdict.out_of_memory


# --- processes --------------------------------------------------------------------------------------------------------


def test_a_fork_bomb(attempts: Attempts) -> None:
    # It stops at 1,024, so that a failure of this test does not take the machine along.
    with within(10):
        done = attempts.run("import os, time\nfor _ in range(10): os.fork()\ntime.sleep(60)", processes=60)
    assert done.verdict is Verdict.too_many_processes
    assert "the limit is 60 (limits.processes)" in done.reason


def test_threads_are_not_processes(attempts: Attempts) -> None:
    code = "import threading, time\nfor _ in range(40): threading.Thread(target=time.sleep, args=(0.5,)).start()"
    assert attempts.run(code, processes=10).verdict is Verdict.ok


# --- disk -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "code",
    [
        "f = open('out/x', 'wb')\nwhile True: f.write(b'x' * 1_000_000)",
        "n = 0\nwhile True:\n    n += 1; open(f'out/{n}', 'wb').write(b'x' * 1_000_000)",
        "for n in range(60): open(f'out/{n}', 'wb').write(b'x' * 1_000_000)",
        """
        import os, time
        f = [open(f'out/{n}', 'wb') for n in range(4)]
        for n in range(4):
            os.unlink(f'out/{n}'); f[n].write(b'x' * 15_000_000)
        time.sleep(60)
        """,
    ],
    ids=["one file", "many files", "many files, then a clean exit", "deleted files"],
)
def test_a_disk_filler(attempts: Attempts, code: str) -> None:
    with within(10):
        done = attempts.run(code, disk=40 * MB)
    assert done.verdict is Verdict.out_of_disk
    assert "the limit is 40M (limits.disk or --disk)" in done.reason
    assert sum(path.stat().st_size for path in attempts.out.iterdir()) < 2000 * MB


def test_a_maker_of_files(attempts: Attempts) -> None:
    code = "import os\nn = 0\nwhile True:\n    n += 1; os.mkdir(f'out/{n}')"
    with within(10):
        done = attempts.run(code, inodes=500)
    assert done.verdict is Verdict.out_of_disk
    assert "more than 500 files" in done.reason


def test_a_file_with_holes_fills_no_disk(attempts: Attempts) -> None:
    done = attempts.run(
        "f = open('out/x', 'wb')\nf.truncate(35 << 20)\nopen('out/y', 'wb').truncate(35 << 20)", disk=40 * MB
    )
    assert done.verdict is Verdict.ok


def test_a_disk_that_others_have_filled(attempts: Attempts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watchdog, "RESERVE", 2**62)
    with within(5):
        done = attempts.run("import time; time.sleep(60)")
    assert done.verdict is Verdict.out_of_disk
    assert f"the disk that holds {attempts.out} is full" in done.reason


def test_the_tmpfs_is_small_and_says_so(tmp_path: Path) -> None:
    attempts = make_attempts(tmp_path / "session", "bwrap")
    code = "import os\nos.posix_fallocate(os.open('/tmp/x', os.O_RDWR | os.O_CREAT), 0, 2 << 30)"
    done = attempts.run(code)
    assert done.verdict is Verdict.out_of_disk
    assert "No space left on device" in done.reason and "/tmp" in done.reason


# --- the harness ------------------------------------------------------------------------------------------------------


def test_the_process_is_journalled_before_its_first_instruction(attempts: Attempts) -> None:
    seen: list[tuple[bool, bool]] = []

    def on_start(identity: ProcessIdentity) -> None:
        time.sleep(0.2)
        seen.append((still_runs(identity), (attempts.out / "x").exists()))

    assert attempts.run("open('out/x', 'w')", on_start=on_start).verdict is Verdict.ok
    assert seen == [(True, False)]
    assert (attempts.out / "x").exists()


def test_nothing_runs_when_the_journal_cannot_be_written(attempts: Attempts) -> None:
    def on_start(identity: ProcessIdentity) -> None:
        attempts.started.append(identity)
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        attempts.run("open('out/x', 'w')", on_start=on_start)
    assert not (attempts.out / "x").exists() and not still_runs(attempts.started[0])


def test_an_error_while_showing_output_ends_the_attempt(attempts: Attempts) -> None:
    def broken(text: str) -> None:
        raise BrokenPipeError("the terminal is gone")

    with within(5), pytest.raises(BrokenPipeError):
        attempts.run(f"print('x', flush=True)\n{HEARTBEAT}", on_output=broken)
    assert not attempts.beats()


def test_a_blocked_terminal_does_not_stop_the_clock(attempts: Attempts) -> None:
    with within(4):
        done = attempts.run(f"print('x', flush=True)\n{HEARTBEAT}", on_output=lambda text: time.sleep(1.5), time=0.5)
    assert done.verdict is Verdict.timed_out
    assert len((attempts.out / "beat").read_bytes()) < 40  # it did not live longer for it


def test_an_interpreter_that_is_gone(attempts: Attempts, tmp_path: Path) -> None:
    spec = attempts.spec("pass", Limits())
    spec.argv[0] = str(tmp_path / "deleted" / "bin" / "python")  # pyright: ignore[reportIndexIssue]
    with pytest.raises(EnvironmentFailed, match="is gone or cannot be executed"):
        run_process(spec, attempts.pieces.append)


HARNESS = """
import sys
from pathlib import Path
from tests.experiment.attempts import HEARTBEAT, make_attempts
attempts = make_attempts(Path(sys.argv[1]), sys.argv[2])
try:
    code = f"import os\\nif os.fork() == 0: os.setsid()\\n{HEARTBEAT}"
    attempts.run(code)
except KeyboardInterrupt:
    print("interrupted", attempts.beats(), flush=True)
"""


def start_harness(folder: Path, tier: str) -> subprocess.Popen[str]:
    """Another process that runs an attempt; returns when the attempt's heart beats."""
    make_attempts(folder / "probe", tier)  # skips where there is no bubblewrap
    argv = [sys.executable, "-c", HARNESS, str(folder / "session"), tier]
    (folder / "tmp").mkdir()
    env = {**os.environ, "TMPDIR": str(folder / "tmp")}
    harness = subprocess.Popen(argv, cwd=REPOSITORY, env=env, stdout=subprocess.PIPE, text=True)
    assert eventually((folder / "session" / "out" / "beat").exists, 10)
    return harness


@pytest.mark.parametrize("tier", ["bwrap", "none"])
def test_ctrl_c_kills_the_tree_and_goes_on(tmp_path: Path, tier: str) -> None:
    harness = start_harness(tmp_path, tier)
    harness.send_signal(signal.SIGINT)
    assert harness.communicate(timeout=10)[0] == "interrupted False\n"


@pytest.mark.parametrize("tier", ["bwrap", "none"])
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP])
def test_the_tree_dies_with_the_harness(tmp_path: Path, tier: str, how: int) -> None:
    harness = start_harness(tmp_path, tier)
    harness.send_signal(how)
    harness.communicate(timeout=10)
    left = Attempts(tmp_path / "session", make_attempts(tmp_path / "other", tier).sandbox)
    assert eventually(lambda: not left.beats(), 3)
    assert eventually(lambda: not list((tmp_path / "tmp").iterdir()), 3)


def test_the_harness_s_own_cost_is_small(attempts: Attempts) -> None:
    attempts.run("pass")
    before, rounds = time.process_time(), 10
    for _ in range(rounds):
        attempts.run("pass")
    assert (time.process_time() - before) / rounds < 0.020


def test_watching_costs_little(attempts: Attempts) -> None:
    before = time.process_time()
    attempts.run("import time; time.sleep(3)")
    assert time.process_time() - before < 0.15


def test_no_descriptor_stays_open(attempts: Attempts) -> None:
    attempts.run("print(1)")
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        attempts.run("print(1)")
    assert len(os.listdir("/proc/self/fd")) == before


def test_core_files_are_not_written(attempts: Attempts) -> None:
    hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
    done = attempts.run("import resource; print(resource.getrlimit(resource.RLIMIT_CORE))")
    assert done.tail.strip() == "(0, 0)"
    assert resource.getrlimit(resource.RLIMIT_CORE)[1] == hard
