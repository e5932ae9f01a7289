"""Attempts of a run, with real experiments: which folder is where afterwards, which verdict, which words."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from ai_sci.experiment.attempt.clean_env import BATCH_JOURNAL, other_sessions
from ai_sci.experiment.attempt.plots import PlotPlan, run_plots
from ai_sci.experiment.attempt.runner import (
    AttemptLaunch,
    AttemptOutcome,
    AttemptPlan,
    make_readable,
    run_attempt,
)
from ai_sci.experiment.base.limits import Limits
from ai_sci.experiment.base.process_tree import still_runs
from ai_sci.experiment.base.verdict import Verdict
from ai_sci.experiment.environment.environment import Environment
from ai_sci.experiment.template.checks import Check
from ai_sci.experiment.template.template import Smoke, Template, load_template
from tests.experiment.attempt.attempts import PYTHON, ROOTS, sandbox_of

ENVIRONMENT = Environment(PYTHON, "test", ROOTS)
HEADER = """import argparse, json, os, sys
parser = argparse.ArgumentParser()
parser.add_argument("--out_dir", type=str, default="run_0")
out = parser.parse_args().out_dir
def write(value): json.dump(value, open(os.path.join(out, "final_info.json"), "w"))
"""
GOOD = HEADER + "write({'data': {'means': {'loss': 0.5, 'l0': 3}, 'stderrs': {'loss': 0.1}}})\n"


@pytest.fixture(params=["bwrap", "none"])
def tier(request: pytest.FixtureRequest) -> str:
    sandbox_of(request.param)
    return request.param


def make_session(folder: Path, code: str, tier: str = "bwrap", run: int = 1, **changes: object) -> AttemptPlan:
    """A session on a hand-made AI-Scientist template, and a plan for its first attempt."""
    template_folder, session = folder / "template", folder / "runs" / "session"
    for place in (template_folder, session):
        place.mkdir(parents=True)
        (place / "experiment.py").write_text(code)
        (place / "plot.py").write_text("raise SystemExit('not yet')")
        (place / "helper.py").write_text("VALUE = 1\n")
    (session / "settings.json").write_text("{}\n")
    (session / "run_0").mkdir()
    (session / "run_0" / "final_info.json").write_text('{"data": {"means": {"loss": 1.0}}}')
    template = replace(load_template(str(template_folder)), **changes)  # pyright: ignore[reportArgumentType]
    return AttemptPlan(session, run, 1, "full", template, ENVIRONMENT, None, sandbox_of(tier), Limits(time=20))


def run(plan: AttemptPlan, **changes: object) -> AttemptOutcome:
    return run_attempt(replace(plan, **changes))  # pyright: ignore[reportArgumentType]


def test_an_accepted_run(tmp_path: Path, tier: str) -> None:
    plan = make_session(tmp_path, GOOD, tier)
    launches: list[AttemptLaunch] = []
    outcome = run_attempt(plan, launches.append)
    assert (outcome.verdict, outcome.digest, outcome.exit_code) == (Verdict.ok, "", 0)
    assert outcome.metrics == {"loss": 0.5, "l0": 3.0} and outcome.stderrs == {"loss": 0.1}
    assert outcome.out_dir == plan.out_dir and (plan.out_dir / "final_info.json").is_file()
    assert (plan.folder / "code" / "experiment.py").read_text() == GOOD
    assert outcome.log == plan.folder / "output.log" and outcome.log.is_file()
    [launch] = launches
    assert launch.plan == plan and launch.process is not None and not still_runs(launch.process)
    assert sorted(os.listdir(plan.session / "attempts")) == ["run_1.1"]


def test_a_smoke_attempt_is_the_same_command_and_leaves_no_run(tmp_path: Path, tier: str) -> None:
    code = HEADER + "write({'smoke': os.environ.get('AI_SCI_SMOKE') == '1' and 1 or 0, 'argc': len(sys.argv)})\n"
    checks = (Check.parse("never > 0"),)
    plan = make_session(tmp_path, code, tier, smoke=Smoke(10), checks=checks)
    smoke = run(plan, kind="smoke")
    assert (smoke.verdict, smoke.metrics) == (Verdict.ok, {"smoke": 1.0, "argc": 2.0})
    assert smoke.out_dir == plan.folder / "out" and not plan.out_dir.exists()
    full = run(plan, kind="full", attempt=2, template=replace(plan.template, checks=()))
    assert full.metrics == {"smoke": 0.0, "argc": 2.0}


@pytest.mark.parametrize(
    "code, verdict, said",
    [
        ("1/0", Verdict.crashed, "exit code 1: ZeroDivisionError: division by zero"),
        ("sys.exit(0)", Verdict.no_result, "ended without writing final_info.json into run_1 (it is empty)"),
        ("os._exit(0)", Verdict.no_result, "ended without writing"),
        ("open(out + '/model.pt', 'w')", Verdict.no_result, "it holds only model.pt"),
        ("write({'loss': float('nan')})", Verdict.bad_result, "holds NaN as 'loss'"),
        ("os.symlink('/etc/passwd', out + '/final_info.json')", Verdict.bad_result, "symbolic link"),
        ("os.mkfifo(out + '/final_info.json')", Verdict.bad_result, "is a pipe"),
        ("write({'l0': 0})", Verdict.degenerate, "the template's checks do not hold: l0 is 0, must be > 0"),
        (
            "import time; time.sleep(60)",
            Verdict.timed_out,
            "killed after 1 s, the time limit (limits.time or --timeout)",
        ),
        ("os.kill(os.getpid(), 9)", Verdict.crashed, "killed from outside by SIGKILL"),
    ],
)
def test_a_failure_has_a_name_a_reason_and_a_digest(
    tmp_path: Path, tier: str, code: str, verdict: Verdict, said: str
) -> None:
    plan = make_session(tmp_path, HEADER + code, tier, checks=(Check.parse("l0 > 0"),))
    outcome = run(plan, limits=Limits(time=1))
    assert (outcome.verdict, said in outcome.reason) == (verdict, True), outcome.reason
    assert outcome.digest.startswith(f"Verdict: {verdict}\nReason: {outcome.reason}")
    assert outcome.out_dir == plan.folder / "out" and outcome.out_dir.is_dir() and not plan.out_dir.exists()


def test_the_metrics_of_a_degenerate_run_are_still_known(tmp_path: Path) -> None:
    plan = make_session(tmp_path, HEADER + "write({'l0': 0})", checks=(Check.parse("l0 > 0"),))
    assert run(plan).metrics == {"l0": 0.0}


def test_the_limit_of_a_smoke_attempt_is_named(tmp_path: Path) -> None:
    plan = make_session(tmp_path, HEADER + "import time; time.sleep(60)", smoke=Smoke(0.5))
    assert run(plan, kind="smoke").reason == "killed after 0.5 s, the time limit ([smoke] time)"


def test_what_filled_the_disk_is_gone(tmp_path: Path) -> None:
    plan = make_session(tmp_path, HEADER + "for n in range(90): open(f'{out}/{n}', 'wb').write(b'x' * 1_000_000)")
    outcome = run(plan, limits=Limits(time=20, disk=30 * 1024**2))
    assert outcome.verdict is Verdict.out_of_disk
    assert not outcome.out_dir.exists() and not plan.out_dir.exists()


def test_an_attempt_that_was_cut_short_is_moved_away(tmp_path: Path) -> None:
    plan = make_session(tmp_path, GOOD)
    plan.folder.mkdir(parents=True)
    (plan.folder / "output.log").write_text("the harness died here")
    plan.out_dir.mkdir()
    (plan.out_dir / "half").write_text("1")
    outcome = run(plan, attempt=2)
    assert outcome.verdict is Verdict.ok and sorted(os.listdir(plan.out_dir)) == ["final_info.json"]
    assert (plan.folder / "out" / "half").is_file()  # in the folder of attempt 1, whose output it was
    again = run(plan, attempt=1)
    assert again.verdict is Verdict.ok
    assert (plan.session / "attempts" / "run_1.1.lost" / "output.log").read_text() == "the harness died here"


def test_the_code_is_read_only_and_so_are_other_runs(tmp_path: Path) -> None:
    tries = "\n".join(
        f"try: {statement}; done.append({name!r})\nexcept OSError: pass"
        for name, statement in {
            "code": "open('experiment.py', 'a')",
            "baseline": "open('run_0/final_info.json', 'w')",
            "next run": "os.mkdir('run_2')",
            "settings": "os.unlink('settings.json')",
            "git": "open('.git', 'w')",
        }.items()
    )
    plan = make_session(tmp_path, HEADER + f"done = []\n{tries}\nprint(done)\nwrite({{'x': len(done)}})\n")
    outcome = run(plan)
    assert (outcome.verdict, outcome.metrics) == (Verdict.ok, {"x": 0.0}), outcome.log.read_text()


def test_tampering_is_seen_and_undone_without_a_sandbox(tmp_path: Path) -> None:
    code = GOOD + (
        "open('experiment.py', 'a').write('# more')\nopen('run_0/final_info.json', 'w').write('{}')\n"
        "os.unlink('settings.json')\nos.mkdir('run_2'); open('run_2/final_info.json', 'w').write('{}')\n"
        "os.unlink('helper.py'); os.symlink('/etc/passwd', 'helper.py')\n"
    )
    plan = make_session(tmp_path, code, "none")
    outcome = run(plan)
    assert (outcome.verdict, outcome.metrics) == (Verdict.tampered, {})
    changed = "experiment.py, helper.py, run_0/final_info.json, run_2, settings.json"
    assert outcome.reason == f"the experiment changed {changed}, which only ai-sci may do; it was put back"
    assert (plan.session / "experiment.py").read_text() == code
    assert (plan.session / "run_0" / "final_info.json").read_text() == '{"data": {"means": {"loss": 1.0}}}'
    assert (plan.session / "settings.json").read_text() == "{}\n"
    assert (plan.session / "helper.py").read_text() == "VALUE = 1\n" and not (plan.session / "helper.py").is_symlink()
    assert not (plan.session / "run_2").exists()


def test_the_environment_of_an_experiment(tmp_path: Path, tier: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEEPSEEK_API_KEY", "sk-secret")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    data = tmp_path / "cache" / "data"
    data.mkdir(parents=True)
    (data / "x").write_text("3")
    code = (
        "print(json.dumps(dict(os.environ)))\nvalue = int(open(os.environ['AI_SCI_DATA'] + '/x').read())\n"
        "sys.path.insert(0, '.'); import helper\nwrite({'data': value, 'helper': helper.VALUE})\n"
    )
    outcome = run(make_session(tmp_path, HEADER + code, tier), data=data)
    assert outcome.metrics == {"data": 3.0, "helper": 1.0}
    environment = json.loads(outcome.log.read_text())
    assert "sk-secret" not in outcome.log.read_text()
    assert environment["CUDA_VISIBLE_DEVICES"] == "1" and environment["AI_SCI_DATA"] == str(data)
    assert int(environment["OMP_NUM_THREADS"]) >= 1 and "AI_SCI_SMOKE" not in environment
    assert environment["PATH"].startswith(f"{PYTHON.parent}:")


def test_ctrl_c_leaves_what_the_next_attempt_can_clear_away(tmp_path: Path, tier: str) -> None:
    plan = make_session(tmp_path, HEADER + "print(1, flush=True)\nimport time; time.sleep(60)", tier)

    def interrupted(text: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_attempt(plan, on_output=interrupted)
    (plan.session / "experiment.py").write_text(GOOD)
    assert run(plan, attempt=2).verdict is Verdict.ok


# --- plots ------------------------------------------------------------------------------------------------------------


def plot(folder: Path, code: str, tier: str, prepare: Callable[[Path], object] = lambda session: None):
    plan = make_session(folder, GOOD, tier)
    (plan.session / "plot.py").write_text(code)
    prepare(plan.session)
    return plan.session, run_plots(
        PlotPlan(plan.session, 1, plan.template, ENVIRONMENT, plan.sandbox, None, Limits(time=20))
    )


DRAW = """
import json, os
runs = sorted(name for name in os.listdir('./') if name.startswith('run') and os.path.isdir(name))
losses = [json.load(open(name + '/final_info.json'))['data']['means']['loss'] for name in runs]
open('loss.png', 'wb').write(repr(losses).encode())
os.mkdir('more'); open('more/bars.svg', 'w').write('<svg/>'); open('table.csv', 'w').write('1')
os.symlink('/etc/passwd', 'secret.png'); open('empty.png', 'w')
import helper
"""


def test_pictures_are_collected(tmp_path: Path, tier: str) -> None:
    def before(session: Path) -> None:
        (session / "plots").mkdir()
        (session / "plots" / "old.png").write_text("of an earlier try")

    session, outcome = plot(tmp_path, DRAW, tier, before)
    assert (outcome.verdict, outcome.files, outcome.digest) == (Verdict.ok, ("loss.png", "more_bars.svg"), "")
    assert sorted(os.listdir(session / "plots")) == ["loss.png", "more_bars.svg"]
    assert (session / "plots" / "loss.png").read_text() == "[1.0]"


@pytest.mark.parametrize(
    "code, verdict, said",
    [
        ("1/0", Verdict.crashed, "ZeroDivisionError"),
        ("pass", Verdict.no_result, "without writing a picture"),
        ("open('run_0/final_info.json', 'w')", Verdict.crashed, "Read-only file system"),
        ("open('../../../plot.py', 'w')", Verdict.crashed, "Read-only file system"),
    ],
)
def test_plots_that_fail(tmp_path: Path, code: str, verdict: Verdict, said: str) -> None:
    session, outcome = plot(tmp_path, code, "bwrap")
    assert (outcome.verdict, outcome.files) == (verdict, ())
    assert said in outcome.reason and outcome.digest.startswith(f"Verdict: {verdict}")
    assert not (session / "plots").exists()


def test_a_hand_made_ai_scientist_template(tmp_path: Path) -> None:
    """Nothing of ours in the folder, and `out_dir` made by the experiment itself, as those templates do."""
    folder = tmp_path / "grokking"
    (folder / "run_0").mkdir(parents=True)
    code = """
import pathlib
pathlib.Path(out).mkdir(parents=True, exist_ok=True)
os.makedirs(out, exist_ok=True)
first = {'means': {'acc_mean': 0.9}, 'stderrs': {'acc_stderr': 0.0}, 'final_info_dict': {'acc': [0.9]}}
write({'x_div_y': first, 'permutation': {'means': {'acc_mean': 0.8}, 'stderrs': {'acc_stderr': 0}}})
"""
    (folder / "experiment.py").write_text(HEADER + code)
    (folder / "run_0" / "final_info.json").write_text('{"x_div_y": {"means": {"acc_mean": 0.1}, "stderrs": {}}}')
    template: Template = load_template(str(folder))
    session = tmp_path / "runs" / "one"
    session.mkdir(parents=True)
    for path in template.files():
        (session / path).write_bytes((folder / path).read_bytes())
    outcome = run_attempt(
        AttemptPlan(session, 1, 1, "full", template, ENVIRONMENT, None, sandbox_of("bwrap"), template.limits)
    )
    assert outcome.verdict is Verdict.ok, outcome.reason
    assert outcome.metrics == {"x_div_y/acc_mean": 0.9, "permutation/acc_mean": 0.8}
    assert outcome.stderrs == {"x_div_y/acc_mean": 0.0, "permutation/acc_mean": 0.0}
    assert sys.prefix in str(ENVIRONMENT.roots)


def test_an_output_whose_rights_were_taken_away_can_be_moved_and_read(tmp_path: Path) -> None:
    out = tmp_path / "run_1"
    (out / "sub").mkdir(parents=True)
    (out / "sub" / "file").write_text("x")
    (out / "link").symlink_to("/etc/hostname")
    before = Path("/etc/hostname").stat().st_mode
    (out / "sub" / "file").chmod(0)
    (out / "sub").chmod(0o300)
    out.chmod(0o555)
    make_readable(out)
    modes = [path.stat().st_mode & 0o700 for path in (out, out / "sub", out / "sub" / "file")]
    assert modes == [0o700, 0o700, 0o600]
    assert Path("/etc/hostname").stat().st_mode == before


def test_the_sessions_beside_a_batch_are_hidden_too(tmp_path: Path) -> None:
    session = tmp_path / "runs" / "night" / "idea"
    session.mkdir(parents=True)
    assert other_sessions(session) == tmp_path / "runs" / "night"
    (tmp_path / "runs" / "night" / BATCH_JOURNAL).touch()
    assert other_sessions(session) == tmp_path / "runs"
    assert other_sessions(Path("/idea")) == Path("/")
