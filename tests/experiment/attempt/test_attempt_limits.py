"""Limits of an attempt: floods of output, memory, processes and files end in a named verdict, at little cost."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from ai_sci.experiment.attempt import watchdog
from ai_sci.experiment.base.errors import DiskFull
from ai_sci.experiment.base.process_tree import still_runs
from ai_sci.experiment.base.verdict import Verdict
from tests.experiment.attempt.attempts import Attempts, make_attempts, no_hang

MB = 1024**2


@pytest.fixture(params=["bwrap", "none"])
def attempts(request: pytest.FixtureRequest, tmp_path: Path) -> Attempts:
    return make_attempts(tmp_path / "session", request.param)


# --- output -----------------------------------------------------------------------------------------------------------


def test_half_a_gigabyte_of_output_is_cheap(attempts: Attempts) -> None:
    code = """
        import os
        os.write(1, b'first\\n')
        for _ in range(500): os.write(1, b'x' * 1_000_000)
        os.write(1, b'\\nlast\\n')
    """
    before = time.process_time()
    with no_hang():
        done = attempts.run(code)
    assert time.process_time() - before < 15
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
    assert time.thread_time() - before < 1.0
    assert set("".join(attempts.pieces)) == {"x"}


def test_a_log_that_cannot_be_written_is_no_end_of_the_world(attempts: Attempts) -> None:
    with no_hang():
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
    with no_hang():
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
    assert 100 * MB < done.peak_memory < 300 * MB


def test_shared_memory_files_are_memory(tmp_path: Path) -> None:
    attempts = make_attempts(tmp_path / "session", "bwrap")
    code = """
        import time
        with open('/dev/shm/x', 'wb') as f:
            for _ in range(400): f.write(b'x' * 1_000_000)
        time.sleep(60)
    """
    with no_hang():
        assert attempts.run(code, memory=200 * MB).verdict is Verdict.out_of_memory


# --- processes --------------------------------------------------------------------------------------------------------


def test_a_fork_bomb(attempts: Attempts) -> None:
    # It stops at 1,024, so that a failure of this test does not take the machine along.
    with no_hang():
        done = attempts.run("import os, time\nfor _ in range(10): os.fork()\ntime.sleep(60)", processes=60)
    assert done.verdict is Verdict.too_many_processes
    assert "more than 60 processes at once, the limit (limits.processes)" in done.reason


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
    with no_hang():
        done = attempts.run(code, disk=40 * MB)
    assert done.verdict is Verdict.out_of_disk
    assert "the limit is 40M (limits.disk or --disk)" in done.reason
    assert sum(path.stat().st_size for path in attempts.out.iterdir()) < 2000 * MB


def test_a_maker_of_files(attempts: Attempts) -> None:
    code = "import os\nn = 0\nwhile True:\n    n += 1; os.mkdir(f'out/{n}')"
    with no_hang():
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
    with no_hang(), pytest.raises(DiskFull, match=f"the disk that holds {attempts.out} is full"):
        attempts.run("import time; time.sleep(60)")


def test_the_tmpfs_is_small_and_says_so(tmp_path: Path) -> None:
    attempts = make_attempts(tmp_path / "session", "bwrap")
    code = "import os\nos.posix_fallocate(os.open('/tmp/x', os.O_RDWR | os.O_CREAT), 0, 2 << 30)"
    done = attempts.run(code)
    assert done.verdict is Verdict.out_of_disk
    assert "No space left on device" in done.reason and "/tmp" in done.reason
