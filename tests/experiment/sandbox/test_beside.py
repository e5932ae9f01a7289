"""Data beside a template is found by both of its relative paths, read-only, and opens nothing else."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.experiment.attempt.attempts import PYTHON, ROOTS, sandbox_of

CODE = """
import json, os
def attempt(what):
    try:
        return what()
    except OSError as error:
        return type(error).__name__ + " " + str(error.errno)
found = {
    "two": attempt(lambda: open("../../data/train.txt").read()),
    "three": attempt(lambda: open("../../../data/train.txt").read()),
    "key": attempt(lambda: os.listdir("../../data/keys")),
    "write": attempt(lambda: open("../../data/new", "w")),
    "code": attempt(lambda: open("experiment.py", "w")),
    "above": sorted(os.listdir("..")) + sorted(os.listdir("../..")),
    "other": attempt(lambda: os.listdir(OTHER)),
    "cwd": os.getcwd(),
}
json.dump(found, open("run_1/found.json", "w"))
"""


@pytest.fixture
def lab(tmp_path: Path) -> Path:
    for folder in ("lab/data/keys", "lab/secrets", "runs/s/run_1", "runs/other"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "lab" / "data" / "train.txt").write_text("text")
    (tmp_path / "lab" / "data" / "keys" / "token").write_text("key")
    (tmp_path / "runs" / "s" / "experiment.py").write_text(CODE)
    return tmp_path


def test_both_paths_lead_there(lab: Path) -> None:
    session, data = lab / "runs" / "s", lab / "lab" / "data"
    launch = sandbox_of("bwrap").wrap(
        [str(PYTHON), "-I", "-S", "-c", f"OTHER = {str(lab / 'runs' / 'other')!r}\n" + CODE],
        session,
        [session / "run_1"],
        [session, *ROOTS],
        {},
        [lab / "runs", data / "keys"],
        {"../../data": data, "../../../data": data},
    )
    done = subprocess.run(launch.argv, env=launch.env, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert json.loads((session / "run_1" / "found.json").read_text()) == {
        "two": "text",
        "three": "text",
        "key": [],
        "write": "OSError 30",
        "code": "OSError 30",
        "above": ["session", "3", "data"],
        "other": "FileNotFoundError 2",
        "cwd": "/run/ai-sci/1/2/3/session",
    }


def test_without_data_beside_it_nothing_is_called_otherwise(lab: Path) -> None:
    session = lab / "runs" / "s"
    launch = sandbox_of("bwrap").wrap(["/bin/pwd"], session, [], [session], {})
    done = subprocess.run(launch.argv, env=launch.env, capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == str(session)
