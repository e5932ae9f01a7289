"""The environment variables of an experiment: a short allowlist, and nothing that could hold a key."""

from __future__ import annotations

import os
from pathlib import Path

from ai_sci.experiment.base import Allocation
from ai_sci.experiment.template import Template

# These select GPUs and libraries; nobody keeps secrets in them.
_PASSED_ON = (
    "CUDA_VISIBLE_DEVICES",
    "CUDA_DEVICE_ORDER",
    "CUDA_HOME",
    "NVIDIA_VISIBLE_DEVICES",
    "NVIDIA_DRIVER_CAPABILITIES",
    "HIP_VISIBLE_DEVICES",
    "ROCR_VISIBLE_DEVICES",
    "LD_LIBRARY_PATH",
    "MKL_NUM_THREADS",
    "OMP_NUM_THREADS",
    "TZ",
)
BATCH_JOURNAL = "batch.jsonl"  # the folder that holds it is a batch, and its folders are sessions
_SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

# Variables that say where keys are. Home folders are hidden anyway.
_NAMED_FILES = (
    "AWS_CONFIG_FILE",
    "AWS_SHARED_CREDENTIALS_FILE",
    "GOOGLE_APPLICATION_CREDENTIALS",
    "HF_TOKEN_PATH",
    "KUBECONFIG",
    "NETRC",
    "PIP_CONFIG_FILE",
)
_NAMED_FOLDERS = ("AZURE_CONFIG_DIR", "CLOUDSDK_CONFIG", "DOCKER_CONFIG", "GNUPGHOME", "HF_HOME", "XDG_CONFIG_HOME")
_SYSTEM_FOLDERS = frozenset(
    ("/", "/bin", "/dev", "/etc", "/lib", "/lib64", "/opt", "/proc", "/sbin", "/srv", "/sys", "/tmp", "/usr", "/var")
)


def secret_folders() -> list[Path]:
    """Existing folders where environment variables say that keys are, except system folders."""
    files = [Path(os.environ[name]).parent for name in _NAMED_FILES if os.environ.get(name)]
    folders = [Path(os.environ[name]) for name in _NAMED_FOLDERS if os.environ.get(name)]
    return [path.resolve() for path in files + folders if path.is_dir() and str(path.resolve()) not in _SYSTEM_FOLDERS]


def data_beside(template: Template) -> dict[str, Path]:
    """The data folders beside the template, by relative paths, without places where keys are."""
    secret = secret_folders()
    return {
        path: place
        for path, place in template.beside.items()
        if place.is_dir() and not any(folder in (place, *place.parents) for folder in secret)
    }


def other_sessions(session: Path) -> Path:
    """The folder that holds all sessions; for a session in a batch, the one above the batch."""
    folder = session.parent
    above = folder.parent if (folder / BATCH_JOURNAL).exists() else folder
    return folder if above == above.parent else above


def experiment_env(python: Path, data: Path | None, smoke: bool, allocation: Allocation) -> dict[str, str]:
    """Everything but HOME and TMPDIR, which the sandbox sets. `AI_SCI_SMOKE` is set only for a smoke attempt."""
    env = {
        "PATH": f"{python.parent}:{_SYSTEM_PATH}",
        "LANG": "C.UTF-8",
        "OMP_NUM_THREADS": str(len(os.sched_getaffinity(0))),
        "PYTHONUNBUFFERED": "1",
        "PYTHONDONTWRITEBYTECODE": "1",  # the code's folder is read-only
        "PYTHONHASHSEED": "0",  # sets iterate in the same order every time, in results and in error output
        "PYTHONFAULTHANDLER": "1",  # so that a crash in C, or a time-out, prints a Python stack
        "MPLBACKEND": "Agg",
        "HF_HUB_OFFLINE": "1",  # without it every load would wait for the missing network
        "HF_DATASETS_OFFLINE": "1",
        "TRANSFORMERS_OFFLINE": "1",
    }
    env |= {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    if allocation.cpus:
        env["OMP_NUM_THREADS"] = env["MKL_NUM_THREADS"] = str(len(allocation.cpus))
    if allocation.gpus is not None:
        env["CUDA_VISIBLE_DEVICES"] = ",".join(allocation.gpus)
        # Our numbers are nvidia-smi's; by default CUDA counts the fastest GPU first.
        env.setdefault("CUDA_DEVICE_ORDER", "PCI_BUS_ID")
    if data is not None:
        env["AI_SCI_DATA"] = str(data)
    if smoke:
        env["AI_SCI_SMOKE"] = "1"
    return env
