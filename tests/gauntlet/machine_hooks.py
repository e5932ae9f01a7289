"""Hooks that harm an attempt, ai-sci itself or what both stand on."""

from __future__ import annotations

import functools
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path
from unittest import mock

import psutil

from ai_sci.experiment.environment.environment import ensure_environment
from ai_sci.experiment.template.template import load_template
from tests.end_to_end.command import ROOT
from tests.gauntlet.case import Hook
from tests.gauntlet.stage import Stage

# --- while an attempt runs --------------------------------------------------------------------------------------------


def wait_for_output(stage: Stage, word: str, seconds: float = 60.0) -> None:
    """Until an attempt has printed `word`."""
    deadline = time.monotonic() + seconds
    while not any(word in log.read_text(errors="replace") for log in stage.session.glob("attempts/*/output.log")):
        if time.monotonic() > deadline or stage.process is None or stage.process.poll() is not None:
            raise AssertionError(f"no attempt printed {word!r}")
        time.sleep(0.02)


def kill_the_experiment(word: str, after: float = 0.0) -> Hook:
    """SIGKILL to the Python that executes experiment.py once it has printed `word`: the kernel's choice of a victim."""

    def act(stage: Stage) -> None:
        wait_for_output(stage, word)
        time.sleep(after)
        assert stage.process is not None
        for process in psutil.Process(stage.process.pid).children(recursive=True):
            try:
                if process.cmdline()[1:2] == ["experiment.py"]:
                    process.kill()
            except psutil.Error:  # a child that has just ended
                continue

    return act


def signals(*numbers: signal.Signals, pause: float = 0.05) -> Hook:
    """These signals, one after the other, to ai-sci's process group once run 2 prints `begun`."""

    def act(stage: Stage) -> None:
        wait_for_output(stage, "begun")
        assert stage.process is not None
        for number in numbers:
            os.killpg(stage.process.pid, number)
            time.sleep(pause)

    return act


# --- template and interpreter -----------------------------------------------------------------------------------------


def copy_template(stage: Stage, *changes: tuple[str, str]) -> None:
    """A copy of `tiny`, with these replacements in its template.toml, becomes the case's template."""
    copy = stage.folder / "tiny"
    shutil.copytree(ROOT / "templates" / "tiny", copy)
    toml = (copy / "template.toml").read_text()
    for old, new in changes:
        assert old in toml
        toml = toml.replace(old, new)
    (copy / "template.toml").write_text(toml)
    stage.template = copy


def environment_of_tiny(stage: Stage) -> Path:
    """Its folder in the case's cache, which may hold those of other templates too. It is built if it is not there."""
    with mock.patch.dict(os.environ, AI_SCI_CACHE=stage.env["AI_SCI_CACHE"]):
        return ensure_environment(load_template("tiny"), None, print).python.parents[1]


def own_interpreter(stage: Stage) -> Path:
    """A venv of the case's own that sees the packages of tiny's environment. Returns its python."""
    folder = stage.folder / "venv"
    venv.create(folder, symlinks=True)
    [packages] = environment_of_tiny(stage).glob("lib/python3*/site-packages")
    [mine] = folder.glob("lib/python3*/site-packages")
    (mine / "tiny.pth").write_text(f"{packages}\n")
    return folder / "bin" / "python"


def own_cache(stage: Stage) -> None:
    """A cache for this case alone, with tiny's environment in it: hard links, or a copy on another file system."""
    environment = environment_of_tiny(stage)
    envs = stage.folder / "cache" / "envs"
    envs.mkdir(parents=True)
    if subprocess.run(["cp", "-al", environment, envs], capture_output=True).returncode != 0:
        shutil.rmtree(envs / environment.name, ignore_errors=True)
        subprocess.run(["cp", "-a", environment, envs], check=True)
    stage.env["AI_SCI_CACHE"] = str(envs.parent)


# --- file systems -----------------------------------------------------------------------------------------------------


@functools.cache
def cannot_mount() -> str:
    """Why no small file system can be had here; "" when it can."""
    with tempfile.TemporaryDirectory() as folder:
        tried = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", folder], capture_output=True)
        if tried.returncode != 0:
            return "needs a file system of its own, and only root can mount one"
        subprocess.run(["umount", folder], check=True)
    return ""


def runs_on_a_small_disk(stage: Stage) -> None:
    """The runs folder is a file system of 160 MB: 100 MB are the reserve that ai-sci keeps for itself."""
    stage.runs_dir.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=160m", "tmpfs", stage.runs_dir], check=True)
    stage.at_the_end.callback(subprocess.run, ["umount", "--lazy", stage.runs_dir], check=True)


def fill(stage: Stage, leave: int = 0) -> None:
    """Takes all that is free on the small disk but `leave` bytes."""
    with filler(stage).open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"\0" * 1_000_000)
        except OSError:
            pass
        if leave:
            file.truncate(file.tell() - leave)


def filler(stage: Stage) -> Path:
    return stage.runs_dir / "filler"


def remount(stage: Stage, how: str) -> None:
    """`how` is "ro" or "rw"."""
    subprocess.run(["mount", "-o", f"remount,{how}", stage.runs_dir], check=True)


# --- resume -----------------------------------------------------------------------------------------------------------


def resume_is_refused(stage: Stage, code: int, says: str) -> None:
    """Resume ends with that exit code and one line that matches `says`, and changes nothing."""
    journal = (stage.session / "journal.jsonl").read_bytes()
    done = subprocess.run(stage.resume_command(), env=stage.env, cwd=stage.folder, capture_output=True, text=True)
    lines = [line for line in done.stderr.splitlines() if line.startswith("ai-sci: ")]
    assert (done.returncode, len(lines)) == (code, 1), (done.returncode, done.stderr)
    assert re.search(says, lines[0]), lines[0]
    assert "Traceback" not in done.stderr, done.stderr
    assert (stage.session / "journal.jsonl").read_bytes() == journal


def path_without_git(stage: Stage) -> str:
    """A PATH on which everything that ai-sci may start is there, but for git."""
    folder = stage.folder / "bin"
    folder.mkdir()
    for name in ("sh", "bwrap", "python3", Path(sys.executable).name):
        if found := shutil.which(name):
            (folder / name).symlink_to(found)
    return str(folder)
