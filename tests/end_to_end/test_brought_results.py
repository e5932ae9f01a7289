"""A template that brings its own run_0: its code is started once, and only before a session's first call."""

from __future__ import annotations

import json
import subprocess

from tests.end_to_end.command import ai_sci
from tests.end_to_end.templates import good_session, make_template, write_script


def test_a_start_is_kept_in_git_and_a_replay_has_none(tmp_path):
    template = make_template(tmp_path / "template")
    (template / "run_0").mkdir()
    means = {"toy": {"means": {"loss": 0.5, "steps": 10}}}
    (template / "run_0" / "final_info.json").write_text(json.dumps(means))
    model = write_script(tmp_path / "script", good_session())
    run = ("run", "--template", template, "--idea", "more_steps", "--model", model)
    first = ai_sci(*run, cwd=tmp_path, AI_SCI_CACHE=str(tmp_path / "cache"))
    assert first.code == 0, first.err
    assert "… trying the unmodified code\n" in first.err
    log = first.session / "attempts" / "run_1.0" / "output.log"
    assert log.read_text() == "loss 0.2882\n"
    listed = ["git", "ls-tree", "-r", "--name-only", "HEAD", "attempts/run_1.0"]
    tree = subprocess.run(listed, cwd=first.session, check=True, capture_output=True, text=True).stdout
    assert tree.split() == ["attempts/run_1.0/output.log"]
    assert json.loads((first.session / "run_0" / "final_info.json").read_text()) == means

    again = ai_sci("replay", first.session, cwd=tmp_path, AI_SCI_CACHE=str(tmp_path / "another"))
    assert again.code == 0 and "4 of 4 prompts as recorded" in again.err, again.err
    assert not (again.session / "attempts" / "run_1.0").exists()
    branch = ai_sci("replay", first.session, "--from-turn", "2", "--model", model, "--session", "b", cwd=tmp_path)
    assert branch.code == 0 and "trying the unmodified code" not in branch.err
