"""`make test` passes under `nohup` and as the background job of a script, and outlives what these ignore."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
# The tests of a project of its own, with our conftest.py.
INNER = """
import signal, subprocess, sys, time
from pathlib import Path

def test_a_child_begins_with_the_default_dispositions():
    code = "import signal; print(*(signal.getsignal(n) for n in (signal.SIGHUP, signal.SIGTERM)), end=' '); "
    code += "print(signal.getsignal(signal.SIGINT) is signal.default_int_handler)"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert told.stdout.split() == ["0", "0", "True"], told

def test_waits():
    Path("waiting").touch()
    while not Path("signals sent").exists():
        time.sleep(0.02)
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "conftest.py").write_text(
        "from tests.conftest import pytest_configure, pytest_configure_node  # noqa\n"
    )
    (tmp_path / "test_inner.py").write_text(INNER)
    return tmp_path


@pytest.mark.parametrize("workers", [0, 1])
def test_ignored_signals_reach_no_child_and_end_no_test(project: Path, workers: int):
    shell = f"trap '' HUP INT; exec {sys.executable} -m pytest -q -n {workers} -p no:cacheprovider test_inner.py"
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    env.pop("PYTEST_XDIST_WORKER", None)
    process = subprocess.Popen(
        ["sh", "-c", shell], cwd=project, env=env, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    deadline = time.monotonic() + 120
    while not (project / "waiting").exists():
        assert process.poll() is None and time.monotonic() < deadline, process.communicate()[0]
        time.sleep(0.02)
    for number in (signal.SIGHUP, signal.SIGINT):
        os.killpg(process.pid, number)
    (project / "signals sent").touch()
    out, _ = process.communicate(timeout=120)
    assert process.returncode == 0 and "2 passed" in out, out
