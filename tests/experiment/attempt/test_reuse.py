"""The key of an attempt: each thing that decides an outcome changes it, and what does not decide leaves it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from ai_sci.experiment.attempt.baseline import conditions_key
from ai_sci.experiment.attempt.reuse import attempt_key
from ai_sci.experiment.attempt.runner import AttemptPlan
from ai_sci.experiment.base.limits import Limits
from ai_sci.experiment.environment.environment import Environment
from ai_sci.experiment.sandbox.unsandboxed import Unsandboxed
from ai_sci.experiment.template.template import load_template

Change = Callable[[AttemptPlan], AttemptPlan]


def plan_in(folder: Path) -> AttemptPlan:
    folder.mkdir()
    (folder / "experiment.py").write_text("print('x')\n")
    (folder / "evaluate.py").write_text("right = True\n")
    (folder / "template.toml").write_text("[settings]\nseed = 1\n")
    (folder / "run_0").mkdir()
    (folder / "run_0" / "final_info.json").write_text('{"loss": 1.0}')
    environment = Environment(Path("/usr/bin/python3"), "numpy 1", ())
    template = load_template(str(folder))
    return AttemptPlan(folder, 1, 1, "full", template, environment, None, Unsandboxed(), Limits())


def key(plan: AttemptPlan, code_hash: str = "code") -> str:
    return attempt_key(plan, conditions_key(plan.template, plan.environment), code_hash)


def written(name: str, text: str) -> Change:
    def change(plan: AttemptPlan) -> AttemptPlan:
        (plan.session / name).write_text(text)
        return plan

    return change


def other_settings(plan: AttemptPlan) -> AttemptPlan:
    return replace(plan, template=replace(plan.template, settings={"seed": 2}))


def other_packages(plan: AttemptPlan) -> AttemptPlan:
    return replace(plan, environment=replace(plan.environment, key="numpy 2"))


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(other_settings, id="settings"),
        pytest.param(other_packages, id="packages"),
        pytest.param(written("evaluate.py", "right = False\n"), id="a file that nobody edits"),
        pytest.param(written("run_0/final_info.json", '{"loss": 2.0}'), id="the result of another run"),
        pytest.param(lambda plan: replace(plan, kind="smoke"), id="smoke"),
        pytest.param(lambda plan: replace(plan, run=2), id="run"),
        pytest.param(lambda plan: replace(plan, limits=replace(plan.limits, memory=1 << 30)), id="memory"),
    ],
)
def test_what_decides_the_outcome_changes_the_key(tmp_path, change: Change):
    plan = plan_in(tmp_path / "session")
    before = key(plan)
    assert key(plan) == before
    assert key(change(plan)) != before


def test_other_code_changes_the_key(tmp_path):
    plan = plan_in(tmp_path / "session")
    assert key(plan, "code") != key(plan, "other code")


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda plan: replace(plan, attempt=7), id="number of the attempt"),
        pytest.param(lambda plan: replace(plan, limits=replace(plan.limits, time=5.0)), id="time limit"),
        pytest.param(written("notes.txt", "a note\n"), id="notes"),
    ],
)
def test_what_does_not_decide_leaves_the_key(tmp_path, change: Change):
    plan = plan_in(tmp_path / "session")
    before = key(plan)
    assert key(change(plan)) == before
