"""Run 0: brought, measured, or measured before; and never accepted when it fails its own checks."""

from __future__ import annotations

import math
import os
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from ai_sci.experiment.attempt.baseline import BaselineOutcome, baseline_key, measure_baseline
from ai_sci.experiment.attempt.runner import AttemptLaunch, AttemptOutcome, AttemptPlan, run_attempt
from ai_sci.experiment.base.limits import Limits
from ai_sci.experiment.base.verdict import Verdict
from ai_sci.experiment.environment.environment import Environment
from ai_sci.experiment.template.checks import Check
from ai_sci.experiment.template.template import Template, load_template
from tests.experiment.attempt.attempts import PYTHON, ROOTS, sandbox_of

ENVIRONMENT = Environment(PYTHON, "test", ROOTS)
LIMITS = Limits(time=20)
CODE = """
import json, sys, time
out = sys.argv[1].split("=")[1]
time.sleep(0.3)
open(out + "/big.bin", "wb").write(b"x" * 1000)
json.dump({"l0": 0, "time": time.time()}, open(out + "/final_info.json", "w"))
"""


class Bench:
    """A template and any number of sessions on it, with a cache of their own."""

    def __init__(self, folder: Path, code: str = CODE) -> None:
        self.folder = folder
        self.started: list[AttemptLaunch] = []
        (folder / "template").mkdir()
        (folder / "template" / "experiment.py").write_text(code)
        self.sessions = 0

    def template(self, **changes: object) -> Template:
        return replace(load_template(str(self.folder / "template")), **changes)  # pyright: ignore[reportArgumentType]

    def execute(self, plan: AttemptPlan) -> AttemptOutcome:
        return run_attempt(plan, self.started.append)

    def measure(
        self,
        template: Template | None = None,
        environment: Environment = ENVIRONMENT,
        limits: Limits = LIMITS,
        failed_since: float = math.inf,
    ) -> BaselineOutcome:
        self.sessions += 1
        self.session = self.folder / "runs" / str(self.sessions)
        self.session.mkdir(parents=True)
        template = template or self.template()
        for path in template.files():
            (self.session / path).write_bytes((template.folder / path).read_bytes())
        return measure_baseline(
            *(self.session, template, environment, None, sandbox_of("bwrap"), self.execute),
            limits=limits,
            failed_since=failed_since,
        )


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.setenv("AI_SCI_CACHE", str(tmp_path / "cache"))
    return Bench(tmp_path)


def test_it_is_measured_once(bench: Bench) -> None:
    first = bench.measure()
    assert (first.verdict, first.reasons, first.source) == (Verdict.ok, (), "measured")
    assert (bench.session / "run_0" / "big.bin").is_file()
    assert (bench.session / "attempts" / "run_0.1" / "output.log").is_file()
    second = bench.measure()
    assert first.seconds > 0 and second == replace(first, source="cached", seconds=0.0)
    assert sorted(os.listdir(bench.session / "run_0")) == ["big.bin", "final_info.json"]
    assert len(bench.started) == 1


def test_what_changes_it(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    template = bench.template()
    key = baseline_key(template, ENVIRONMENT)
    assert key == baseline_key(replace(template, checks=(Check.parse("l0 > 0"),), max_runs=9), ENVIRONMENT)
    others = {
        baseline_key(replace(template, settings={"seed": 1}), ENVIRONMENT),
        baseline_key(template, replace(ENVIRONMENT, key="other")),
    }
    (template.folder / "plot.py").write_text("1")
    (template.folder / "template.toml").write_text("[limits]\ntime = '3s'\n")
    assert key == baseline_key(bench.template(), ENVIRONMENT)
    (template.folder / "helper.py").write_text("1")
    others.add(baseline_key(bench.template(), ENVIRONMENT))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3")
    others.add(baseline_key(template, ENVIRONMENT))
    assert len(others) == 4 and key not in others


def test_a_baseline_that_fails_its_checks_is_named_and_a_corrected_check_needs_no_new_run(bench: Bench) -> None:
    dead = bench.measure(bench.template(checks=(Check.parse("l0 > 0"), Check.parse("steps > 0"))))
    assert (dead.verdict, dead.source) == (Verdict.degenerate, "measured")
    assert dead.reasons == ("l0 is 0, must be > 0", "steps is missing, must be > 0")
    assert dead.metrics["l0"] == 0.0 and (bench.session / "run_0").is_dir()
    fine = bench.measure(bench.template(checks=(Check.parse("l0 >= 0"),)))
    assert (fine.verdict, fine.source, len(bench.started)) == (Verdict.ok, "cached", 1)


def test_a_crash_is_no_baseline_and_is_not_kept_for_whoever_asks_later(bench: Bench) -> None:
    code = bench.folder / "template" / "experiment.py"
    code.write_text("raise ValueError('no data')")
    failed = bench.measure()
    assert (failed.verdict, failed.metrics, failed.source) == (Verdict.crashed, {}, "measured")
    assert failed.reasons[0].startswith("exit code 1: ValueError: no data (log: ")
    assert bench.measure().source == "measured" and len(bench.started) == 2


def test_a_failure_is_taken_over_by_those_who_began_before_it_under_the_same_conditions(bench: Bench) -> None:
    (bench.folder / "template" / "experiment.py").write_text("raise ValueError('no data')")
    before = time.time()
    failed = bench.measure()
    after = time.time()
    taken = bench.measure(failed_since=before)
    assert (taken.verdict, taken.source, taken.seconds, len(bench.started)) == (Verdict.crashed, "cached", 0.0, 1)
    assert taken.reasons == (f"another session measured it: {failed.reasons[0]}",)
    assert bench.measure(limits=Limits(time=30), failed_since=before).source == "measured"
    assert bench.measure(failed_since=after).source == "measured"
    [kept] = (bench.folder / "cache" / "baselines").glob("*.failed.json")
    kept.write_text('{"at": ')
    assert bench.measure(failed_since=before).source == "measured" and len(bench.started) == 4


def test_a_baseline_that_somebody_killed_is_measured_again(bench: Bench) -> None:
    killed = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
    (bench.folder / "template" / "experiment.py").write_text(killed)
    before = time.time()
    assert [bench.measure(failed_since=before).source for _ in range(2)] == ["measured"] * 2


def test_one_that_the_template_brings(bench: Bench) -> None:
    run_0 = bench.folder / "template" / "run_0"
    run_0.mkdir()
    (run_0 / "final_info.json").write_text('{"data": {"means": {"l0": 0.0}}}')
    brought = bench.measure()
    assert brought == BaselineOutcome({"l0": 0.0}, Verdict.ok, (), "template")
    assert (bench.session / "run_0" / "final_info.json").is_file()
    dead = bench.measure(bench.template(checks=(Check.parse("l0 > 0"),)))
    assert (dead.verdict, dead.reasons) == (Verdict.degenerate, ("l0 is 0, must be > 0",))
    (run_0 / "final_info.json").write_text('{"l0": NaN}')
    broken = bench.measure()
    assert (broken.verdict, broken.metrics) == (Verdict.bad_result, {})
    assert broken.reasons == ("run_0: final_info.json holds NaN as 'l0'; a metric has to be a finite number",)
    assert not bench.started


def test_a_damaged_cache_is_measured_again(bench: Bench) -> None:
    bench.measure()
    [kept] = [path for path in (bench.folder / "cache" / "baselines").iterdir() if path.is_dir()]
    (kept / "final_info.json").write_text("{")
    assert (bench.measure().source, len(bench.started)) == ("measured", 2)
    assert bench.measure().source == "cached"


def test_an_interrupted_measurement_is_done_again(bench: Bench) -> None:
    template = bench.template()
    bench.measure()
    leftover = bench.session / "run_0"
    (leftover / "final_info.json").write_text('{"l0": 99}')
    for path in (bench.folder / "cache" / "baselines").iterdir():
        if path.is_dir():
            path.rename(path.with_name(path.name + ".partial"))
    again = measure_baseline(
        bench.session, template, ENVIRONMENT, None, sandbox_of("bwrap"), bench.execute, limits=LIMITS
    )
    assert (again.source, again.metrics["l0"]) == ("measured", 0.0)


def test_two_sessions_that_start_at_once_measure_once(bench: Bench) -> None:
    outcomes, said = at_once(bench, CODE)
    assert sorted(outcome.source for outcome in outcomes) == ["cached", "cached", "measured"]
    assert len({outcome.metrics["time"] for outcome in outcomes}) == 1 and len(bench.started) == 1
    assert said == ["another session is measuring this baseline; waiting for it\n"] * 2


def test_sessions_that_wait_for_a_baseline_that_fails_do_not_measure_it_too(bench: Bench) -> None:
    outcomes, _ = at_once(bench, "import time; time.sleep(0.5); raise ValueError('no data')")
    assert sorted(outcome.source for outcome in outcomes) == ["cached", "cached", "measured"]
    assert {outcome.verdict for outcome in outcomes} == {Verdict.crashed} and len(bench.started) == 1


def at_once(bench: Bench, code: str) -> tuple[list[BaselineOutcome], list[str]]:
    """Of three sessions; and what they said."""
    (bench.folder / "template" / "experiment.py").write_text(code)
    template = bench.template()
    said: list[str] = []
    outcomes: list[BaselineOutcome] = []
    sessions = [bench.folder / "runs" / name for name in "abc"]
    for session in sessions:
        session.mkdir(parents=True)
        (session / "experiment.py").write_text(code)

    def measure(session: Path) -> None:
        outcomes.append(
            measure_baseline(session, template, ENVIRONMENT, None, sandbox_of("bwrap"), bench.execute, said.append)
        )

    threads = [threading.Thread(target=measure, args=(session,)) for session in sessions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    return outcomes, said
