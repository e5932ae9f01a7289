"""The examples of docs/extending.md, each installed as somebody else's package and driven by the real command."""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.command import ROOT, Done, ai_sci, ai_sci_cold, shown
from tests.end_to_end.plugins import make_plugin
from tests.end_to_end.templates import EXPERIMENT, NOTES, PLOTS, block, good_session, make_template, write_script

Run = Callable[..., Done]

# What a coding agent does: reads the request, changes files where it stands, says something.
AGENT = """\
import pathlib, sys
request = sys.stdin.read()
with open({log!r}, "a") as log:
    log.write("called\\n")
code = pathlib.Path("experiment.py")
if "Finally, write `notes.txt`" in request:
    pathlib.Path("notes.txt").write_text("Run 1 trained longer.\\n")
elif "Accepted: run_0" in request:
    plot = pathlib.Path("plot.py")
    plot.write_text(plot.read_text().replace('"baseline"}}', '"baseline", "run_1": "more steps"}}'))
elif "STEPS = 10" in code.read_text():
    code.write_text(code.read_text().replace("STEPS = 10", "STEPS = 20"))
    print("Run 1: 20 steps.\\n\\nexperiment.py\\n```python\\nthis is talk, not the file\\n```")
else:
    print("ALL_COMPLETED")
"""

# Set by a test: the process is killed when the reply is in the journal, before anything is done with it.
KILL = """
import os, signal
if "KILL_BEFORE_APPLYING" in os.environ:
    from ai_sci.agent.loop import model_steps
    model_steps.plan_files = lambda *args: os.kill(os.getpid(), signal.SIGKILL)
"""


def example(module: str) -> str:
    """The code of that module in the documentation."""
    text = (ROOT / "docs" / "extending.md").read_text()
    return re.findall(rf"```python\n(# {module}\.py\n.*?)```\n", text, re.DOTALL)[0]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """The command with the plugins on its path, in a process of its own that looks for them."""

    def command(*args: str | Path, **env: Any) -> Done:
        path = f"{tmp_path / 'plugin'}:{ROOT}"
        return ai_sci_cold(*args, cwd=tmp_path, PYTHONPATH=path, AI_SCI_CACHE=str(tmp_path / "cache"), **env)

    return command


def new_session(tmp_path: Path, model: str, toml: str = "", **files: str) -> list[str | Path]:
    template = make_template(tmp_path / "template", toml, **files)
    return ["run", "--template", template, "--idea", "more_steps", "--model", model, "--session", "s"]


def events(session: Path, kind: str) -> list[dict[str, Any]]:
    records = [json.loads(line) for line in (session / "journal.jsonl").read_text().splitlines()]
    return [record for record in records if record["event"] == kind]


@pytest.fixture
def agent(tmp_path: Path) -> str:
    """`--model` for the coding agent, whose calls are counted in `calls.txt`."""
    points = {"ai_sci.editors": {"command": "CommandEditor"}}
    make_plugin(tmp_path / "plugin", "command_editor", example("command_editor") + KILL, points)
    script = tmp_path / "agent.py"
    script.write_text(AGENT.format(log=str(tmp_path / "calls.txt")))
    return f"command:{sys.executable} {script}"


def calls(tmp_path: Path) -> int:
    return len((tmp_path / "calls.txt").read_text().splitlines())


def test_an_editor_that_gives_files(run: Run, tmp_path: Path, agent: str):
    done = run(*new_session(tmp_path, agent))
    assert done.code == 0, done.err
    session = done.session
    assert shown(session)["runs"][0]["metrics"]["steps"] == 20
    assert "STEPS = 20" in (session / "experiment.py").read_text()
    assert '"run_1": "more steps"' in (session / "plot.py").read_text()
    replied = events(session, "replied")
    assert len(replied) == calls(tmp_path) == 4
    assert "STEPS = 20" in replied[0]["files"]["experiment.py"] and replied[0]["model"] == agent
    assert events(session, "edit_applied")[0]["files"] == ["experiment.py"]

    # A replay needs neither the package nor the agent.
    again = ai_sci("replay", session, cwd=tmp_path, AI_SCI_CACHE=str(tmp_path / "cache"))
    assert again.code == 0, again.err
    assert calls(tmp_path) == 4
    compared = events(again.session, "replay_compared")[0]
    assert compared["differences"] == [] and compared["edits"] == compared["edits_recorded"] == 3
    assert (again.session / "experiment.py").read_bytes() == (session / "experiment.py").read_bytes()


def test_files_in_the_journal_are_not_asked_for_again_after_a_kill(run: Run, tmp_path: Path, agent: str):
    killed = run(*new_session(tmp_path, agent), KILL_BEFORE_APPLYING="1")
    assert killed.code == -9
    session = tmp_path / "runs" / "s"
    assert "STEPS = 10" in (session / "experiment.py").read_text()
    assert (len(events(session, "replied")), len(events(session, "edit_applied"))) == (1, 0)
    resumed = run("resume", session)
    assert resumed.code == 0, resumed.err
    assert len(events(session, "replied")) == calls(tmp_path) == 4
    assert "STEPS = 20" in (session / "experiment.py").read_text()


def test_an_editor_that_breaks_off_ends_the_session_for_now(run: Run, tmp_path: Path, agent: str):
    done = run(*new_session(tmp_path, "command:/nowhere/agent"))
    assert done.code == 3
    assert shown(tmp_path / "runs" / "s")["status"] == "model_unavailable"
    assert "/nowhere/agent" in done.err and "Traceback" not in done.err
    shutil.rmtree(tmp_path / "runs")
    assert "is an editor" in run(*new_session(tmp_path, agent), "--api-base", "http://127.0.0.1:9").error


def test_a_file_that_may_not_be_edited_is_refused(run: Run, tmp_path: Path, agent: str):
    source = (tmp_path / "plugin" / "command_editor.py").read_text()
    (tmp_path / "plugin" / "command_editor.py").write_text(
        source.replace('"stop", Usage(), 0.0, new)', '"stop", Usage(), 0.0, {"settings.json": "{}"})')
    )
    done = run(*new_session(tmp_path, agent, "[experiment]\nmax_failures = 1\n"), "--max-runs", "1")
    assert done.code == 1, done.err
    assert "`settings.json` may not be edited" in events(done.session, "reply_rejected")[0]["reasons"][0]


@pytest.mark.parametrize(
    ("result", "said"),
    [
        ('Reply("", "", "stop", Usage(), 0.0, {"experiment.py": b"x"})', "'experiment.py' maps to bytes"),
        ("{}['answer']", "KeyError: 'answer'"),
    ],
)
def test_an_editor_that_breaks_its_promise(run: Run, tmp_path: Path, agent: str, result: str, said: str):
    plugin = tmp_path / "plugin" / "command_editor.py"
    source = plugin.read_text()
    plugin.write_text(source.replace('Reply(done.stdout, "", "stop", Usage(), 0.0, new)', result))
    done = run(*new_session(tmp_path, agent))
    session = tmp_path / "runs" / "s"
    assert done.code == 3
    assert "command_editor:CommandEditor (ai_sci.editors: command) failed" in done.error and said in done.error
    assert "a bug in ai-sci" not in done.err and done.out.splitlines()[-1] == str(session)
    assert events(session, "replied") == []
    plugin.write_text(source)
    resumed = run("resume", session)
    assert resumed.code == 0, resumed.err


def test_an_edit_format(run: Run, tmp_path: Path):
    points = {"ai_sci.edit_formats": {"json": "JsonEdits"}}
    make_plugin(tmp_path / "plugin", "json_edits", example("json_edits"), points)
    edits = [{"file": "experiment.py", "search": "STEPS = 10", "replace": "STEPS = 20"}]
    replies = ["```edits\n[{]\n```\n", f"Run 1.\n\n```edits\n{json.dumps(edits)}\n```\n", *good_session()[1:]]
    done = run(*new_session(tmp_path, write_script(tmp_path / "script", replies)))
    assert done.code == 0, done.err
    told = events(done.session, "told")
    assert "Or send a code fence named `edits`" in told[0]["text"]
    assert told[0]["text"].index("SEARCH/REPLACE blocks, one per fence") < told[0]["text"].index("Or send a code fence")
    assert (
        "The `edits` at line 1 of the reply cannot be read" in events(done.session, "reply_rejected")[0]["reasons"][0]
    )
    assert shown(done.session)["runs"][0]["metrics"]["steps"] == 20


# Saves what the loss is computed from.
SAVES = EXPERIMENT.replace(
    "    return x * x\n", '    json.dump(x, open(os.path.join(out_dir, "x.json"), "w"))\n    return x * x\n'
)


def test_a_grader(run: Run, tmp_path: Path):
    make_plugin(
        tmp_path / "plugin", "square_grader", example("square_grader"), {"ai_sci.graders": {"square": "SquareGrader"}}
    )
    replies = [
        "Run 1 cheats.\n\n" + block("loss = train(STEPS, RATE)", "loss = train(STEPS, RATE) / 10"),
        block("loss = train(STEPS, RATE) / 10", "loss = train(STEPS, RATE)") + "\n" + block("STEPS = 10", "STEPS = 20"),
        "ALL_COMPLETED\n",
        PLOTS,
        NOTES,
    ]
    model = write_script(tmp_path / "script", replies)
    done = run(*new_session(tmp_path, model, '[grade]\ngrader = "square"\n', experiment_py=SAVES))
    assert done.code == 0, done.err
    baseline, (cheated, honest) = events(done.session, "baseline_measured")[0], events(done.session, "attempt_finished")
    assert baseline["metrics_source"] == "graded"
    assert (cheated["verdict"], cheated["metrics"]) == ("mismatch", {})
    assert "not as final_info.json says" in events(done.session, "told")[2]["text"]
    x = json.loads((done.session / "run_1" / "x.json").read_text())
    assert (honest["verdict"], honest["metrics_source"], honest["metrics"]["loss"]) == ("ok", "graded", x**2)


def test_without_a_grader_numbers_are_self_reported(run: Run, tmp_path: Path):
    model = write_script(tmp_path / "script", good_session())
    done = run(*new_session(tmp_path, model, '[grade]\ncommand = ["python", "grade.py"]\n'))
    assert done.code == 0, done.err
    assert {one["metrics_source"] for one in events(done.session, "attempt_finished")} == {"self-reported"}


def test_a_grader_that_is_not_there_or_broken(run: Run, tmp_path: Path):
    model = write_script(tmp_path / "script", good_session())
    source = example("square_grader").replace("** 2", "** 2 + unknown")
    make_plugin(tmp_path / "plugin", "square_grader", source, {"ai_sci.graders": {"square": "SquareGrader"}})
    done = run(*new_session(tmp_path, model, '[grade]\ngrader = "squere"\n', experiment_py=SAVES))
    assert done.code == 2 and "squere" in done.error and "square" in done.error
    assert not (tmp_path / "runs" / "s").exists()
    done = run(*new_session(tmp_path, model, '[grade]\ngrader = "square"\n', experiment_py=SAVES))
    assert done.code == 3 and "the grader square failed on run_0: NameError" in done.error


def test_a_grader_that_cannot_be_constructed(run: Run, tmp_path: Path):
    source = example("square_grader").replace('template.grade.get("tolerance", 1e-9)', 'template.grade["tolerance"]')
    make_plugin(tmp_path / "plugin", "square_grader", source, {"ai_sci.graders": {"square": "SquareGrader"}})
    model = write_script(tmp_path / "script", good_session())
    done = run(*new_session(tmp_path, model, '[grade]\ngrader = "square"\n', experiment_py=SAVES))
    assert done.code == 2
    assert "square_grader:SquareGrader (ai_sci.graders: square) cannot be opened: KeyError: 'tolerance'" in done.error
    assert not (tmp_path / "runs" / "s").exists()


@pytest.mark.parametrize("group", ["ai_sci.editors", "ai_sci.edit_formats"])
def test_a_package_that_cannot_be_imported(run: Run, tmp_path: Path, group: str):
    make_plugin(tmp_path / "plugin", "broken", "import nowhere\n", {group: {"broken": "Any"}})
    model = "broken:x" if group == "ai_sci.editors" else write_script(tmp_path / "script", good_session())
    done = run(*new_session(tmp_path, model))
    assert done.code == 2
    assert f"broken:Any ({group}: broken) cannot be loaded: ModuleNotFoundError" in done.error
    assert not (tmp_path / "runs" / "s").exists()


def test_a_broken_edit_format_stops_a_resume_and_no_report(run: Run, tmp_path: Path):
    done = run(*new_session(tmp_path, write_script(tmp_path / "script", good_session()[:1])))
    assert done.code == 3, done.err
    points = {"ai_sci.edit_formats": {"broken": "Broken"}}
    make_plugin(tmp_path / "plugin", "broken", "class Broken:\n    def __init__(self): 1 / 0\n", points)
    before = (done.session / "journal.jsonl").read_bytes()
    resumed = run("resume", done.session)
    assert resumed.code == 2
    assert "broken:Broken (ai_sci.edit_formats: broken) cannot be opened: ZeroDivisionError" in resumed.error
    assert (done.session / "journal.jsonl").read_bytes() == before
    assert run("report", done.session).code == 0
