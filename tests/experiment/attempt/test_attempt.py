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

from ai_sci.experiment.attempt.process import ProcessIdentity, run_process
from ai_sci.experiment.base.errors import EnvironmentFailed
from ai_sci.experiment.base.limits import Limits
from ai_sci.experiment.base.process_tree import still_runs
from ai_sci.experiment.base.verdict import Verdict
from tests.experiment.attempt.attempts import HEARTBEAT, Attempts, eventually, make_attempts, no_hang

MB = 1024**2
REPOSITORY = Path(__file__).resolve().parents[3]


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
    with no_hang():
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
    with no_hang():
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

    with no_hang(), pytest.raises(BrokenPipeError):
        attempts.run(f"print('x', flush=True)\n{HEARTBEAT}", on_output=broken)
    assert not attempts.beats()


def test_a_blocked_terminal_does_not_stop_the_clock(attempts: Attempts) -> None:
    with no_hang():
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
from tests.experiment.attempt.attempts import HEARTBEAT, make_attempts
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
    assert eventually((folder / "session" / "out" / "beat").exists)
    return harness


@pytest.mark.parametrize("tier", ["bwrap", "none"])
def test_ctrl_c_kills_the_tree_and_goes_on(tmp_path: Path, tier: str) -> None:
    harness = start_harness(tmp_path, tier)
    harness.send_signal(signal.SIGINT)
    assert harness.communicate(timeout=60)[0] == "interrupted False\n"


@pytest.mark.parametrize("tier", ["bwrap", "none"])
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP])
def test_the_tree_dies_with_the_harness(tmp_path: Path, tier: str, how: int) -> None:
    harness = start_harness(tmp_path, tier)
    harness.send_signal(how)
    harness.communicate(timeout=60)
    left = Attempts(tmp_path / "session", make_attempts(tmp_path / "other", tier).sandbox)
    assert eventually(lambda: not left.beats())
    assert eventually(lambda: not list((tmp_path / "tmp").iterdir()))


def test_the_harness_s_own_cost_is_small(attempts: Attempts) -> None:
    attempts.run("pass")
    before, rounds = time.process_time(), 10
    for _ in range(rounds):
        attempts.run("pass")
    assert (time.process_time() - before) / rounds < 0.2


def test_watching_costs_little(attempts: Attempts) -> None:
    before = time.process_time()
    attempts.run("import time; time.sleep(3)")
    assert time.process_time() - before < 1.0, "it looks now and then; a busy loop would take three seconds"


def test_no_descriptor_stays_open(attempts: Attempts) -> None:
    attempts.run("print(1)")
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        attempts.run("print(1)")
    assert len(os.listdir("/proc/self/fd")) == before


def test_core_files_are_not_written_and_our_own_limits_stay(attempts: Attempts) -> None:
    hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
    done = attempts.run("import resource; print(resource.getrlimit(resource.RLIMIT_CORE))")
    assert done.tail.strip() == "(1, 1)"
    assert resource.getrlimit(resource.RLIMIT_CORE)[1] == hard
