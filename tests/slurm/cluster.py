"""A Slurm cluster of two nodes on this host: the real daemons, as root, with a configuration of their own in a folder.

`python -m tests.slurm.cluster FOLDER` starts one to play with, until Ctrl-C, and says what to export.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

NODES = ("n1", "n2")
PROGRAMS = ("slurmctld", "slurmd", "munged", "sbatch", "squeue", "scancel", "scontrol", "sinfo")
SBIN = "/usr/sbin:/sbin"

_CONF = """\
ClusterName=tiny
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmUser=root
AuthType=auth/munge
# Also how long a requeued job waits.
AuthInfo=socket={folder}/munge.socket,cred_expire=5
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool/%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.%n.log
ProctrackType=proctrack/pgid
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SlurmdParameters=config_overrides
ReturnToService=2
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerParameters=sched_interval=1,bf_interval=1,batch_sched_delay=0,sched_min_interval=0
GresTypes=gpu
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
SlurmctldParameters=preempt_send_user_signal
SlurmdTimeout=10
KillWait=2
MessageTimeout=5
TCPTimeout=2
NodeName=n1 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[1]} CPUs=4 RealMemory=4000 Gres=gpu:2
NodeName=n2 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[2]} CPUs=4 RealMemory=4000 Gres=gpu:2
PartitionName=main Nodes=n1,n2 Default=YES PriorityTier=1 PreemptMode=REQUEUE GraceTime={grace} MaxTime=60
PartitionName=high Nodes=n1,n2 PriorityTier=10 PreemptMode=OFF
"""
# Two devices that every host has stand in for GPUs: Slurm gives them out, and nobody opens them.
_GRES = "".join(f"NodeName={node} Name=gpu File={device}\n" for node in NODES for device in ("/dev/null", "/dev/zero"))


def missing() -> str:
    """What stands in the way of a cluster here, in words; "" when nothing does."""
    if os.getuid() != 0:
        return "the daemons of a whole cluster need root"
    gone = [name for name in PROGRAMS if which(name) is None]
    return f"{', '.join(gone)} not installed (scripts/install-slurm.sh does it on Debian)" if gone else ""


def which(program: str) -> str | None:
    return shutil.which(program, path=f"{os.environ.get('PATH', os.defpath)}:{SBIN}")


class Cluster:
    """munged, slurmctld and two slurmd, each a child of ours."""

    def __init__(self, folder: Path, grace: int = 0) -> None:
        self.folder = folder.resolve()
        self.folder.mkdir(parents=True, exist_ok=True)
        for name in ("state", *(f"spool/{node}" for node in NODES)):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        key = self.folder / "munge.key"
        key.write_bytes(secrets.token_bytes(128))
        key.chmod(0o400)
        host = socket.gethostname().split(".")[0]
        conf = _CONF.format(host=host, folder=self.folder, ports=_free_ports(3), grace=grace)
        (self.folder / "slurm.conf").write_text(conf)
        (self.folder / "gres.conf").write_text(_GRES)
        self.daemons: dict[str, subprocess.Popen[bytes]] = {}

    @property
    def environment(self) -> dict[str, str]:
        return {"SLURM_CONF": str(self.folder / "slurm.conf")}

    def start(self) -> None:
        at = self.folder
        self._start(
            "munged",
            *("munged", "--foreground", f"--key-file={at}/munge.key", f"--socket={at}/munge.socket"),
            *(f"--pid-file={at}/munged.pid", f"--log-file={at}/munged.log", f"--seed-file={at}/munged.seed"),
        )
        wait_for(lambda: (at / "munge.socket").exists(), 10, "munged does not start")
        self.start_controller()
        for node in NODES:
            self.start_node(node)
        wait_for(lambda: self.states() == {"idle"}, 60, f"the nodes do not come up, see {at}/*.log")

    def start_controller(self) -> None:
        self._start("slurmctld", "slurmctld", "-D")

    def start_node(self, node: str, hidden: Path | None = None) -> None:
        """`hidden`: a folder that is another, empty one on this node."""
        program = which("slurmd")
        assert program is not None
        mount = 'mount -t tmpfs none "$1" && shift && exec "$@"'
        wrapper = ("unshare", "--mount", "sh", "-c", mount, "sh", str(hidden)) if hidden else ()
        self._start(node, *wrapper, program, "-D", "-N", node)

    def kill(self, daemon: str) -> None:
        """SIGKILL; what a slurmd has started lives on."""
        process = self.daemons.pop(daemon)
        process.kill()
        process.wait()

    def stop(self) -> None:
        with suppress(subprocess.SubprocessError):
            self.run("scancel", "--state=PENDING", "--user=root", timeout=10)
            self.run("scancel", "--user=root", timeout=10)
        for name in reversed(list(self.daemons)):
            process = self.daemons[name]
            process.send_signal(signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                process.wait(timeout=10)
            process.kill()
            process.wait()
        self.daemons.clear()

    def run(self, *argv: str, timeout: float = 60, tolerant: bool = False) -> str:
        """The output of one of Slurm's commands; what it says when it fails is in the exception."""
        env = {**os.environ, **self.environment}
        done = subprocess.run(argv, env=env, capture_output=True, text=True, timeout=timeout)
        if done.returncode != 0 and not tolerant:
            raise subprocess.SubprocessError(f"{argv}: {done.stderr}{done.stdout}")
        return done.stdout

    def states(self) -> set[str]:
        """Of the nodes: idle, mixed, allocated, down…"""
        try:
            return set(self.run("sinfo", "--noheader", "--Node", "--partition=main", "--format=%T").split())
        except subprocess.SubprocessError:
            return set()

    def jobs(self) -> dict[str, str]:
        """id -> state of the jobs that have not ended."""
        lines = self.run("squeue", "--noheader", "--format=%i %T").splitlines()
        return dict(line.split() for line in lines)  # type: ignore[misc]

    def _start(self, name: str, *argv: str) -> None:
        program = which(argv[0])
        assert program is not None
        env = {name: value for name, value in os.environ.items() if not name.startswith(("SLURM", "CUDA"))}
        self.daemons[name] = subprocess.Popen(
            [program, *argv[1:]],
            env={**env, "PATH": f"{env.get('PATH', os.defpath)}:{SBIN}", **self.environment},
            stdin=subprocess.DEVNULL,
            stdout=(self.folder / f"{name}.out").open("ab"),
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


@contextmanager
def running_cluster(folder: Path, grace: int = 0) -> Iterator[Cluster]:
    cluster = Cluster(folder, grace)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()


def wait_for(condition: Callable[[], object], seconds: float, otherwise: str) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, otherwise
        time.sleep(0.05)


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


if __name__ == "__main__":
    with running_cluster(Path(sys.argv[1])) as one:
        print(f"export SLURM_CONF={one.environment['SLURM_CONF']}", flush=True)
        with suppress(KeyboardInterrupt):
            signal.pause()
