"""`ai-sci doctor`: what this machine can do, and what to fix."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from ai_sci.agent.commands.doctor_template import examine_template
from ai_sci.agent.commands.file_locks import unreliable_filesystem
from ai_sci.agent.commands.finding import Finding
from ai_sci.agent.models import key_problem
from ai_sci.agent.session import try_git
from ai_sci.experiment.base import AiSciError, cache_root, format_size
from ai_sci.experiment.sandbox import find_sandbox

# The usual providers. litellm knows many more; `ai-sci run` names the variable that a model needs.
KEYS = (
    "ANTHROPIC_API_KEY",
    "OPENAI_API_KEY",
    "DEEPSEEK_API_KEY",
    "GEMINI_API_KEY",
    "MISTRAL_API_KEY",
    "OPENROUTER_API_KEY",
)
ROOM_FOR_ENVIRONMENT = 6 << 30  # bytes: the sae environment and its data, with room to build


def examine(template_name: str, runs_dir: Path = Path("runs")) -> list[Finding]:
    """All findings about this machine, the template and the model. Raises nothing."""
    return [
        *_machine(),
        _git(runs_dir),
        _runs_folder(runs_dir),
        _sandbox(),
        _slurm(),
        *examine_template(template_name),
        *_model(),
    ]


def _machine() -> Iterator[Finding]:
    yield Finding(
        "ok", f"Python {platform.python_version()} on {platform.system()} {platform.machine()}, {os.cpu_count()} CPUs"
    )
    gpus = sorted(path.name for path in Path("/dev").glob("nvidia[0-9]*"))
    yield Finding("ok" if gpus else "note", f"GPUs: {', '.join(gpus) or 'none, so templates take their CPU settings'}")
    cache = cache_root()
    existing = next(path for path in (cache, *cache.parents) if path.exists())
    free = shutil.disk_usage(existing).free
    room = f"cache {cache}, {format_size(free)} free"
    if not os.access(existing, os.W_OK):
        yield Finding("fix", f"{room}: not writable. Set AI_SCI_CACHE to a folder that is.")
    elif free < ROOM_FOR_ENVIRONMENT:
        yield Finding("note", f"{room}: the sae template needs about {format_size(ROOM_FOR_ENVIRONMENT)}")
    else:
        yield Finding("ok", room)


def _git(runs_dir: Path) -> Finding:
    runs_dir = runs_dir.expanduser()
    place = runs_dir if os.access(runs_dir, os.W_OK) else Path(tempfile.gettempdir())
    try:
        return Finding("ok", f"git {try_git(place)}: a trial commit works")
    except AiSciError as error:
        return Finding("fix", f"every session is a git repository, and a trial commit does not work: {error}")
    except OSError as error:
        return Finding("fix", f"no trial commit in {place}: {error.strerror}")


def _runs_folder(runs_dir: Path) -> Finding:
    runs_dir = runs_dir.expanduser()
    there = next(path for path in (runs_dir.absolute(), *runs_dir.absolute().parents) if path.exists())
    if not os.access(there, os.W_OK | os.X_OK):
        return Finding("note", f"runs folder {runs_dir}: cannot write in {there}. Choose another --runs-dir")
    try:
        filesystem = unreliable_filesystem(runs_dir, Path("/proc/self/mountinfo").read_text(errors="surrogateescape"))
    except OSError:  # not Linux
        filesystem = None
    if filesystem is None:
        return Finding("ok", f"runs folder {runs_dir}")
    return Finding(
        "note",
        f"runs folder {runs_dir} is on {filesystem}, where locks (flock) may not hold between machines: "
        "keep sessions on a local disk (--runs-dir DIR), or never open one from two machines at once",
    )


def _sandbox() -> Finding:
    try:
        sandbox = find_sandbox("auto", allow_unsandboxed=False)
    except AiSciError as error:
        return Finding("fix", f"sandbox: {error}")
    return Finding("ok", f"sandbox: {sandbox.tier} ({sandbox.backend})")


def _slurm() -> Finding:
    program = shutil.which("sbatch")
    if program is None:
        return Finding("note", "Slurm: not installed, so attempts run on this machine (--engine local)")
    command = ["sinfo", "--noheader", "--format=%P %D nodes %G"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=5)
    except (OSError, subprocess.SubprocessError):
        return Finding("note", f"Slurm: {program}, but the cluster does not answer: --engine slurm will not work")
    if done.returncode != 0:
        said = (done.stderr.strip().splitlines() or ["no message"])[-1]
        return Finding(
            "note", f"Slurm: {program}, but the cluster is unavailable ({said}): --engine slurm will not work"
        )
    return Finding("ok", f"Slurm: {'; '.join(done.stdout.splitlines()) or 'no partition'} (--engine slurm)")


def _model() -> Iterator[Finding]:
    name = os.environ.get("AI_SCI_MODEL")
    keys = [key for key in KEYS if os.environ.get(key)]
    for key in keys:
        if problem := key_problem(key):
            yield Finding("note", f"{key} {problem}")
    if name:
        yield Finding("ok", f"model {name} (AI_SCI_MODEL); keys set: {', '.join(keys) or 'none'}")
    elif keys:
        yield Finding("note", f"keys set: {', '.join(keys)}; choose a model with --model or AI_SCI_MODEL")
    else:
        yield Finding("note", "no key is set: without --model, a template's scripted session is played")
