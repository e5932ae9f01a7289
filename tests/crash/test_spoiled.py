"""Killed while an attempt without a sandbox has changed what only ai-sci may change: resume puts all of it back."""

from __future__ import annotations

import json
import signal
import subprocess
import time

from ai_sci.agent.views.show import as_json, read_state
from tests.crash.stories import SPOILED
from tests.end_to_end.command import ROOT, ai_sci, argv, environment, shown
from tests.end_to_end.templates import NOTES, PLOTS, block, good_session, make_template, write_script

SPOIL = SPOILED + "\nimport time\ntime.sleep(60)"


def test_what_an_unfinished_attempt_spoiled_is_put_back(tmp_path):
    template = make_template(tmp_path / "template", "[settings]\nsteps = 30\n[limits]\ntime = 2\n")
    replies = [
        block("STEPS = 10", "STEPS = json.load(open('settings.json'))['steps']" + SPOIL),
        block(SPOIL.strip("\n"), "print('better')"),
        *("ALL_COMPLETED", PLOTS, NOTES),
    ]
    model = write_script(tmp_path / "script", replies)
    options = ("--sandbox", "none", "--allow-unsandboxed", "--timeout", "60s")
    process = subprocess.Popen(
        argv("run", "--template", template, "--idea", "more_steps", "--session", "s", "--model", model, *options),
        cwd=tmp_path,
        env=environment(PYTHONPATH=str(ROOT), AI_SCI_CACHE=str(tmp_path / "cache")),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    session = tmp_path / "runs" / "s"
    deadline = time.monotonic() + 200
    while not ((session / "attempts/run_1.1").exists() and (session / "run_0/final_info.json").read_text() == "{}"):
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    # The same attempt is repeated, and would sleep for its whole time limit.
    journal = session / "journal.jsonl"
    journal.write_text(journal.read_text().replace('"time": 60.0', '"time": 2.0'))
    done = ai_sci("resume", session, cwd=tmp_path, AI_SCI_CACHE=str(tmp_path / "cache"))
    assert done.code == 0, done.err
    shown = as_json(session, read_state(session))
    verdicts = [one["verdict"] for one in shown["runs"][0]["attempts"]]
    assert verdicts == ["lost", "tampered", "ok"]
    assert shown["runs"][0]["metrics"]["steps"] == 30
    assert json.loads((session / "settings.json").read_text()) == {"steps": 30}
    assert json.loads((session / "run_0/final_info.json").read_text())["toy"]["means"]["steps"] == 10


def test_checks_and_settings_are_read_after_the_files_are_put_back(tmp_path):
    """What an attempt without a sandbox did to template.toml or settings.json judges nothing after a resume."""
    template = make_template(tmp_path / "template", '[checks]\nrules = ["steps > 0"]\n[settings]\nseed = 1\n')
    replies = good_session()
    first = write_script(tmp_path / "first", replies[:1])
    begun = ai_sci(
        *("run", "--template", template, "--idea", "more_steps", "--session", "s", "--model", first), cwd=tmp_path
    )
    assert begun.code == 3, begun.err
    rules = (begun.session / "template.toml").read_text()
    (begun.session / "template.toml").write_text(rules.replace("steps > 0", "steps > 1000"))
    (begun.session / "settings.json").write_text("{")
    more = [replies[0], block("STEPS = 20", "STEPS = 30"), *replies[1:]]
    done = ai_sci("resume", begun.session, "--model", write_script(tmp_path / "all", more), cwd=tmp_path)
    assert done.code == 0, done.err
    assert [run["status"] for run in shown(begun.session)["runs"]] == ["ok", "ok"]
    assert (begun.session / "template.toml").read_text() == rules
