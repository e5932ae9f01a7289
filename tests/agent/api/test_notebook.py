"""The example notebook, executed by a real kernel beside a copy of its template."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys

import nbformat

from tests.agent.api.conftest import environment
from tests.end_to_end.command import ROOT

EXAMPLES = ROOT / "docs" / "examples"
EXECUTE = """
import nbclient, nbformat
notebook = nbformat.read("session.ipynb", 4)
nbclient.NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
nbformat.write(notebook, "executed.ipynb")
"""


def test_the_example_notebook(tmp_path):
    shutil.copytree(EXAMPLES, tmp_path / "examples", ignore=shutil.ignore_patterns("runs"))
    done = subprocess.run(
        [sys.executable, "-c", EXECUTE],
        cwd=tmp_path / "examples",
        env=environment(AI_SCI_CACHE=str(tmp_path / "cache")),
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    kept, now = (nbformat.read(path, 4) for path in (EXAMPLES / "session.ipynb", tmp_path / "examples/executed.ipynb"))
    assert [_texts(cell) for cell in kept.cells] == [_texts(cell) for cell in now.cells], "its outputs are up to date"


def test_it_names_no_place_of_this_machine():
    text = (EXAMPLES / "session.ipynb").read_text()
    assert not re.search(r"/(home|root|tmp|work|usr|Users)/", text)


def _texts(cell) -> list[str]:
    outputs = cell.get("outputs", [])
    return [output.get("text") or output.get("data", {}).get("text/plain") or output["ename"] for output in outputs]
