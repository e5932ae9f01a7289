"""The slots of this machine: locks that every ai-sci on it respects; the kernel frees them when nobody holds them."""

from __future__ import annotations

import contextlib
import fcntl
import glob
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from experiment.errors import ConfigError
from experiment.place import Place

_FOLDER = "/tmp/ai-sci-slots"  # not the cache: slots are the machine's, whoever asks and whatever cache they have
_POLL = 0.1  # seconds


@dataclass(frozen=True)
class Slot:
    """One place for one attempt. `locks` are names of files; it is free when all of them are."""

    name: str
    locks: tuple[str, ...]
    cpus: tuple[int, ...] = ()
    gpu: str | None = None


def gpu_slots(gpus: Sequence[str]) -> list[Slot]:
    """A slot for each GPU, by its number in nvidia-smi or its UUID."""
    return [Slot(f"gpu {gpu}", (f"gpu-{gpu.replace('/', '_')}",), gpu=gpu) for gpu in gpus]


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
    def place(self) -> Place:
        gpus = tuple(slot.gpu for slot in self.slots if slot.gpu is not None)
        cpus = tuple(sorted(cpu for slot in self.slots for cpu in slot.cpus))
        name = f"gpus {','.join(gpus)}" if len(gpus) > 1 else ", ".join(slot.name for slot in self.slots)
        on_gpus = any(slot.gpu is not None for slot in self.slots)
        return Place(name, cpus, gpus if on_gpus else None, self.descriptors)


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


@contextmanager
def hold_gpus(number: int) -> Iterator[Place]:
    """A place with so many GPUs of this machine to itself; the empty one where there are none."""
    gpus = machine_gpus() if number else []
    if not gpus:
        yield Place()
        return
    if number > len(gpus):
        raise ConfigError(f"an attempt needs {number} GPUs ([limits] gpus in template.toml); here are {len(gpus)}.")
    slots = gpu_slots(gpus)
    while (held := take(slots, number)) is None:
        time.sleep(_POLL)
    try:
        yield held.place
    finally:
        held.close()


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
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        with contextlib.suppress(FileExistsError):
            os.close(os.open(path, os.O_RDONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644))
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)


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
