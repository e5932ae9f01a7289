"""Slots: locks of this machine that two processes never hold together."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from experiment import slots
from experiment.attempt import ProcessSpec, run_process
from experiment.errors import ConfigError
from experiment.limits import Limits
from experiment.place import Place
from experiment.slots import cpu_slots, gpu_slots, hold_gpus, machine_gpus, take
from tests.experiment.attempts import PYTHON, ROOTS, sandbox_of


@pytest.fixture(autouse=True)
def own_slots(tmp_path, monkeypatch):
    monkeypatch.setenv("AI_SCI_SLOTS", str(tmp_path / "slots"))


def holder(code: str) -> subprocess.Popen[str]:
    """Another process that holds GPU 0 and then does this."""
    script = (
        f"from experiment.slots import *; held = take(gpu_slots(['0']), 1); print(held.place.name, flush=True); {code}"
    )
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stdout.readline() == "gpu 0\n"
    return process


def test_a_slot_is_one_process_s_until_it_dies_however():
    process = holder("import time; time.sleep(60)")
    assert take(gpu_slots(["0"]), 1) is None
    other = take(gpu_slots(["0", "1"]), 1)
    assert other is not None and other.place == Place("gpu 1", (), ("1",), other.descriptors)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert take(gpu_slots(["0"]), 1) is not None


def test_all_or_none():
    process = holder("input()")
    assert take(gpu_slots(["0", "1"]), 2) is None
    two = take(gpu_slots(["1", "2", "3"]), 2)  # GPU 1 was not kept by the try before
    assert two is not None and two.place.gpus == ("1", "2") and two.place.name == "gpus 1,2"
    process.kill()
    process.wait()


def test_an_experiment_holds_its_slot_as_long_as_it_lives(tmp_path):
    held = take(gpu_slots(["0"]), 1)
    assert held is not None
    seen = []

    def began(process) -> None:
        held.close()  # the harness's own copy is gone, as if it had been killed
        seen.append(take(gpu_slots(["0"]), 1))

    spec = ProcessSpec(
        argv=[str(PYTHON), "-c", "import time; time.sleep(0.3)"],
        cwd=tmp_path,
        writable=[],
        readable=ROOTS,
        env={"PATH": os.defpath},
        limits=Limits(time=20),
        log=tmp_path / "log",
        sandbox=sandbox_of("bwrap"),
        place=held.place,
    )
    run_process(spec, lambda text: None, began)
    assert seen == [None]
    assert take(gpu_slots(["0"]), 1) is not None


def test_shares_of_the_cpus_are_disjoint_and_cover_all(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 1, 2, 5, 6, 7, 8})
    shares = cpu_slots(3)
    assert [slot.cpus for slot in shares] == [(0, 1), (2, 5), (6, 7, 8)]
    assert [slot.name for slot in shares] == ["cpus 0-1", "cpus 2,5", "cpus 6-8"]
    # Batches with other numbers of slots are in each other's way where they share a CPU.
    assert set(cpu_slots(1)[0].locks) == {lock for slot in shares for lock in slot.locks}
    many = cpu_slots(9)
    assert len({lock for slot in many for lock in slot.locks}) == 9 and many[7].cpus == (0,)


def test_a_single_run_takes_free_gpus_and_waits_for_them(monkeypatch):
    monkeypatch.setattr(slots, "machine_gpus", lambda: ["0", "1"])
    process = holder("input()")
    with hold_gpus(1) as place:
        assert place.gpus == ("1",)
    with hold_gpus(0) as place:
        assert place == Place()
    with pytest.raises(ConfigError, match="needs 3 GPUs"), hold_gpus(3):
        pass
    process.kill()
    process.wait()
    with hold_gpus(2) as place:
        assert place.gpus == ("0", "1")
    monkeypatch.setattr(slots, "machine_gpus", lambda: [])
    with hold_gpus(1) as place:
        assert place == Place()


def test_which_gpus_there_are(monkeypatch):
    monkeypatch.setattr(slots.glob, "glob", lambda pattern: ["/dev/nvidia10", "/dev/nvidia0", "/dev/nvidia2"])
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert machine_gpus() == ["0", "2", "10"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2, GPU-9f")
    assert machine_gpus() == ["2", "GPU-9f"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    assert machine_gpus() == []


def test_a_folder_of_locks_that_cannot_be_used_is_named(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("AI_SCI_SLOTS", str(tmp_path / "file" / "slots"))
    with pytest.raises(ConfigError, match="Set AI_SCI_SLOTS"):
        take(gpu_slots(["0"]), 1)
