"""A template of the standard library only, and scripts that drive sessions from a Python process of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.end_to_end.command import environment
from tests.end_to_end.templates import block, make_template, write_script

SLOW = "Run 1.\n\n" + block("STEPS = 10", "STEPS = 20\nimport time\ntime.sleep(4)")


@pytest.fixture(scope="module")
def cache(tmp_path_factory) -> str:
    return str(tmp_path_factory.mktemp("cache"))


@pytest.fixture
def place(tmp_path, monkeypatch, cache) -> Path:
    """The current folder, with a template `template` and room for scripts of replies."""
    monkeypatch.setenv("AI_SCI_CACHE", cache)
    monkeypatch.delenv("AI_SCI_MODEL", raising=False)
    monkeypatch.chdir(tmp_path)
    make_template(tmp_path / "template")
    return tmp_path


def scripted(place: Path, replies: list[str], name: str = "script") -> str:
    return write_script(place / name, replies)


def python(place: Path, code: str, **options: object) -> subprocess.Popen[str]:
    """A process that executes `code` in `place`, as a script of a user's would."""
    (place / "script.py").write_text(code)
    return subprocess.Popen(
        [sys.executable, "script.py"],
        cwd=place,
        env=environment(AI_SCI_CACHE=os.environ["AI_SCI_CACHE"], PYTHONUNBUFFERED="1"),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,  # type: ignore[call-overload]
    )


def finished(process: subprocess.Popen[str], timeout: float = 120) -> tuple[str, str]:
    """What it printed on stdout and stderr. It must have ended without an error."""
    out, err = process.communicate(timeout=timeout)
    assert process.returncode == 0, err
    return out, err
