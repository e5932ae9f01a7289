"""The linter's report: aider's own, word for word, at a fraction of its cost."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from ai_sci.agent.edits.lint import lint_report
from tests.agent.edits.edit_replies import EXPERIMENT

BROKEN = {
    "undefined": "import os\n\n\ndef f():\n    return F.relu(os)\n\n\nprint(Missing())\n",
    "in a method": "\n".join(f"x{number} = 1" for number in range(40))
    + "\n\nclass A:\n    def f(self):\n        return zz\n",
    "never closed": "import os\nx = (\n",
    "no indent": "def f():\nreturn 1\n",
    "tabs and spaces": "if 1:\n\tx\n        y\n",
    "open string": "x = '''abc\n",
    "return outside": "return 1\n",
    "break outside": "for i in []:\n    pass\nbreak\n",
    "yield outside": "class A:\n  x = yield\n",
    "bad dedent": "def f():\n    if 1:\n        a\n      b\n",
    "many lines": "x = foo(1,\n   bar,\n   2)\n",
    "unicode": "é = (zz, 'ü)\n",
    "same argument": "def f(a, a): pass\n",
    "two on a line": "x=y;z=w\n",
    "below a string": "x = '''\n''' + y\n",
    "too deep": "(" * 400 + ")" * 400,
    "python 2": "print 'a'\n",
    "cr lf": "x = 1\r\ny = zz\r\n",
    "star in function": "def f():\n from x import *\n",
    "before assignment": "a = 0\ndef f():\n    print(a)\n    a = 1\n",
    "form feed": "x=y\x0cz=w\n",
    "a conflict": "a\n=======\nb\n",
}
CLEAN = {
    "experiment": EXPERIMENT,
    "empty": "",
    "style": "import os,sys\nx=1;l = 2\nif x == None :pass\n",
    "noqa": "x = 1 # noqa\ny = z # noqa\nw = v  # noqa: F821\n",
    "noqa for the file": "# flake8: noqa\nx = y\n",
    "noqa below a string": "x = '''\n''' + y # noqa\n",
    "star": "from os import *\nprint(getcwd())\n",
}


AIDER = """
import json, sys
from pathlib import Path
from aider.linter import Linter
paths = list(Path(sys.argv[1]).glob("*/experiment.py"))
print(json.dumps({path.parent.name: Linter(root=str(path.parent)).lint(str(path)) for path in paths}))
"""


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("sources")
    for name, code in {**BROKEN, **CLEAN}.items():
        (root / name).mkdir()
        (root / name / "experiment.py").write_bytes(code.encode())
    return root


@pytest.fixture(scope="module")
def aiders(sources: Path) -> dict[str, str | None]:
    """The reports of aider's linter as it is, which starts flake8; without this machine's paths."""
    done = subprocess.run([sys.executable, "-c", AIDER, str(sources)], capture_output=True, check=True, timeout=120)
    reports = json.loads(done.stdout)
    return {
        name: report and re.sub(r"Running: \S+ -m", "Running: python -m", report).replace(f"{sources / name}/", "")
        for name, report in reports.items()
    }


@pytest.mark.parametrize("name", BROKEN)
def test_broken_files_get_aiders_report(sources: Path, aiders: dict[str, str | None], name: str):
    report = lint_report(sources / name, ["experiment.py"])
    assert report and report == aiders[name]
    assert str(sources) not in report and sys.prefix not in report


@pytest.mark.parametrize("name", CLEAN)
def test_clean_files_get_none(sources: Path, aiders: dict[str, str | None], name: str):
    assert lint_report(sources / name, ["experiment.py"]) is None
    assert aiders[name] is None


def test_the_report_looks_as_in_aiders_sessions(tmp_path: Path):
    (tmp_path / "experiment.py").write_text(BROKEN["undefined"])
    assert lint_report(tmp_path, ["experiment.py"]) == (
        "# Fix any errors below, if possible.\n\n"
        "## Running: python -m flake8 --select=E9,F821,F823,F831,F406,F407,F701,F702,F704,F706 --show-source --isolated"
        " experiment.py\n\n"
        "experiment.py:5:12: F821 undefined name 'F'\n    return F.relu(os)\n           ^\n"
        "experiment.py:8:7: F821 undefined name 'Missing'\nprint(Missing())\n      ^\n\n"
        "## See relevant lines below marked with █.\n\n"
        "experiment.py:\n...⋮...\n  2│\n  3│\n  4│def f():\n  5█    return F.relu(os)\n"
        "  6│\n  7│\n  8█print(Missing())\n"
    )


def test_files_that_are_not_linted(tmp_path: Path):
    (tmp_path / "notes.txt").write_text("def f(:")
    (tmp_path / "real.py").write_text("x = y\n")
    (tmp_path / "link.py").symlink_to(tmp_path / "real.py")
    (tmp_path / "folder.py").mkdir()
    assert lint_report(tmp_path, ["notes.txt", "missing.py", "link.py", "folder.py"]) is None


def test_several_files(tmp_path: Path):
    (tmp_path / "experiment.py").write_text("x = y\n")
    (tmp_path / "plot.py").write_text("x = 1\n")
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "model.py").write_text("x = (\n")
    report = lint_report(tmp_path, ["experiment.py", "plot.py", "src/model.py"]) or ""
    assert report.count("# Fix any errors below") == 2
    assert "experiment.py:1:5: F821" in report and 'File "src/model.py", line 1' in report and "plot.py" not in report


def test_code_is_not_executed_and_odd_bytes_are_no_crash(tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    (tmp_path / "experiment.py").write_text(
        "print('executed')\nimport missing_module\nraise SystemExit(1)\nx = '\\d'\n"
    )
    assert lint_report(tmp_path, ["experiment.py"]) is None
    (tmp_path / "experiment.py").write_bytes(b"x = '\xff\xfe'\n")
    assert lint_report(tmp_path, ["experiment.py"]) is None
    (tmp_path / "experiment.py").write_bytes(b"x = '\x00'\n")
    assert "null bytes" in (lint_report(tmp_path, ["experiment.py"]) or "")
    assert capfd.readouterr() == ("", "")


def test_a_clean_file_costs_little(tmp_path: Path):
    """It starts no process and loads no aider, whose linter starts flake8 for every file."""
    (tmp_path / "experiment.py").write_text(EXPERIMENT)
    code = f"""
import sys
from pathlib import Path
from ai_sci.agent.edits.lint import lint_report
started = []
sys.addaudithook(lambda event, _: started.append(event) if event in ("subprocess.Popen", "os.fork", "os.exec") else 0)
assert lint_report(Path({str(tmp_path)!r}), ["experiment.py"]) is None
print(started, "aider" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[] False\n"


@pytest.mark.parametrize(
    "expression",
    ["-" * 100_000 + "x", "+".join(["x"] * 30_000), "(" * 20_000 + "x" + ")" * 20_000, "x" + ".a" * 50_000],
)
def test_code_too_deep_for_python_is_an_error_and_not_the_end(tmp_path, capsys, expression):
    (tmp_path / "experiment.py").write_text(f"x = 1\ny = {expression}\n")
    report = lint_report(tmp_path, ["experiment.py"])
    assert report is not None and "experiment.py:" in report and "nested" in report
    assert capsys.readouterr().out == ""


def test_code_too_deep_for_the_linter_alone_is_left_to_the_attempt(tmp_path):
    (tmp_path / "experiment.py").write_text("x = 1\ny = " + "+".join(["x"] * 700) + "\n")
    assert lint_report(tmp_path, ["experiment.py"]) is None


def test_a_report_on_a_line_of_a_megabyte_is_short(tmp_path):
    (tmp_path / "experiment.py").write_text("x = Missing('" + "a" * 1_000_000 + "')\n")
    report = lint_report(tmp_path, ["experiment.py"])
    assert report is not None and "Missing" in report and len(report) < 5000
    (tmp_path / "experiment.py").write_text("".join(f"x{number} = missing{number}\n" for number in range(5000)))
    report = lint_report(tmp_path, ["experiment.py"])
    assert report is not None and "missing0" in report and len(report) < 15_000


def test_a_byte_order_mark_is_no_error(tmp_path):
    """Python takes a file that begins with one; aider's linter does not."""
    (tmp_path / "experiment.py").write_bytes(b"\xef\xbb\xbfx = 1\n")
    assert lint_report(tmp_path, ["experiment.py"]) is None
    (tmp_path / "experiment.py").write_bytes(b"\xef\xbb\xbfx = y\n")
    report = lint_report(tmp_path, ["experiment.py"])
    assert report is not None and "undefined name 'y'" in report and "U+FEFF" not in report
