"""One cluster for all tests of a process, and a lab in a folder of its own for each."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.slurm.cluster import NODES, Cluster, missing, running_cluster, wait_for
from tests.slurm.lab import Lab


@pytest.fixture(scope="session")
def whole_cluster() -> Iterator[Cluster]:
    if why := missing():
        pytest.skip(f"no Slurm cluster here: {why}")
    with tempfile.TemporaryDirectory(prefix="ai-sci-slurm-") as name:
        os.chmod(name, 0o755)  # munge wants a folder that everybody may enter, which pytest's are not
        with running_cluster(Path(name)) as one:
            yield one


@pytest.fixture
def cluster(whole_cluster) -> Iterator[Cluster]:
    """Empty and whole, before and after."""
    yield whole_cluster
    for daemon, start in {
        "slurmctld": whole_cluster.start_controller,
        "n1": lambda: whole_cluster.start_node("n1"),
        "n2": lambda: whole_cluster.start_node("n2"),
    }.items():
        if daemon not in whole_cluster.daemons:
            start()
    whole_cluster.run("scancel", "--user=root")
    for node in NODES:  # drained after a job was sent to it twice
        whole_cluster.run("scontrol", "update", f"NodeName={node}", "State=RESUME", tolerant=True)
    wait_for(lambda: whole_cluster.states() == {"idle"}, 90, "the cluster does not recover")


@pytest.fixture
def lab(cluster, tmp_path) -> Iterator[Lab]:
    lab = Lab(cluster, tmp_path)
    yield lab
    lab.stop_drivers()
