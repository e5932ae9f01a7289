"""GPU and CPU slots of this machine, as file locks that the kernel frees when their holder dies."""

from __future__ import annotations

import contextlib
import fcntl
import glob
import os
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ai_sci.experiment.base import Allocation, ConfigError
from ai_sci.experiment.slots.queue import PlaceInLine

_FOLDER = "/tmp/ai-sci-slots"  # not in the cache: slots belong to the machine, not to one user's cache
_POLL = 0.1  # seconds
_DRIVER = Path("/proc/driver/nvidia/gpus")


@dataclass(frozen=True)
class Slot:
    """Room for one attempt. `locks` are file names; the slot is free when all of them are."""

    name: str
    locks: tuple[str, ...]
    cpus: tuple[int, ...] = ()
    gpu: str | None = None


def gpu_slots(gpus: Sequence[str]) -> list[Slot]:
    """One slot per GPU, given by nvidia-smi number or UUID. Raises ConfigError for duplicates."""
    slots: dict[str, Slot] = {}
    for name in gpus:
        gpu = str(int(name)) if name.isdecimal() else name
        lock = f"gpu-{_gpu_number(gpu).replace('/', '_')}"
        if lock in slots:
            raise ConfigError(f"{slots[lock].gpu} and {name} are the same GPU: name each GPU once, such as 0,1")
        slots[lock] = Slot(f"gpu {gpu}", (lock,), gpu=gpu)
    return list(slots.values())


def _gpu_number(gpu: str) -> str:
    """The device number for a UUID or UUID prefix that the driver knows; anything else unchanged."""
    if not gpu.startswith("GPU-"):
        return gpu
    found: list[str] = []
    for path in _DRIVER.glob("*/information"):
        about = {
            key.strip(): value.strip()
            for key, _, value in (line.partition(":") for line in path.read_text().splitlines())
        }
        if about.get("GPU UUID", "").lower().startswith(gpu.lower()) and "Device Minor" in about:
            found.append(about["Device Minor"])
    return found[0] if len(found) == 1 else gpu


def cpu_slots(number: int) -> list[Slot]:
    """Splits this process's CPUs into `number` equal slots; with more slots than CPUs, slots share CPUs."""
    cpus = sorted(os.sched_getaffinity(0))
    if number > len(cpus):
        seats = [(cpus[index % len(cpus)], index // len(cpus)) for index in range(number)]
        return [Slot(f"cpu {cpu} share {seat + 1}", (f"cpu-{cpu}.{seat}",), (cpu,)) for cpu, seat in seats]
    bounds = [index * len(cpus) // number for index in range(number + 1)]
    shares = [tuple(cpus[start:end]) for start, end in zip(bounds, bounds[1:])]
    return [Slot(_cpu_name(share), tuple(f"cpu-{cpu}.0" for cpu in share), share) for share in shares]


def _cpu_name(cpus: tuple[int, ...]) -> str:
    if len(cpus) == 1:
        return f"cpu {cpus[0]}"
    whole = cpus[-1] - cpus[0] == len(cpus) - 1
    return f"cpus {cpus[0]}-{cpus[-1]}" if whole else f"cpus {','.join(map(str, cpus))}"


def machine_gpus() -> list[str]:
    """The GPUs in CUDA_VISIBLE_DEVICES, else the numbers of the NVIDIA device files; empty without GPUs."""
    devices = sorted(int(path.removeprefix("/dev/nvidia")) for path in glob.glob("/dev/nvidia[0-9]*"))
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is None or not devices:
        return [str(device) for device in devices]
    return [name.strip() for name in named.split(",") if name.strip() and name.strip() != "-1"]


class Held:
    """Slots we hold. `descriptors` are their locks: any process with a copy keeps the slots taken."""

    def __init__(self, slots: Sequence[Slot], descriptors: Sequence[int]) -> None:
        self.slots = tuple(slots)
        self.descriptors = tuple(descriptors)

    def close(self) -> None:
        """Closes our copies of the locks."""
        for descriptor in self.descriptors:
            os.close(descriptor)
        self.descriptors = ()

    @property
    def allocation(self) -> Allocation:
        """The CPUs and GPUs of these slots, and the locks the experiment inherits."""
        gpus = tuple(slot.gpu for slot in self.slots if slot.gpu is not None)
        cpus = tuple(sorted(cpu for slot in self.slots for cpu in slot.cpus))
        name = f"gpus {','.join(gpus)}" if len(gpus) > 1 else ", ".join(slot.name for slot in self.slots)
        on_gpus = any(slot.gpu is not None for slot in self.slots)
        return Allocation(name, cpus, gpus if on_gpus else None, self.descriptors)


def take(slots: Sequence[Slot], number: int) -> Held | None:
    """Takes the first `number` free slots; returns None, holding nothing, if there are too few.

    Raises ConfigError when the folder of locks cannot be used.
    """
    held: list[Slot] = []
    descriptors: list[int] = []
    for slot in slots:
        if len(held) == number:
            break
        got = _lock_all(slot)
        if got is not None:
            held.append(slot)
            descriptors += got
    if len(held) == number:
        return Held(held, descriptors)
    Held(held, descriptors).close()
    return None


class Turns:
    """Takes slots first come, first served among all ai-sci processes on this machine.

    Without a queue, the process that just freed a slot would grab it again and starve the others.
    """

    def __init__(self, slots: Sequence[Slot]) -> None:
        """Raises ConfigError when the folder of locks cannot be used."""
        self._slots = slots
        self._line = PlaceInLine(_folder(), [lock for slot in slots for lock in slot.locks])

    def take(self, number: int) -> Held | None:
        """Like the function `take`. None puts us in the queue: call again at least once a second, or `leave`."""
        wanted = self._line.ahead()
        held = take([slot for slot in self._slots if wanted.isdisjoint(slot.locks)], number)
        if held is None:
            self._line.keep()
        else:
            self._line.leave()
        return held

    def leave(self) -> None:
        """Leaves the queue."""
        self._line.leave()


@contextmanager
def hold_gpus(number: int, tell: Callable[[str], None] = lambda text: None) -> Generator[Allocation, None, None]:
    """Holds `number` GPUs of this machine exclusively; on a machine without GPUs, yields an empty allocation.

    Calls `tell` once if it has to wait. Raises ConfigError when the machine has too few GPUs.
    """
    gpus = machine_gpus() if number else []
    if not gpus:
        yield Allocation()
        return
    if number > len(gpus):
        raise ConfigError(
            f"an attempt needs {number} GPUs ([limits] gpus in template.toml); this machine has {len(gpus)}."
        )
    held = _wait_for(gpu_slots(gpus), number, tell)
    try:
        yield held.allocation
    finally:
        held.close()


def _wait_for(slots: list[Slot], number: int, tell: Callable[[str], None]) -> Held:
    turns, told = Turns(slots), False
    try:
        while (held := turns.take(number)) is None:
            if not told:
                tell(_why_wait(slots, number))
                told = True
            time.sleep(_POLL)
        return held
    finally:
        turns.leave()


def _why_wait(slots: list[Slot], number: int) -> str:
    what = "a GPU" if number == 1 else f"{number} GPUs"
    busy = [slot.gpu for slot in slots if slot.gpu is not None and not _is_free(slot)]
    if not busy:
        return f"waiting for {what}: others have waited longer\n"
    return f"waiting for {what}: {','.join(busy)} {'is' if len(busy) == 1 else 'are'} in use by other experiments\n"


def _is_free(slot: Slot) -> bool:
    descriptors = _lock_all(slot)
    Held((), descriptors or ()).close()
    return descriptors is not None


def _lock_all(slot: Slot) -> list[int] | None:
    descriptors: list[int] = []
    for name in slot.locks:
        # Read-only is enough for flock, and the experiment that inherits the descriptor cannot write.
        descriptor = _open(_folder() / name)
        descriptors.append(descriptor)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            Held((), descriptors).close()
            return None
    return descriptors


def _open(path: Path) -> int:
    """Raises ConfigError when the lock file exists but cannot be opened."""
    reading = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        with contextlib.suppress(FileExistsError):
            descriptor = os.open(path, reading | os.O_CREAT | os.O_EXCL, 0o644)
            os.fchmod(descriptor, 0o644)  # other users need it too, whatever our umask
            return descriptor
        return os.open(path, reading)
    except PermissionError as error:
        advice = "Let its owner make it readable for all (chmod 644), or remove it while no experiment runs."
        raise ConfigError(f"cannot open {path}, the lock of a slot: {error.strerror}. {advice}") from error


def _folder() -> Path:
    """The folder of locks: `$AI_SCI_SLOTS`, else one folder for all users. Lock files are never removed."""
    folder = Path(os.environ.get("AI_SCI_SLOTS") or _FOLDER)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if folder.stat().st_uid == os.getuid():
            folder.chmod(0o1777)
    except OSError as error:
        raise ConfigError(f"cannot use {folder} for the locks of GPUs and CPUs: {error.strerror}. Set AI_SCI_SLOTS.")
    return folder
