"""Slots: locks of this machine that two processes never hold together."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import pytest

from ai_sci.agent.batch.messages import GivenSlot, Hangup, SlotIsFree, new_channel, receive, send
from ai_sci.agent.budgets.broker import OwnResources
from ai_sci.experiment.attempt import AttemptLaunch, LocalEngine
from ai_sci.experiment.attempt.clean_env import experiment_env
from ai_sci.experiment.attempt.process import ProcessSpec, run_process
from ai_sci.experiment.base.allocation import Allocation
from ai_sci.experiment.base.errors import ConfigError
from ai_sci.experiment.base.limits import Limits
from ai_sci.experiment.base.verdict import Verdict
from ai_sci.experiment.slots import slots
from ai_sci.experiment.slots.slots import Turns, cpu_slots, gpu_slots, hold_gpus, machine_gpus, take
from tests.experiment.attempt.attempts import PYTHON, ROOTS, sandbox_of
from tests.experiment.attempt.test_runner import GOOD, make_session


@pytest.fixture(autouse=True)
def own_slots(tmp_path, monkeypatch):
    monkeypatch.setenv("AI_SCI_SLOTS", str(tmp_path / "slots"))


def holder(code: str) -> subprocess.Popen[str]:
    """Another process that holds GPU 0 and then does this."""
    script = f"held = take(gpu_slots(['0']), 1); print(held.allocation.name, flush=True); {code}"
    script = f"from ai_sci.experiment.slots.slots import *; {script}"
    command = [sys.executable, "-c", script]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stdout.readline() == "gpu 0\n"
    return process


def test_a_slot_is_one_process_s_until_it_dies_however():
    process = holder("import time; time.sleep(60)")
    assert take(gpu_slots(["0"]), 1) is None
    other = take(gpu_slots(["0", "1"]), 1)
    assert other is not None and other.allocation == Allocation("gpu 1", (), ("1",), other.descriptors)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert take(gpu_slots(["0"]), 1) is not None


def test_all_or_none():
    process = holder("input()")
    assert take(gpu_slots(["0", "1"]), 2) is None
    two = take(gpu_slots(["1", "2", "3"]), 2)  # GPU 1 was not kept by the try before
    assert two is not None and two.allocation.gpus == ("1", "2") and two.allocation.name == "gpus 1,2"
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
        allocation=held.allocation,
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
    with hold_gpus(1) as allocation:
        assert allocation.gpus == ("1",)
    with hold_gpus(0) as allocation:
        assert allocation == Allocation()
    with pytest.raises(ConfigError, match="needs 3 GPUs"), hold_gpus(3):
        pass
    process.kill()
    process.wait()
    with hold_gpus(2) as allocation:
        assert allocation.gpus == ("0", "1")
    monkeypatch.setattr(slots, "machine_gpus", lambda: [])
    with hold_gpus(1) as allocation:
        assert allocation == Allocation()


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


# --- turns ------------------------------------------------------------------------------------------------------------

GREEDY = """
import sys, time
from ai_sci.experiment.slots.slots import Turns, gpu_slots
name, gpus, number, pause, seconds = sys.argv[1], sys.argv[2].split(","), int(sys.argv[3]), float(sys.argv[4]), 0.1
turns = Turns(gpu_slots(gpus))
while True:
    while (held := turns.take(number)) is None:
        time.sleep(pause)
    began = time.monotonic()
    time.sleep(seconds)
    print(name, held.allocation.gpus, began, time.monotonic(), flush=True)
    held.close()
"""


class Contest:
    """Processes that take GPUs again and again, the moment that they have given them back; they say so in one file."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "taken"
        self.processes: list[subprocess.Popen[bytes]] = []

    def enters(self, name: str, gpus: str, number: int = 1, pause: float = 0.05) -> subprocess.Popen[bytes]:
        with self.file.open("a") as out:
            argv = [sys.executable, "-c", GREEDY, name, gpus, str(number), str(pause)]
            self.processes.append(subprocess.Popen(argv, stdout=out))
        return self.processes[-1]

    def names(self) -> list[str]:
        """Who held something, in this order."""
        return [line.split()[0] for line in self.file.read_text().splitlines()]

    def until(self, *names: str, times: int) -> list[str]:
        """Who was it until each of these has had so many turns since all were there."""
        deadline = time.monotonic() + 60
        while True:
            found = self.names()
            since = max(found.index(name) if name in found else len(found) for name in names)
            if all(found[since:].count(name) >= times for name in names):
                return found[since:]
            assert time.monotonic() < deadline, found
            time.sleep(0.05)


@pytest.fixture
def contest(tmp_path):
    one = Contest(tmp_path)
    yield one
    for process in one.processes:
        process.kill()
        process.wait()


def longest_wait(names: list[str], name: str) -> int:
    """How many turns of others went before one of this."""
    return max(len(others) for others in " ".join(names).replace(name, "|").replace(" ", "").split("|"))


def test_who_waits_gets_the_slot_before_who_gives_it_back(contest):
    contest.enters("a", "0", pause=0.05)
    contest.enters("b", "0", pause=0.1)
    names = contest.until("a", "b", times=4)
    assert longest_wait(names, "a") <= 2 and longest_wait(names, "b") <= 2, names


def test_who_needs_two_gets_them_from_those_who_need_one(contest):
    contest.enters("a", "0")
    contest.enters("b", "1")
    contest.enters("c", "0,1", number=2, pause=0.1)
    contest.enters("d", "1,0", number=2, pause=0.1)
    names = contest.until("a", "b", "c", "d", times=3)
    assert max(longest_wait(names, name) for name in "abcd") <= 6, names


def test_a_killed_or_stopped_waiter_is_waited_for_by_nobody(contest):
    held = take(gpu_slots(["0"]), 1)
    assert held is not None
    turns = Turns(gpu_slots(["0"]))
    waiters = [contest.enters("killed", "0"), contest.enters("stopped", "0")]
    while len(list(Path(os.environ["AI_SCI_SLOTS"]).glob("wait-*"))) < 2:
        time.sleep(0.02)
    waiters[0].kill()
    waiters[1].send_signal(signal.SIGSTOP)
    held.close()
    assert turns.take(1) is None  # they came first, as far as anybody knows
    deadline = time.monotonic() + 20
    while (held := turns.take(1)) is None:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    waiters[1].send_signal(signal.SIGCONT)
    held.close()
    contest.until("stopped", times=1)


def test_a_single_run_says_once_that_it_waits(monkeypatch):
    monkeypatch.setattr(slots, "machine_gpus", lambda: ["0", "1"])
    process = holder("input()")
    said: list[str] = []

    def hear(text: str) -> None:
        said.append(text)
        process.kill()

    with hold_gpus(2, hear) as allocation:
        assert allocation.gpus == ("0", "1")
    process.wait()
    assert said == ["waiting for 2 GPUs: 0 is in use by other experiments\n"]
    assert not list(Path(os.environ["AI_SCI_SLOTS"]).glob("wait-*"))


def test_the_wait_of_a_session_is_shown_and_counted(tmp_path, monkeypatch):
    monkeypatch.setattr(slots, "machine_gpus", lambda: ["0"])
    process = holder("input()")
    said: list[str] = []
    began: list[AttemptLaunch] = []

    def hear(text: str) -> None:
        said.append(text)
        time.sleep(0.3)
        process.kill()

    plan = make_session(tmp_path, GOOD)
    outcome = LocalEngine(OwnResources()).run(replace(plan, limits=Limits(time=20, gpus=1)), began.append, hear)
    process.wait()
    assert outcome.verdict is Verdict.ok and said[0] == "waiting for a GPU: 0 is in use by other experiments\n"
    assert began[0].place == "gpu 0" and began[0].waited >= 0.3


def test_ctrl_c_ends_the_wait_and_leaves_the_line(monkeypatch):
    monkeypatch.setattr(slots, "machine_gpus", lambda: ["0"])
    process = holder("input()")

    def interrupted(text: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), hold_gpus(1, interrupted):
        pass
    process.kill()
    process.wait()
    held = Turns(gpu_slots(["0"])).take(1)
    assert held is not None


# --- which GPU is which -----------------------------------------------------------------------------------------------


@pytest.fixture
def driver(tmp_path, monkeypatch):
    """Two GPUs, as NVIDIA's driver tells of them."""
    monkeypatch.setattr(slots, "_DRIVER", tmp_path / "gpus")
    for minor, bus, uuid in [(1, "0000:3b:00.0", "GPU-9f1c-aa"), (0, "0000:af:00.0", "GPU-9f2d-bb")]:
        about = f"Model: \t\t NVIDIA A100\nGPU UUID: \t {uuid}\nBus Location: \t {bus}\nDevice Minor: \t {minor}\n"
        (tmp_path / "gpus" / bus).mkdir(parents=True)
        (tmp_path / "gpus" / bus / "information").write_text(about)


def test_a_uuid_and_its_number_are_one_lock(driver):
    one, other = gpu_slots(["GPU-9f1c-aa", "00"])
    assert one.locks == gpu_slots(["1"])[0].locks and one.gpu == "GPU-9f1c-aa"
    assert other.locks == gpu_slots(["0"])[0].locks and other.gpu == "0"
    assert gpu_slots(["GPU-9F2D"])[0].locks == other.locks  # CUDA takes the beginning of a UUID too
    assert gpu_slots(["GPU-9f"])[0].locks == ("gpu-GPU-9f",)  # of two: CUDA will refuse it


@pytest.mark.parametrize("gpus", [["0", "00"], ["1", "GPU-9f1c-aa"], ["GPU-9f1c-aa", "GPU-9f1c"]])
def test_a_gpu_that_is_named_twice_is_refused(driver, gpus):
    with pytest.raises(ConfigError, match="name each GPU once"):
        gpu_slots(gpus)


def test_cuda_counts_gpus_as_our_locks_do(monkeypatch):
    monkeypatch.delenv("CUDA_DEVICE_ORDER", raising=False)
    assert experiment_env(PYTHON, None, False, Allocation(gpus=("1",)))["CUDA_DEVICE_ORDER"] == "PCI_BUS_ID"
    assert "CUDA_DEVICE_ORDER" not in experiment_env(PYTHON, None, False, Allocation())
    monkeypatch.setenv("CUDA_DEVICE_ORDER", "FASTEST_FIRST")
    assert experiment_env(PYTHON, None, False, Allocation(gpus=("1",)))["CUDA_DEVICE_ORDER"] == "FASTEST_FIRST"


# --- other users ------------------------------------------------------------------------------------------------------


def test_other_users_can_take_our_locks_whatever_our_umask():
    before = os.umask(0o077)
    try:
        turns = Turns(gpu_slots(["0"]))
        assert turns.take(1) is not None and turns.take(1) is None
    finally:
        os.umask(before)
    folder = Path(os.environ["AI_SCI_SLOTS"])
    assert {oct(path.stat().st_mode & 0o777) for path in folder.iterdir()} == {"0o644"}
    assert folder.stat().st_mode & 0o7777 == 0o1777


def test_a_lock_that_cannot_be_opened_is_named(monkeypatch):
    folder = Path(tempfile.mkdtemp())
    monkeypatch.setenv("AI_SCI_SLOTS", str(folder))
    held = take(gpu_slots(["0"]), 1)
    assert held is not None
    held.close()
    (folder / "gpu-0").chmod(0)
    child = os.fork()
    if not child:  # root can open everything
        try:
            if os.getuid() == 0:
                os.setuid(65534)
            take(gpu_slots(["0"]), 1)
            os._exit(1)
        except ConfigError as error:
            os._exit(0 if "gpu-0" in str(error) and "chmod 644" in str(error) else 2)
        finally:
            os._exit(3)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    shutil.rmtree(folder)


# --- from the batch to a session --------------------------------------------------------------------------------------


def a_lock_passed_on(number: int) -> tuple[tuple[int, ...], tuple[int, ...], GivenSlot]:
    ours, theirs = new_channel()
    descriptors = tuple(os.open(os.devnull, os.O_RDONLY) for _ in range(number))
    with ours, theirs:
        send(ours, GivenSlot(Allocation("cpus 0-255")), descriptors)
        send(ours, SlotIsFree())
        answer, got = receive(theirs)
        assert receive(theirs) == (SlotIsFree(), ())
    assert isinstance(answer, GivenSlot)
    return descriptors, got, answer


@pytest.mark.parametrize("number", [0, 1, 250, 251, 400])
def test_a_slot_of_a_large_machine_arrives_with_all_its_locks(number):
    sent, got, answer = a_lock_passed_on(number)
    try:
        assert len(got) == number and not set(got) & set(sent) and answer.allocation.name == "cpus 0-255"
    finally:
        for descriptor in (*sent, *got):
            os.close(descriptor)


def test_only_a_peer_that_is_gone_is_a_hangup():
    ours, theirs = new_channel()
    with pytest.raises(OSError, match="Bad file descriptor") as caught:
        send(ours, SlotIsFree(), (10**6,))
    assert not isinstance(caught.value, Hangup)
    theirs.close()
    with pytest.raises(Hangup):
        send(ours, SlotIsFree())
    with pytest.raises(Hangup):
        receive(ours)
    ours.close()
