"""The import contracts in `.importlinter`, which `make lint` checks, refuse what they are there to refuse."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.architecture.rooms import PACKAGE, ROOT


@pytest.fixture
def lint(tmp_path: Path):
    """Runs the contracts on a copy of the package in which one line was appended to one file."""

    def run(module: str = "", line: str = "") -> subprocess.CompletedProcess[str]:
        copy = tmp_path / "ai_sci"
        shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("templates", "prompts", "__pycache__"))
        if module:
            (copy / module).parent.mkdir(exist_ok=True)
            with (copy / module).open("a") as file:
                file.write(f"\n{line}\n")
        # The command looks for packages in the current folder first.
        command = [Path(sys.executable).with_name("lint-imports"), "--config", ROOT / ".importlinter", "--no-cache"]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)

    return run


def test_the_contracts_hold(lint):
    done = lint()
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("module", "line", "broken"),
    [
        pytest.param(
            "experiment/slots/slots.py",
            "def late():\n    from ai_sci.agent.journal import State",
            "experiment never imports agent",
            id="experiment imports agent, inside a function",
        ),
        pytest.param(
            "agent/journal/state.py",
            "from ai_sci.agent.loop import drive",
            "rooms of agent import downwards",
            id="a room imports one above it",
        ),
        pytest.param(
            "agent/views/terminal.py",
            "from ai_sci.agent.report import write_report",
            "rooms of agent import downwards",
            id="a room imports its neighbour",
        ),
        pytest.param(
            "experiment/base/errors.py",
            "from ai_sci.experiment.template import slug",
            "rooms of experiment import downwards",
            id="the lowest room imports another",
        ),
        pytest.param(
            "agent/journal/events.py",
            "from ai_sci.agent.journal.state import fold",
            "no circles between files",
            id="a circle of two files in one room",
        ),
        pytest.param(
            "agent/attic/__init__.py",
            "",
            "rooms of agent import downwards",
            id="a room that has no place in the order",
        ),
    ],
)
def test_what_is_put_in_on_purpose_is_refused(lint, module: str, line: str, broken: str):
    done = lint(module, line)
    assert done.returncode == 1, done.stdout + done.stderr
    assert f"{broken} BROKEN" in done.stdout
