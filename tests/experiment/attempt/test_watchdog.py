"""What the watchdog measures: processes, memory, disk; and that it knows one process from another."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from ai_sci.experiment.attempt.watchdog import Breach, Watchdog, disk_breach, measure_disk
from ai_sci.experiment.base import process_tree
from ai_sci.experiment.base.limits import Limits
from ai_sci.experiment.base.process_tree import (
    end_leftover,
    identify,
    kill_tree,
    proportional,
    resident,
    still_runs,
    tree,
)
from ai_sci.experiment.base.verdict import Verdict
from tests.experiment.attempt.attempts import eventually
from tests.experiment.template.folders import gone

MB = 1024**2
FAMILY = """
import os, sys, time
block = b'1' * (40 << 20)
for _ in range(3):
    if os.fork() == 0:
        if os.fork(): time.sleep(60)
        os.setsid(); time.sleep(60)
print('ready', flush=True); time.sleep(60)
"""


@pytest.fixture
def family() -> Iterator[subprocess.Popen[str]]:
    """A process with three children and three grandchildren, which all share 40 MB."""
    process = subprocess.Popen([sys.executable, "-c", FAMILY], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    assert eventually(lambda: len(tree(process.pid)) == 7)
    yield process
    kill_tree(process.pid)
    process.communicate()


def test_the_tree_holds_everybody_once(family: subprocess.Popen[str]) -> None:
    pids = tree(family.pid)
    assert pids[0] == family.pid and len(set(pids)) == 7
    assert len(tree(family.pid, most=3)) < 7
    assert tree(2**22 + 1) == [2**22 + 1]


def test_a_kernel_that_does_not_list_children(family: subprocess.Popen[str], monkeypatch: pytest.MonkeyPatch) -> None:
    expected = sorted(tree(family.pid))
    monkeypatch.setattr(process_tree, "_KERNEL_LISTS_CHILDREN", False)
    assert sorted(tree(family.pid)) == expected
    assert tree(2**22 + 1) == [2**22 + 1]


def test_shared_pages_count_once(family: subprocess.Popen[str]) -> None:
    pids = tree(family.pid)
    everything, _ = proportional(pids)
    assert 40 * MB < everything < 120 * MB < 7 * 40 * MB < resident(pids)


def test_kill_tree_leaves_nobody(family: subprocess.Popen[str]) -> None:
    pids = tree(family.pid)
    kill_tree(family.pid)
    family.wait()
    assert all(gone(pid) for pid in pids)


def test_a_root_that_ends_at_once_leaves_nobody_either() -> None:
    start = "[subprocess.Popen(['sleep', '60']) for _ in range(5)]"
    code = f"import subprocess, time\nkids = {start}\nprint(1, flush=True); time.sleep(60)"
    for _ in range(5):
        with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None and process.stdout.readline()
            pids = tree(process.pid)
            kill_tree(process.pid)
        assert len(pids) == 6 and all(gone(pid) for pid in pids)


def test_a_process_is_known_by_more_than_its_pid(family: subprocess.Popen[str]) -> None:
    known = identify(family.pid)
    assert still_runs(known)
    for other in (replace(known, started=known.started + 1), replace(known, boot_id="another boot")):
        assert not still_runs(other) and not end_leftover(other)
    assert len(tree(family.pid)) == 7
    assert end_leftover(known)
    assert eventually(lambda: not still_runs(known))  # dead, though nobody has collected it yet
    assert not end_leftover(known)
    with pytest.raises(ProcessLookupError):
        identify(2**22 + 1)


def test_disk_counts_blocks_and_hard_links_once(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "file").write_bytes(b"x" * MB)
    os.link(tmp_path / "a" / "file", tmp_path / "again")
    (tmp_path / "link").symlink_to("/usr")
    with open(tmp_path / "holes", "wb") as file:
        file.truncate(100 * MB)
    size, inodes = measure_disk([tmp_path])
    assert MB <= size < 1.2 * MB
    assert inodes == 5
    assert measure_disk([tmp_path], most_inodes=2)[1] == 3
    assert measure_disk([tmp_path / "missing"]) == (0, 0)


def test_disk_limits(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x" * MB)
    assert disk_breach([tmp_path], Limits()) is None
    breach = disk_breach([tmp_path], Limits(disk=MB // 2))
    assert breach == Breach(
        Verdict.out_of_disk, "ended after writing over 512K, the limit is 512K (limits.disk or --disk)"
    )
    assert disk_breach([tmp_path, tmp_path / "missing"], Limits(inodes=1)) is None


def test_nothing_is_killed_after_stop() -> None:
    breaches: list[Breach] = []
    for _ in range(30):
        dog = Watchdog(os.getpid(), Limits(time=0.003), [], [], breaches.append, "it")
        dog.start()
        time.sleep(0.003)
        dog.stop()
        seen = len(breaches)
        time.sleep(0.003)
        assert len(breaches) == seen and (dog.breach is None or dog.breach in breaches)


def test_one_breach_and_then_it_ends() -> None:
    breaches: list[Breach] = []
    dog = Watchdog(os.getpid(), Limits(time=0.1), [], [], breaches.append, "it")
    dog.start()
    dog.join(5)
    assert [breach.verdict for breach in breaches] == [Verdict.timed_out]
    assert not dog.is_alive()


def test_time_does_not_depend_on_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time", lambda: 0.0)
    breaches: list[Breach] = []
    dog = Watchdog(os.getpid(), Limits(time=0.2), [], [], breaches.append, "it")
    dog.start()
    dog.join(5)
    assert breaches[0].reason == "killed after 0.2 s, the time limit (it)"
