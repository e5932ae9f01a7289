"""Faults of what came from elsewhere: the git of other machines, and templates that ran on another one."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable
from pathlib import Path

from ai_sci.agent.journal.events import BaselineMeasured, Replied
from tests.gauntlet.case import Case, Ends, Hook
from tests.gauntlet.machine_hooks import copy_template, own_cache
from tests.gauntlet.stage import Seen, Stage
from tests.gauntlet.story import faulty_run
from tests.old_git import git_2_25, refusing_git

# --- git --------------------------------------------------------------------------------------------------------------


def _path(make: Callable[[Path], str]) -> Hook:
    def prepare(stage: Stage) -> None:
        stage.env["PATH"] = make(stage.folder / "git")

    return prepare


def _configured(text: str) -> Hook:
    """The user's own configuration."""

    def prepare(stage: Stage) -> None:
        home = stage.folder / "home"
        home.mkdir()
        (home / ".gitconfig").write_text(text)
        stage.env["HOME"] = str(home)

    return prepare


_NOBODY = {"GIT_AUTHOR_NAME": "", "GIT_AUTHOR_EMAIL": "", "GIT_COMMITTER_NAME": "", "EMAIL": ""}
_ELSEWHERE = {"GIT_DIR": "/nowhere", "GIT_INDEX_FILE": "/nowhere", "GIT_OBJECT_DIRECTORY": "/nowhere"}
_FULL = "error: unable to write file: No space left on device"

GIT = [
    Case("git 2.25", prepare=_path(git_2_25), quick=True),
    Case("a broken gitconfig", prepare=_configured("[user\nname = me")),
    Case(
        "signatures, hooks and filters in the gitconfig",
        prepare=_configured(
            "[commit]\ngpgsign = true\n[gpg]\nprogram = /bin/false\n[core]\nhooksPath = /nowhere\nautocrlf = true\n"
        ),
    ),
    Case("an empty author", env=_NOBODY),
    Case("variables of another repository", env={**_ELSEWHERE, "GIT_NAMESPACE": "mine"}),
    Case(
        "git refuses to begin",
        status=None,
        prepare=_path(lambda folder: refusing_git(folder, "init", "fatal: not today")),
        says=r"^ai-sci: no session can be opened: git init failed in \S+: fatal: not today$",
        quick=True,
    ),
    Case(
        "git refuses the first commit",
        status=None,
        prepare=_path(lambda folder: refusing_git(folder, "commit", _FULL)),
        says=rf"^ai-sci: no session can be opened: git commit failed in \S+: {_FULL}$",
    ),
]

# --- templates that bring their own results ---------------------------------------------------------------------------


def _brought(code: str, before: Hook | None = None) -> Hook:
    """`tiny` with results of its own, and `code` first in its experiment."""

    def prepare(stage: Stage) -> None:
        if before:
            before(stage)
        copy_template(stage)
        template = Path(stage.template)
        (template / "run_0").mkdir()
        means = {"test_r2": 0.4, "train_loss": 0.1, "output_std": 0.5, "steps": 60}
        (template / "run_0" / "final_info.json").write_text(json.dumps({"waves": {"means": means}}))
        text = (template / "experiment.py").read_text()
        anchor = "import argparse\n"
        assert anchor in text
        (template / "experiment.py").write_text(text.replace(anchor, f"{code.format(stage=stage)}\n{anchor}", 1))

    return prepare


def _no_call(seen: Seen) -> str:
    return "" if seen.shown and seen.shown["llm"]["calls"] == 0 else "the model was asked"


def _hidden_data(stage: Stage) -> None:
    (stage.folder / "data.npy").write_text("x")


def _hidden_package(stage: Stage) -> None:
    (stage.folder / "lib" / "lab_tools").mkdir(parents=True)
    (stage.folder / "lib" / "lab_tools" / "__init__.py").touch()
    stage.env["PYTHONPATH"] += f":{stage.folder / 'lib'}"


def _kill_at_the_start(stage: Stage) -> None:
    deadline = time.monotonic() + 60
    log = stage.session / "attempts" / "run_1.0" / "output.log"
    while not (log.is_file() and "begun" in log.read_text()):
        assert time.monotonic() < deadline and stage.process is not None and stage.process.poll() is None
        time.sleep(0.02)
    assert not any(isinstance(event, (BaselineMeasured, Replied)) for event in stage.events())
    assert stage.process is not None
    stage.process.send_signal(signal.SIGKILL)


def unusable(name: str, code: str, says: str, before: Hook | None = None, quick: bool = False) -> Case:
    return Case(
        name,
        status="invalid_baseline",
        accepted=0,
        prepare=_brought(code, before),
        says=says,
        check=_no_call,
        quick=quick,
    )


TEMPLATES = [
    unusable(
        "a template's data is hidden",
        "open('{stage.folder}/data.npy')",
        r"FileNotFoundError.*data\.npy exists on this machine, but it is hidden in the sandbox\. Bring it in: copy",
        _hidden_data,
        quick=True,
    ),
    unusable(
        "a template's package is hidden",
        "import lab_tools",
        r"No module named 'lab_tools'.*lab_tools/__init__\.py exists on this machine, but it is hidden.*requirements",
        _hidden_package,
    ),
    unusable(
        "a template's package is nowhere", "import a_package_that_nobody_has", r"has no package a_package.*--python"
    ),
    unusable(
        "a template writes beside itself", "import os\nos.makedirs('outputs/1')", r"Read-only.*write below --out_dir"
    ),
    Case(
        "killed while the unmodified code is started",
        status="interrupted",
        accepted=0,
        code=-9,
        prepare=_brought("import time\nprint('begun', flush=True)\ntime.sleep(1)", own_cache),
        act=_kill_at_the_start,
        resumed=Ends(accepted=2),
        quick=True,
    ),
]

# --- what the model is told -------------------------------------------------------------------------------------------

TOLD = [
    Case(
        "a GPU that is full",
        faulty_run("raise RuntimeError('CUDA error: out of memory')"),
        ("out_of_memory",),
        says=r"ran out of GPU memory, which --memory does not change: RuntimeError: CUDA error",
    ),
    Case(
        "a write into the current folder",
        faulty_run("os.makedirs('outputs/2030-01-01')"),
        ("crashed",),
        says=r"Read-only file system: 'outputs'; only the folder that --out_dir names can be written: write below",
    ),
]

CASES = [*GIT, *TEMPLATES, *TOLD]
