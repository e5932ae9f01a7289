"""An engine of another package: the example of docs/extending.md, driven by the command, killed and resumed."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ai_sci.agent.journal import AttemptFinished, AttemptStarted, SessionStarted, read_journal
from tests.end_to_end.command import ROOT, Done, ai_sci, ai_sci_cold, argv, environment, git_log, shown
from tests.end_to_end.plugins import make_plugin
from tests.end_to_end.templates import EXPERIMENT, block, good_session, make_template, write_script

ENGINES = {"ai_sci.engines": {"queue": "QUEUE", "broken": "NOTHING", "half": "QueueEngine"}}
SLOW = "Run 1.\n\n" + block("STEPS = 10", "STEPS = 20\nimport time\nprint('begins', flush=True)\ntime.sleep(4)")


def examples(heading: str) -> list[str]:
    """The Python code of one section of docs/extending.md."""
    section = (ROOT / "docs" / "extending.md").read_text().partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    return [part.partition("\n```")[0] + "\n" for part in section.split("```python\n")[1:]]


@pytest.fixture
def command(tmp_path, cache) -> Callable[..., Any]:
    """`ai-sci` with the package installed; `start` begins it and does not wait."""
    [source] = examples("Engine")
    plugin = make_plugin(tmp_path / "plugin", "lab_queue", source, ENGINES)
    (tmp_path / "queue").mkdir()
    env = {"PYTHONPATH": f"{ROOT}{os.pathsep}{plugin}", "AI_SCI_CACHE": cache}

    def run(*args: str | Path, start: bool = False) -> Done | subprocess.Popen[bytes]:
        if start:
            return subprocess.Popen(
                argv(*args), cwd=tmp_path, env=environment(**env), stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
        return ai_sci_cold(*args, cwd=tmp_path, **env)

    return run


def options(tmp_path: Path, replies: list[str]) -> list[str | Path]:
    return [
        *("run", "--template", make_template(tmp_path / "template"), "--idea", "more_steps", "--session", "s"),
        *("--model", write_script(tmp_path / "script", replies)),
        *("--engine", "queue", "--engine-option", f"folder={tmp_path / 'queue'}"),
    ]


def events(session: Path, kind: type) -> list[Any]:
    return [entry.event for entry in read_journal(session / "journal.jsonl") if isinstance(entry.event, kind)]


def test_it_executes_a_whole_session(command, tmp_path):
    done = command(*options(tmp_path, good_session()))
    assert done.code == 0, done.err
    [started], [attempt] = events(done.session, SessionStarted), events(done.session, AttemptStarted)
    assert started.engine_options == {"folder": str(tmp_path / "queue")}
    assert attempt.pid == 0 and (tmp_path / "queue" / attempt.job / "outcome").exists()
    assert (done.session / "attempts" / "run_1.1" / "code" / "experiment.py").is_file()
    assert shown(done.session)["runs"][0]["status"] == "ok"


def test_a_job_goes_on_when_ai_sci_is_killed_and_the_resume_takes_its_outcome(command, tmp_path):
    first = command(*options(tmp_path, [SLOW, *good_session()[1:]]), start=True)
    session = tmp_path / "runs" / "s"
    until(lambda: (session / "journal.jsonl").exists() and events(session, AttemptStarted))
    [attempt] = events(session, AttemptStarted)
    log = tmp_path / "queue" / attempt.job / "session" / "attempts" / "run_1.1" / "output.log"
    until(lambda: log.exists() and "begins" in log.read_text())
    first.kill()
    first.wait()
    done = command("resume", session)
    assert done.code == 0, done.err
    assert "1: waiting for job" in done.err
    [finished] = events(session, AttemptFinished)
    assert (finished.attempt, finished.verdict) == (1, "ok") and len(events(session, AttemptStarted)) == 1
    assert "begins" in (session / "attempts" / "run_1.1" / "output.log").read_text()


def test_ctrl_c_ends_the_job(command, tmp_path):
    code = EXPERIMENT + "\nimport time\nif STEPS == 20: time.sleep(600)\n"
    asked = options(tmp_path, good_session())
    make_template(tmp_path / "template", experiment_py=code)
    first = command(*asked, start=True)
    session = tmp_path / "runs" / "s"
    until(lambda: (session / "journal.jsonl").exists() and events(session, AttemptStarted))
    first.send_signal(signal.SIGINT)
    assert first.wait(30) == 3
    assert shown(session)["status"] == "interrupted"
    job = tmp_path / "queue" / events(session, AttemptStarted)[0].job
    until(lambda: not [path for path in Path("/proc").glob("[0-9]*/cmdline") if str(job) in read(path)])


def test_the_time_of_the_session_ends_the_job_and_the_reason_names_the_option(command, tmp_path):
    slow = SLOW.replace("sleep(4)", "sleep(600)")
    done = command(*options(tmp_path, [slow, *good_session()[1:]]), "--max-time", "20s")
    assert done.code == 3, done.err
    state = shown(done.session)
    assert state["status"] == "budget_exhausted" and "--max-time 20s" in state["reason"]
    [finished] = events(done.session, AttemptFinished)
    assert finished.verdict == "lost"
    assert git_log(done.session)[-1] == "run 1 attempt 1 (full): lost"


def test_a_batch_leaves_what_runs_where_to_it(command, tmp_path):
    asked = options(tmp_path, good_session())
    asked[0] = "batch"
    asked[asked.index("--idea")] = "--ideas"
    refused = command(*asked, "--slots", "2")
    assert refused.code == 2 and "--engine queue decides what runs where" in refused.error
    done = command(*asked)
    assert done.code == 0, done.err
    [attempt] = events(done.session / "more_steps", AttemptStarted)
    assert (tmp_path / "queue" / attempt.job / "outcome").exists()


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (("--engine", "cloud"), "--engine cloud is unknown: it is one of local, slurm, broken, half, queue"),
        (("--engine", "broken"), "lab_queue:NOTHING (ai_sci.engines: broken) cannot be loaded: AttributeError"),
        (("--engine", "half"), "--engine half: lab_queue:QueueEngine is not an EngineKind"),
        (("--engine", "queue"), "--engine queue takes --engine-option folder=DIR"),
        (("--engine", "queue", "--engine-option", "folder=/nowhere"), "there is no folder /nowhere"),
        (("--engine", "queue", "--slurm", "partition=x"), "--slurm is for --engine slurm, not for --engine queue"),
        (("--engine-option", "folder=/x"), "--engine local has no options"),
    ],
)
def test_what_cannot_be_meant_is_one_line(command, tmp_path, asked, said):
    script = write_script(tmp_path / "script", good_session())
    done = command(
        "run", "--template", make_template(tmp_path / "template"), "--idea", "more_steps", "--model", script, *asked
    )
    assert done.code == 2 and said in done.error
    assert not list((tmp_path / "runs").glob("*"))


def test_a_session_whose_engine_is_not_installed_any_more_is_shown_and_not_resumed(command, tmp_path, cache):
    done = command(*options(tmp_path, good_session()[:1]))
    assert done.code == 3, done.err
    assert shown(done.session)["status"] == "model_unavailable"
    resumed = ai_sci("resume", done.session, cwd=tmp_path, AI_SCI_CACHE=cache)
    assert resumed.code == 2 and "--engine queue is unknown: it is one of local, slurm" in resumed.error


def test_the_example_of_a_limit_says_what_the_page_says(capsys):
    [source] = examples("Limits")
    exec(compile(source, "docs/extending.md", "exec"), {})
    printed = capsys.readouterr().out
    assert f"```\n{printed}```" in (ROOT / "docs" / "extending.md").read_text()


def until(condition: Callable[[], object], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never came to that"
        time.sleep(0.05)


def read(path: Path) -> str:
    try:
        return path.read_bytes().decode(errors="replace")
    except OSError:  # it has ended
        return ""
