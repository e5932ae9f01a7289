"""A night with many ideas, by the real command."""

from __future__ import annotations

import json
import random
import shutil
import signal
import time
from pathlib import Path

import psutil
import pytest

from ai_sci.agent.batch.state import read_batch
from ai_sci.agent.journal.events import BaselineMeasured, BaselineStarted
from ai_sci.agent.journal.journal import read_journal
from ai_sci.agent.journal.state import Status
from ai_sci.agent.session.reading import read_state
from ai_sci.experiment.slots.slots import gpu_slots, take
from tests.batch.command import Batch, gone, ledger
from tests.batch.fleet import TOML, Thinker, clocks, make_fleet, overlaps
from tests.end_to_end.command import ai_sci
from tests.end_to_end.templates import block, make_template, write_script


def some_closed(number: int):
    """Whether so many ideas have ended for good."""
    return lambda state: sum(idea.done for idea in state.ideas.values()) >= number


def test_every_idea_ends_and_no_two_experiments_share_a_gpu(batch, tmp_path):
    fleet = make_fleet(tmp_path, 7, 2, running=(0.1, 0.4))
    done = batch("--ideas", "all", "--template", fleet.template, "--gpus", "0,1,2").ended()
    assert done.code == 0, done.err
    night = tmp_path / "runs" / "night"
    assert done.session == night
    state = read_batch(night)
    assert state.status is Status.completed and len(state.ideas) == 7
    found = list(clocks(night))
    assert len(found) == 14 and not overlaps(found)
    assert {clock.gpus for clock in found} == {"0", "1", "2"}
    sources = [baseline_of(night / name).source for name in state.ideas]
    assert sorted(sources) == ["cached"] * 6 + ["measured"]


def test_a_baseline_that_fails_is_measured_once_for_all_ideas(batch, resume, tmp_path):
    fleet = make_fleet(tmp_path, 4, 1)
    (fleet.template / "experiment.py").write_text("import time\ntime.sleep(1.5)\nraise ValueError('no data')\n")
    night = batch("--ideas", "all", "--template", fleet.template, "--gpus", "0,1,2", "--at-once", "3")
    journals = [night.folder / name / "journal.jsonl" for name in list(fleet.works)[:3]]
    while not all(journal.exists() for journal in journals):
        time.sleep(0.02)
    night.signal(signal.SIGKILL)
    night.ended()
    # Three are resumed and one begins, each after the one before has ended.
    journal = night.folder / "batch.jsonl"
    journal.write_text(journal.read_text().replace('"at_once": 3', '"at_once": 1'))
    assert resume().ended().code == 1
    baselines = [baseline_of(night.folder / name) for name in read_batch(night.folder).ideas]
    assert sorted(one.source for one in baselines) == ["cached"] * 3 + ["measured"]
    assert {one.verdict for one in baselines} == {"crashed"}


def baseline_of(session: Path) -> BaselineMeasured:
    events = [entry.event for entry in read_journal(session / "journal.jsonl")]
    return next(event for event in events if isinstance(event, BaselineMeasured))


def test_a_share_of_the_cpus_belongs_to_one_experiment(batch, tmp_path):
    fleet = make_fleet(tmp_path, 4, 1, running=(0.2, 0.4))
    assert batch("--ideas", "all", "--template", fleet.template, "--slots", "2").ended().code == 0
    found = list(clocks(tmp_path / "runs" / "night"))
    by_share = {clock.cpus for clock in found}
    assert len(by_share) == min(2, psutil.cpu_count() or 1)
    at_once = [
        (a, b) for a in found for b in found if a.session < b.session and a.began < b.ended and b.began < a.ended
    ]
    assert at_once or len(by_share) == 1
    assert all(not set(a.cpus) & set(b.cpus) for a, b in at_once)


def test_what_happens_to_one_idea_touches_no_other(batch, tmp_path):
    fleet = make_fleet(tmp_path, 5, 1)
    crash = [block("SECONDS = 0.0", "SECONDS = 1 / 0")] + ["I do not know."] * 20
    shutil.rmtree(fleet.template / "scripted" / "idea_001")
    write_script(fleet.template / "scripted" / "idea_001", crash)
    shutil.rmtree(fleet.template / "scripted" / "idea_002")
    write_script(fleet.template / "scripted" / "idea_002", ["No idea."])  # and then the replies are used up
    done = batch("--ideas", "all", "--template", fleet.template, "--gpus", "0,1", "--max-runs", "1").ended()
    night = tmp_path / "runs" / "night"
    ends = {name: read_state(night / name).status.value for name in read_batch(night).ideas}
    assert ends == {
        "idea_000": "completed",
        "idea_001": "no_run_accepted",
        "idea_002": "model_unavailable",
        "idea_003": "completed",
        "idea_004": "completed",
    }
    assert done.code == 3 and read_batch(night).status is Status.model_unavailable


def test_a_killed_batch_leaves_no_process_and_goes_on_where_it_was(batch, resume, tmp_path):
    fleet = make_fleet(tmp_path, 4, 2, running=(0.2, 0.4))
    args = ("--ideas", "all", "--template", fleet.template, "--gpus", "0,1,2")
    first = batch(*args)
    first.until(lambda state: any(first.folder.glob("*/run_1")))  # and all have a run to come
    tree = first.tree()
    first.signal(signal.SIGKILL)
    first.ended()
    assert gone(tree)
    done = resume().ended()
    assert done.code == 0, done.err
    disturbed = ledger(first.folder)
    first.folder.rename(tmp_path / "disturbed")
    assert batch(*args).ended().code == 0
    assert ledger(first.folder) == disturbed


def test_a_killed_session_goes_on_in_a_new_process(batch, tmp_path):
    fleet = make_fleet(tmp_path, 4, 3, running=(0.3, 0.5))
    night = batch("--ideas", "all", "--template", fleet.template, "--gpus", "0,1")
    night.until(lambda state: any(night.folder.glob("*/run_1")))
    # Whoever has its last run before it may have ended a moment later.
    at_work = [idea.at_work for idea in read_batch(night.folder).ideas.values() if idea.at_work is not None]
    unfinished = [one.pid for one in at_work if not (night.folder / one.session / "run_2").exists()]
    victim = psutil.Process(random.choice(unfinished))
    tree = [victim, *victim.children(recursive=True)]
    victim.kill()
    assert gone(tree)
    done = night.ended()
    assert done.code == 0, done.err
    state = read_batch(night.folder)
    assert state.status is Status.completed
    assert sorted(idea.launches for idea in state.ideas.values()) == [1, 1, 1, 2]
    assert not overlaps(list(clocks(night.folder)))


def test_ctrl_c_ends_all_in_order_and_resume_goes_on(batch, resume, tmp_path):
    fleet = make_fleet(tmp_path, 4, 2, running=(1.0, 1.5))
    night = batch("--ideas", "all", "--template", fleet.template, "--gpus", "0,1")
    night.until(lambda state: sum(idea.launches for idea in state.ideas.values()) == 4)
    tree = night.tree()
    night.signal(signal.SIGINT)
    done = night.ended()
    assert done.code == 3 and done.session == night.folder and "Traceback" not in done.err
    assert gone(tree)
    state = read_batch(night.folder)
    assert state.status is Status.interrupted
    left = {idea.left.status for idea in state.ideas.values() if idea.left is not None}
    assert left <= {"interrupted", "completed"} and "interrupted" in left
    assert resume().ended().code == 0
    assert read_batch(night.folder).status is Status.completed
    again = resume().ended()
    assert again.code == 0 and "nothing to resume" in again.err


def test_ideas_can_be_added_while_it_runs_and_after(batch, resume, tmp_path, cache):
    fleet = make_fleet(tmp_path, 3, 2, running=(1.0, 1.2))
    more = tmp_path / "more.json"
    more.write_text(json.dumps([{"Name": "idea_000", "Title": "again", "Experiment": "Another one of that name."}]))
    night = batch("--ideas", "idea_000,idea_001", "--template", fleet.template, "--gpus", "0")
    night.until(lambda state: True)

    def add(ideas: str):
        env = {"AI_SCI_CACHE": cache, "AI_SCI_SLOTS": str(tmp_path / "slots")}
        return ai_sci(
            "batch", "--add-to", night.folder, "--ideas", ideas, "--template", fleet.template, cwd=tmp_path, **env
        )

    added = add("idea_002")
    assert added.code == 0 and "has taken them in" in added.err, added.err
    assert add(str(more)).code == 0
    assert night.ended().code == 0
    state = read_batch(night.folder)
    assert list(state.ideas) == ["idea_000", "idea_001", "idea_002", "fleet_idea_000"]
    assert all(idea.done for idea in state.ideas.values())
    assert "has all of these ideas already" in add("idea_001").err
    assert not list((night.folder / "added").iterdir())


@pytest.mark.slow
def test_two_batches_never_share_a_gpu(batch, tmp_path, cache):
    fleet = make_fleet(tmp_path, 3, 2, running=(0.2, 0.4))
    one = batch("--ideas", "all", "--template", fleet.template, "--gpus", "0,1")
    args = ("batch", "--session", "other", "--ideas", "all", "--template", fleet.template, "--gpus", "1,0")
    from tests.batch.command import Batch

    other = Batch(tmp_path, *args, AI_SCI_CACHE=cache)
    assert (one.ended().code, other.ended().code) == (0, 0)
    found = [*clocks(tmp_path / "runs" / "night"), *clocks(tmp_path / "runs" / "other")]
    assert len(found) == 12 and not overlaps(found)


@pytest.mark.slow
def test_the_time_of_a_batch_is_kept_and_can_be_raised(batch, resume, tmp_path):
    fleet = make_fleet(tmp_path, 2, 2, running=(1.5, 2.0))
    started = time.monotonic()
    done = batch("--ideas", "all", "--template", fleet.template, "--gpus", "0", "--max-time", "3s").ended()
    assert done.code == 3 and time.monotonic() - started < 25, done.err
    night = tmp_path / "runs" / "night"
    state = read_batch(night)
    assert state.status is Status.budget_exhausted
    assert {idea.left.status for idea in state.ideas.values() if idea.left} <= {"budget_exhausted", "completed"}
    assert resume("--max-time", "5m").ended().code == 0
    assert read_batch(night).status is Status.completed


def test_what_a_session_waited_for_its_slot_is_gone_from_the_time_of_the_batch(batch, tmp_path, monkeypatch):
    monkeypatch.setenv("AI_SCI_SLOTS", str(tmp_path / "slots"))
    fleet = make_fleet(tmp_path, 1, 1, toml=TOML + "gpus = 1\n")
    code = fleet.template / "experiment.py"
    code.write_text(code.read_text().replace("SECONDS = 0.0", "SECONDS = 40.0"))
    held = take(gpu_slots(["0"]), 1)
    assert held is not None
    started = time.monotonic()
    night = batch("--ideas", "all", "--template", fleet.template, "--gpus", "0", "--max-time", "7s")
    night.until(lambda state: sum(idea.launches for idea in state.ideas.values()) == 1)
    time.sleep(3)
    held.close()
    done = night.ended()
    assert done.code == 3 and time.monotonic() - started < 25, done.err
    events = [entry.event for entry in read_journal(night.folder / "idea_000" / "journal.jsonl")]
    limits = [event.limit for event in events if isinstance(event, BaselineStarted)]
    assert len(limits) == 1 and limits[0] <= 4.0
    state = read_state(night.folder / "idea_000")
    assert state.status is Status.budget_exhausted and state.ended
    assert "--max-time 7s of the batch" in state.ended.reason


def test_a_server_that_is_away_for_a_while_costs_no_idea(batch, tmp_path):
    fleet = make_fleet(tmp_path, 4, 3, thinking=(0.5, 0.8))
    with Thinker(fleet) as server:
        args = ("--model", "openai/any", "--api-base", server.url, "--max-runs", "3", "--gpus", "0")
        night = batch("--ideas", "all", "--template", fleet.template, *args, AI_SCI_OUTAGE_WAIT="0.5")
        night.until(lambda state: any(night.folder.glob("*/run_1")))  # and most is still to be asked
        server.stop_listening()
        night.until(
            lambda state: any(one.left and one.left.status == "model_unavailable" for one in state.ideas.values())
        )
        server.listen()
        done = night.ended()
    assert done.code == 0, done.err
    assert "no session is begun for" in done.err


@pytest.mark.slow
def test_several_templates_take_turns_and_may_have_ideas_of_the_same_name(batch, tmp_path):
    one, other = make_fleet(tmp_path, 2, 1), make_fleet(tmp_path, 2, 1, name="armada", seed=1)
    args = ("--template", one.template, "--template", other.template)
    assert batch("--ideas", "all", *args, "--gpus", "0").ended().code == 0
    names = ["idea_000", "armada_idea_000", "idea_001", "armada_idea_001"]
    assert list(read_batch(tmp_path / "runs" / "night").ideas) == names


def test_what_is_wrong_is_said_before_anything_begins(batch, resume, tmp_path):
    fleet = make_fleet(tmp_path, 2, 1)
    template = make_template(tmp_path / "plain")
    for args, said in [
        (("--ideas", "nothing", "--template", fleet.template), 'there is no idea "nothing"'),
        (("--ideas", "all", "--template", template), "no model given"),
        (("--ideas", "all", "--template", fleet.template, "--slots", "1", "--gpus", "0"), "exclude each other"),
        (("--ideas", "all", "--template", fleet.template, "--gpus", "0,0"), "name each GPU once"),
        (("--ideas", "all", "--template", fleet.template, "--gpus", "0,00"), "name each GPU once"),
        (("--ideas", "all", "--template", fleet.template, "--engine", "cloud"), "one of local, slurm"),
        (("--ideas", "all", "--template", fleet.template, "--model", "nobody/knows"), "nobody/knows"),
        (("--ideas", str(tmp_path / "gone.json"), "--template", fleet.template), "gone.json"),
        (("--ideas", ",", "--template", fleet.template), "names no idea"),
    ]:
        done = batch(*args).ended()
        assert done.code == 2 and said in done.error, done.err
        assert not (tmp_path / "runs" / "night").exists()
    assert "not a session" in resume().ended().error


def test_batches_without_a_name_that_begin_in_the_same_second_get_folders_of_their_own(cache, tmp_path):
    fleet = make_fleet(tmp_path, 1, 1, running=(0.1, 0.2))
    options = ("--ideas", "all", "--template", fleet.template, "--slots", "1")
    both = [Batch(tmp_path, "batch", *options, AI_SCI_CACHE=cache) for _ in range(2)]
    for started in both:
        done = started.ended()
        assert done.code == 0, done.err
    assert len(list((tmp_path / "runs").glob("*_batch*/batch.jsonl"))) == 2
