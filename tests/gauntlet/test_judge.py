"""The gauntlet's own judgement: each kind of wrong is reported, so a row that says ok means something."""

from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import replace
from typing import Any

import psutil
import pytest

from tests.gauntlet.case import Case, Ends
from tests.gauntlet.judge import Wrong, problems
from tests.gauntlet.processes import brood
from tests.gauntlet.stage import Kept, Outcome, Seen

SHOWN: dict[str, Any] = {
    **dict.fromkeys(("session", "idea", "template", "model", "started", "ended", "sandbox", "baseline"), ""),
    **{"status": "completed", "reason": "2 runs accepted", "llm": {}, "edits": {}, "commits": 9},
    **{"plots": ["plots/fit.png"], "notes": "notes.txt"},
    "runs": [
        {"run": run, "status": "ok", "attempts": [{"attempt": 1, "verdict": "ok", "reason": "ended normally"}]}
        for run in (1, 2)
    ],
}
KEPT = {1: Kept("c1", "h1", True), 2: Kept("c2", "h2", True)}
GOOD = Seen(0, "", "", SHOWN, kept=KEPT, journal=b"{}\n{}\n", lines=("2 runs accepted",))
CASE = Case("a case")


def judged(ran: Seen = GOOD, resumed: Seen | None = None, case: Case = CASE) -> list[tuple[Wrong, str]]:
    outcome = Outcome(ran, resumed or replace(ran, verdicts=()), 1.0)
    return [(problem.kind, str(problem)) for problem in problems(case, outcome)]


def test_a_good_outcome_has_no_problem():
    assert judged() == []


@pytest.mark.parametrize(
    "doctored, kind, words",
    [
        (replace(GOOD, code=3), Wrong.outcome, "exit code 3, not 0"),
        (replace(GOOD, code=None), Wrong.outcome, "did not end in time"),
        (replace(GOOD, shown={**SHOWN, "status": "gave_up"}), Wrong.outcome, "status gave_up, not completed"),
        (replace(GOOD, shown={**SHOWN, "status": "broken"}), Wrong.outcome, "no name: broken"),
        (replace(GOOD, shown={**SHOWN, "runs": SHOWN["runs"][:1]}), Wrong.lost, "1 runs accepted, not 2"),
        (replace(GOOD, shown={**SHOWN, "plots": []}), Wrong.outcome, "plots []"),
        (replace(GOOD, shown={**SHOWN, "reason": "two\nlines"}), Wrong.outcome, "more than one line"),
        (replace(GOOD, shown={key: SHOWN[key] for key in SHOWN if key != "llm"}), Wrong.outcome, "without ['llm']"),
        (replace(GOOD, shown_wrong="show --json: Expecting value"), Wrong.outcome, "Expecting value"),
        (replace(GOOD, verdicts=("crashed",)), Wrong.outcome, "verdicts crashed, not –"),
        (replace(GOOD, err="ok\nTraceback (most recent call last):\n"), Wrong.uncaught, "Traceback"),
        (replace(GOOD, err="Exception in thread model call:\n"), Wrong.uncaught, "Exception in thread"),
        (replace(GOOD, err="ai-sci: one\nai-sci: two\n"), Wrong.outcome, "more than one line"),
        (replace(GOOD, err=f"ai-sci: {'x' * 999}\n"), Wrong.outcome, "a line of"),
        (replace(GOOD, left=("12 python",)), Wrong.orphan, "left behind: 12 python"),
        (replace(GOOD, git=("git status: M experiment.py",)), Wrong.outcome, "M experiment.py"),
        (replace(GOOD, kept={**KEPT, 1: Kept("c1", "", False)}), Wrong.lost, "run 1 was accepted"),
        (replace(GOOD, kept={**KEPT, 1: Kept("c1", "h1", False)}), Wrong.lost, "not in git"),
        (replace(GOOD, leaks=("/runs/s/log.md",)), Wrong.leaked, "holds a key: /runs/s/log.md"),
        (replace(GOOD, bad_requests=1), Wrong.outcome, "1 requests were refused"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_wrong_with_a_command_is_reported(doctored, kind, words):
    found = judged(doctored, GOOD)
    assert any(one is kind and words in text for one, text in found), found


def test_a_line_that_the_case_asks_for_and_nobody_says_is_reported():
    assert "no line says" in judged(case=replace(CASE, says="HTTP 401"))[0][1]


def test_an_experiments_traceback_is_indented_and_not_ours():
    assert judged(replace(GOOD, err="    Traceback (most recent call last):\n")) == []


STOPPED = replace(
    GOOD,
    code=3,
    shown={**SHOWN, "status": "model_unavailable", "reason": "HTTP 401", "runs": SHOWN["runs"][:1], "plots": []},
    kept={1: KEPT[1]},
    verdicts=("auth",),
)
RESUMABLE = Case("stops", verdicts=("auth",), status="model_unavailable", accepted=1, resumed=Ends())


def test_a_resumed_session_is_judged_too():
    assert judged(STOPPED, GOOD, RESUMABLE) == []
    assert "status gave_up" in judged(STOPPED, replace(GOOD, shown={**SHOWN, "status": "gave_up"}), RESUMABLE)[0][1]
    assert judged(STOPPED, replace(GOOD, journal=b"{}\n"), RESUMABLE)[0][1].endswith("beginning of the journal")


@pytest.mark.parametrize("now", [{}, {1: Kept("c1", "other", True)}, {1: Kept("other", "h1", True)}])
def test_a_run_lost_or_changed_by_resume_is_reported(now):
    found = judged(STOPPED, replace(GOOD, kept={2: KEPT[2], **now}), RESUMABLE)
    assert (Wrong.lost, "after resume: run 1 was") in [(kind, text[:23]) for kind, text in found]


def test_resume_must_leave_a_session_that_ended_as_it_is():
    assert "the journal changed" in judged(GOOD, replace(GOOD, journal=b"{}\n{}\n{}\n"))[0][1]
    assert "exit code 3" in judged(GOOD, replace(GOOD, code=3))[0][1]


def test_a_session_that_was_never_opened_must_say_why():
    refused = Case("refused", status=None, accepted=0)
    never = Seen(2, "", "ai-sci: cannot write in /: Read-only file system.\n", None)
    assert problems(refused, Outcome(never, None, 1.0)) == []
    assert "without a line" in str(problems(refused, Outcome(replace(never, err=""), None, 1.0))[0])


def test_a_daemon_in_a_clean_environment_and_another_folder_is_found_and_ended():
    daemon = "import os, time\nif os.fork() == 0:\n    os.setsid()\n    if os.fork() == 0:\n        time.sleep(60)\n"
    with brood() as births:
        subprocess.run([sys.executable, "-c", daemon], cwd="/", env={}, check=True)
        left = births.left(patience=0.2)
    assert len(left) == 1 and "fork" in left[0]
    deadline = time.monotonic() + 5
    while psutil.pid_exists(int(left[0].split()[0])):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_process_that_ends_by_itself_soon_is_no_orphan():
    with brood() as births:
        subprocess.run(["sh", "-c", "sleep 0.3 &"], check=True, stdout=subprocess.DEVNULL)
        assert births.left() == []
