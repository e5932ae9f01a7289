"""The slots of this machine: locks that every ai-sci on it respects; the kernel frees them when nobody holds them."""

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

_FOLDER = "/tmp/ai-sci-slots"  # not the cache: slots are the machine's, whoever asks and whatever cache they have
_POLL = 0.1  # seconds
_DRIVER = Path("/proc/driver/nvidia/gpus")


@dataclass(frozen=True)
class Slot:
    """One place for one attempt. `locks` are names of files; it is free when all of them are."""

    name: str
    locks: tuple[str, ...]
    cpus: tuple[int, ...] = ()
    gpu: str | None = None


def gpu_slots(gpus: Sequence[str]) -> list[Slot]:
    """A slot for each GPU, by its number in nvidia-smi or its UUID. Raises ConfigError when one is named twice."""
    slots: dict[str, Slot] = {}
    for name in gpus:
        gpu = str(int(name)) if name.isdecimal() else name
        lock = f"gpu-{_gpu_number(gpu).replace('/', '_')}"
        if lock in slots:
            raise ConfigError(f"{slots[lock].gpu} and {name} are the same GPU: name each GPU once, such as 0,1")
        slots[lock] = Slot(f"gpu {gpu}", (lock,), gpu=gpu)
    return list(slots.values())


def _gpu_number(gpu: str) -> str:
    """The device's number where the driver tells which one has this UUID (or beginning of one); else as it is."""
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
    """So many equal shares of the CPUs that this process may use; with more shares than CPUs they sit side by side."""
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
    """What CUDA_VISIBLE_DEVICES names, else the numbers of NVIDIA's device files; empty on a machine without."""
    devices = sorted(int(path.removeprefix("/dev/nvidia")) for path in glob.glob("/dev/nvidia[0-9]*"))
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is None or not devices:
        return [str(device) for device in devices]
    return [name.strip() for name in named.split(",") if name.strip() and name.strip() != "-1"]


class Held:
    """Slots that are ours. `descriptors` are their locks: whoever has a copy keeps them held."""

    def __init__(self, slots: Sequence[Slot], descriptors: Sequence[int]) -> None:
        self.slots = tuple(slots)
        self.descriptors = tuple(descriptors)

    def close(self) -> None:
        """Gives up our copies of the locks."""
        for descriptor in self.descriptors:
            os.close(descriptor)
        self.descriptors = ()

    @property
    def allocation(self) -> Allocation:
        gpus = tuple(slot.gpu for slot in self.slots if slot.gpu is not None)
        cpus = tuple(sorted(cpu for slot in self.slots for cpu in slot.cpus))
        name = f"gpus {','.join(gpus)}" if len(gpus) > 1 else ", ".join(slot.name for slot in self.slots)
        on_gpus = any(slot.gpu is not None for slot in self.slots)
        return Allocation(name, cpus, gpus if on_gpus else None, self.descriptors)


def take(slots: Sequence[Slot], number: int) -> Held | None:
    """Holds the first `number` of these slots that are free, or none of them and returns None.

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
    """Takes some of these slots, each time in turn with every other ai-sci of this machine that waits for one of them.

    Without turns, who has just given a slot back is the first to ask for it again, and others wait for the whole night.
    """

    def __init__(self, slots: Sequence[Slot]) -> None:
        """Raises ConfigError when the folder of locks cannot be used."""
        self._slots = slots
        self._line = PlaceInLine(_folder(), [lock for slot in slots for lock in slot.locks])

    def take(self, number: int) -> Held | None:
        """As `take`; after None we are in line, and must ask again at least once a second, or `leave`."""
        wanted = self._line.ahead()
        held = take([slot for slot in self._slots if wanted.isdisjoint(slot.locks)], number)
        if held is None:
            self._line.keep()
        else:
            self._line.leave()
        return held

    def leave(self) -> None:
        """We want none at the moment."""
        self._line.leave()


@contextmanager
def hold_gpus(number: int, tell: Callable[[str], None] = lambda text: None) -> Generator[Allocation, None, None]:
    """A place with so many GPUs of this machine to itself; the empty one where there are none.

    `tell` hears, once, that it has to wait. Raises ConfigError when there are fewer.
    """
    gpus = machine_gpus() if number else []
    if not gpus:
        yield Allocation()
        return
    if number > len(gpus):
        raise ConfigError(f"an attempt needs {number} GPUs ([limits] gpus in template.toml); here are {len(gpus)}.")
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
        return f"waiting for {what}: others have waited for longer\n"
    return f"waiting for {what}: {','.join(busy)} {'is' if len(busy) == 1 else 'are'} in use by other experiments\n"


def _is_free(slot: Slot) -> bool:
    descriptors = _lock_all(slot)
    Held((), descriptors or ()).close()
    return descriptors is not None


def _lock_all(slot: Slot) -> list[int] | None:
    descriptors: list[int] = []
    for name in slot.locks:
        # Read only, so that an experiment that inherits it cannot write; flock does not mind.
        descriptor = _open(_folder() / name)
        descriptors.append(descriptor)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            Held((), descriptors).close()
            return None
    return descriptors


def _open(path: Path) -> int:
    """Raises ConfigError when the lock is there and cannot be opened."""
    reading = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        with contextlib.suppress(FileExistsError):
            descriptor = os.open(path, reading | os.O_CREAT | os.O_EXCL, 0o644)
            os.fchmod(descriptor, 0o644)  # other users take it too, whatever the umask
            return descriptor
        return os.open(path, reading)
    except PermissionError as error:
        advice = "Let its owner make it readable for all (chmod 644), or remove it while no experiment runs."
        raise ConfigError(f"cannot open {path}, the lock of a slot: {error.strerror}. {advice}") from error


def _folder() -> Path:
    """Where the locks are: `$AI_SCI_SLOTS`, else the same folder for all users. They are never removed."""
    folder = Path(os.environ.get("AI_SCI_SLOTS") or _FOLDER)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if folder.stat().st_uid == os.getuid():
            folder.chmod(0o1777)
    except OSError as error:
        raise ConfigError(f"cannot use {folder} for the locks of GPUs and CPUs: {error.strerror}. Set AI_SCI_SLOTS.")
    return folder
