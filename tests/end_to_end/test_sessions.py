"""Whole sessions with the scripted model: the rules of the loop, seen from outside."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from ai_sci.agent.journal.events import AttemptStarted, Event, Told
from ai_sci.agent.journal.journal import Record, encode, read_journal
from tests.end_to_end.command import ROOT, ai_sci, argv, environment, git_log, shown
from tests.end_to_end.templates import EXPERIMENT, IDEA, NOTES, PLOTS, block, good_session, make_template, write_script


@pytest.fixture
def session(tmp_path):
    """Runs a scripted session on a small template; returns the finished command."""

    def run(replies: list[str], *args, toml: str = "", **files):
        template = tmp_path / "template"
        if not template.exists():
            make_template(template, toml, **files)
        model = write_script(tmp_path / "script", replies)
        return ai_sci(
            *("run", "--template", template, "--idea", "more_steps", "--session", "s", "--model", model, *args),
            cwd=tmp_path,
            AI_SCI_CACHE=str(tmp_path / "cache"),
        )

    return run


def attempts(state: dict) -> list[tuple[int, str, str]]:
    return [(run["run"], one["kind"], one["verdict"]) for run in state["runs"] for one in run["attempts"]]


def told(folder: Path) -> list[str]:
    """The prompts, without the code that follows the task in the first message."""
    return [event.prompt for event in events(folder) if isinstance(event, Told) and event.prompt != "code"]


def events(folder: Path) -> list[Event]:
    return [entry.event for entry in read_journal(folder / "journal.jsonl")]


def test_a_session_from_idea_to_notes(session):
    done = session(good_session())
    assert done.code == 0, done.err
    folder = done.session
    state = shown(folder)
    assert state["status"] == "completed"
    assert state["baseline"]["source"] == "measured"
    assert attempts(state) == [(1, "full", "ok")]
    assert state["runs"][0]["metrics"]["steps"] == 20
    assert state["runs"][0]["metrics"]["loss"] < state["baseline"]["metrics"]["loss"]
    assert state["sandbox"]["tier"] == "bwrap"
    assert (folder / "plots" / "loss.svg").is_file()
    assert (folder / "notes.txt").read_text() == "Run 1 trained longer.\n"
    assert state["commits"] == len(git_log(folder))
    subjects = git_log(folder)
    assert [subject.split(":")[0] for subject in subjects] == [
        *("template template", "run 0", "edit for run 1", "run 1", "edit for plots", "plots", "edit for notes")
    ]
    trailers = [line for line in git_log(folder, "%(trailers:key=Verdict,valueonly)") if line]
    assert trailers == ["ok", "ok", "ok"]
    assert "run 1 accepted" in (folder / "log.md").read_text()
    status = subprocess.run(["git", "status", "--porcelain"], cwd=folder, capture_output=True, text=True)
    assert status.stdout == ""


def test_completed_in_the_first_plan_does_not_end_a_session(session):
    plan = "My plan: run 1 trains longer. When finished I will say\n\nALL_COMPLETED\n"
    done = session([plan, *good_session()])
    assert done.code == 0, done.err
    assert told(done.session)[:2] == ["task", "why_completed"]
    assert attempts(shown(done.session)) == [(1, "full", "ok")]


def test_completed_twice_with_a_reason_ends_without_a_run(session):
    done = session(["ALL_COMPLETED", "The idea cannot be tested with this data.\n\nALL_COMPLETED"])
    assert done.code == 1
    state = shown(done.session)
    assert state["status"] == "no_run_accepted"
    assert state["runs"] == []


def test_completed_beside_edits_means_the_edits(session):
    replies = good_session()
    replies[0] += "\nALL_COMPLETED\n"
    done = session(replies)
    assert attempts(shown(done.session)) == [(1, "full", "ok")]


def test_a_plan_without_an_edit_gets_a_question_and_no_run(session):
    done = session(["I plan to train longer.", *good_session()])
    assert told(done.session)[:2] == ["task", "no_edit"]
    assert attempts(shown(done.session)) == [(1, "full", "ok")]


@pytest.mark.parametrize(
    "reply",
    [
        block("", "Only notes.", "notes.txt").replace("SEARCH\n\n", "SEARCH\n"),
        block("STEPS = 10", "STEPS = 10"),
        block("", "y = 1", "plan.py"),
    ],
    ids=["notes only", "the same text", "a file that is not editable"],
)
def test_no_attempt_runs_unchanged_code(session, reply):
    done = session([reply, "Run 1: 20 steps.\n\n" + block("STEPS = 10", "STEPS = 20"), "ALL_COMPLETED", PLOTS])
    hashes = [event.code_hash for event in events(done.session) if isinstance(event, AttemptStarted)]
    assert len(hashes) == 1
    assert attempts(shown(done.session)) == [(1, "full", "ok")]


def test_code_that_was_executed_before_is_not_executed_again(session):
    back = block("STEPS = 20", "STEPS = 10")
    done = session([good_session()[0], back, "ALL_COMPLETED", PLOTS, NOTES])
    assert done.code == 0, done.err
    assert "the same as that of the baseline" in (done.session / "log.md").read_text()
    assert attempts(shown(done.session)) == [(1, "full", "ok")]
    assert "STEPS = 20" in (done.session / "experiment.py").read_text()


def test_a_run_that_keeps_failing_is_closed_and_its_code_does_not_stay(session):
    replies = [block("STEPS = 10", "STEPS = 11\nraise ValueError('first')")]
    replies += [
        block(f"raise ValueError('{a}')", f"raise ValueError('{b}')")
        for a, b in [("first", "second"), ("second", "third")]
    ]
    replies += [
        "Run 2.\n\n" + block("STEPS = 10", "STEPS = 20"),
        "ALL_COMPLETED",
        PLOTS.replace("run_1", "run_2"),
        NOTES,
    ]
    done = session(replies, toml="[experiment]\nmax_failures = 3\n")
    assert done.code == 0, done.err
    state = shown(done.session)
    assert [run["status"] for run in state["runs"]] == ["crashed", "ok"]
    assert attempts(state)[:3] == [(1, "full", "crashed")] * 3
    assert "raise" not in (done.session / "experiment.py").read_text()
    assert sum("crashed" in subject for subject in git_log(done.session)) == 4  # three attempts, one closing


def test_a_model_that_never_edits_is_given_up_on(session):
    done = session(["Let me think."] * 20)
    assert done.code == 1
    state = shown(done.session)
    assert state["status"] == "gave_up"
    assert state["llm"]["calls"] == 8
    assert attempts(state) == []


def test_a_baseline_that_fails_its_checks_stops_before_any_model_is_paid(session):
    done = session(good_session(), toml='[checks]\nrules = ["steps > 100"]\n')
    assert done.code == 1
    state = shown(done.session)
    assert state["status"] == "invalid_baseline"
    assert state["llm"]["calls"] == 0
    assert "steps" in state["baseline"]["reasons"][0]


def test_a_degenerate_result_is_refused_and_the_model_is_told(session):
    replies = [block("STEPS = 10", "STEPS = 5"), block("STEPS = 5", "STEPS = 20"), "ALL_COMPLETED", PLOTS, NOTES]
    done = session(replies, toml='[checks]\nrules = ["steps >= 10"]\n')
    assert attempts(shown(done.session)) == [(1, "full", "degenerate"), (1, "full", "ok")]


def test_smoke_comes_before_full_where_the_template_declares_it(session):
    first = block("STEPS = 10", "STEPS = 20\nif os.environ.get('AI_SCI_SMOKE'):\n    raise ValueError('smoke')")
    repair = block("    raise ValueError('smoke')", "    STEPS = 1")
    done = session([first, repair, "ALL_COMPLETED", PLOTS, NOTES], toml="[smoke]\ntime = 20\n")
    assert done.code == 0, done.err
    state = shown(done.session)
    assert attempts(state) == [(1, "smoke", "crashed"), (1, "smoke", "ok"), (1, "full", "ok")]
    assert state["runs"][0]["metrics"]["steps"] == 20


def test_settings_reach_the_experiment_and_cannot_be_changed_by_it(session):
    code = EXPERIMENT.replace("STEPS = 10\n", "STEPS = json.load(open('settings.json'))['steps']\n")
    try_it = block("RATE = 0.1", "RATE = 0.2\nopen('settings.json', 'w').write('{}')")
    repair = block("\nopen('settings.json', 'w').write('{}')", "")
    done = session(
        [try_it, repair, "ALL_COMPLETED", PLOTS, NOTES],
        "--set",
        "steps=7",
        toml="[settings]\nsteps = 3\n",
        experiment_py=code,
    )
    state = shown(done.session)
    assert [one[2] for one in attempts(state)][0] == "crashed"
    assert state["baseline"]["metrics"]["steps"] == 7


def test_an_ai_scientist_template_runs_as_it_is(tmp_path):
    """Only experiment.py, plot.py, prompt.json, seed_ideas.json and run_0/final_info.json; nothing of ours."""
    template = make_template(tmp_path / "nano")
    (template / "template.toml").unlink()
    (template / "ideas.json").rename(template / "seed_ideas.json")
    (template / "prompt.json").write_text(
        json.dumps({"system": "You are a student.", "task_description": "Toy descent."})
    )
    (template / "run_0").mkdir()
    (template / "run_0" / "final_info.json").write_text(
        json.dumps(
            {
                "toy": {
                    "means": {"loss": 0.2885, "steps": 10},
                    "stderrs": {"loss": 0.0},
                    "final_info_dict": {"loss": [1]},
                }
            }
        )
    )
    before = {path: path.read_bytes() for path in template.rglob("*") if path.is_file()}
    model = write_script(tmp_path / "script", good_session())
    done = ai_sci("run", "--template", template, "--idea", "more_steps", "--model", model, cwd=tmp_path)
    assert done.code == 0, done.err
    state = shown(done.session)
    assert state["baseline"] == {
        "metrics": {"loss": 0.2885, "steps": 10},
        "verdict": "ok",
        "reasons": [],
        "source": "template",
    }
    assert attempts(state) == [(1, "full", "ok")]
    task = next(event for event in events(done.session) if isinstance(event, Told))
    assert "Toy descent." in task.text and IDEA["Experiment"] in task.text
    assert {path: path.read_bytes() for path in template.rglob("*") if path.is_file()} == before


def test_the_session_name_cannot_be_taken_twice(session):
    assert session(good_session()).code == 0
    again = session(good_session())
    assert again.code == 2
    assert "resume" in again.error


SLOW = block("STEPS = 10", "STEPS = 20\nimport time\nprint('begun', flush=True)\ntime.sleep(30)")
FAST = block("STEPS = 20\nimport time\nprint('begun', flush=True)\ntime.sleep(30)", "STEPS = 20")


@pytest.mark.parametrize(
    "number",
    [
        signal.SIGINT,
        signal.SIGKILL,
        pytest.param(signal.SIGTERM, marks=pytest.mark.slow),
        pytest.param(signal.SIGHUP, marks=pytest.mark.slow),
    ],
)
def test_stopped_in_the_middle_of_an_attempt_and_resumed(tmp_path, number):
    """Every signal leaves a session that resume goes on with, and no process behind."""
    template = make_template(tmp_path / "template", toml="[limits]\ntime = 12\n")
    model = write_script(tmp_path / "script", [SLOW, FAST, "ALL_COMPLETED", PLOTS, NOTES])
    process = subprocess.Popen(
        argv("run", "--template", template, "--idea", "more_steps", "--session", "s", "--model", model),
        cwd=tmp_path,
        env=environment(PYTHONPATH=str(ROOT), AI_SCI_CACHE=str(tmp_path / "cache")),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    folder = tmp_path / "runs" / "s"
    deadline = time.monotonic() + 60
    while not ((folder / "journal.jsonl").exists() and '"attempt_started"' in (folder / "journal.jsonl").read_text()):
        assert time.monotonic() < deadline and process.poll() is None, process.communicate()
        time.sleep(0.05)
    running = shown(folder)
    assert running["status"] == "running"
    other = ai_sci("resume", folder, cwd=tmp_path)
    assert other.code == 2
    assert "another process" in other.error
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert "Traceback" not in err
    if number is not signal.SIGKILL:
        assert process.returncode == 3
        assert out.strip() == str(folder)
    time.sleep(0.3)
    marker = str(folder).encode()
    left = [pid for pid in filter(str.isdigit, os.listdir("/proc")) if marker in _command_line(pid)]
    assert left == []
    assert shown(folder)["status"] == "interrupted"

    done = ai_sci("resume", folder, cwd=tmp_path, AI_SCI_CACHE=str(tmp_path / "cache"))
    assert done.code == 0, done.err
    state = shown(folder)
    assert state["status"] == "completed"
    assert [one[2] for one in attempts(state)] == ["lost", "timed_out", "ok"]
    assert state["llm"]["calls"] == 5


def _command_line(pid: str) -> bytes:
    try:
        return Path("/proc", pid, "cmdline").read_bytes()
    except OSError:
        return b""


def test_a_session_that_ended_has_nothing_to_resume(session, tmp_path):
    done = session(good_session())
    before = (done.session / "journal.jsonl").read_bytes()
    again = ai_sci("resume", done.session, cwd=tmp_path)
    assert again.code == 0
    assert "nothing to resume" in again.err
    assert (done.session / "journal.jsonl").read_bytes() == before


@pytest.mark.slow
def test_interrupted_between_any_two_events_it_ends_the_same(session, tmp_path):
    """The journal is cut after each of its events in turn; resume ends with the same tree and the same ledger."""
    replies = [
        "Hm.",
        block("STEPS = 10", "STEPS = x"),
        block("STEPS = x", "STEPS = 1 / 0"),
        block("STEPS = 1 / 0", "STEPS = 20"),
    ]
    whole = session([*replies, "ALL_COMPLETED", PLOTS, NOTES])
    assert whole.code == 0, whole.err
    tree = _tree(whole.session)
    ledger = attempts(shown(whole.session))
    entries = read_journal(whole.session / "journal.jsonl")
    for kept in range(1, len(entries), 3):  # every third here; every one of them is the crash proof's
        folder = tmp_path / f"cut{kept}"
        subprocess.run(["cp", "-a", whole.session, folder], check=True)
        (folder / "journal.jsonl").write_bytes(b"".join(map(encode, entries[:kept])) + b'{"torn')
        done = ai_sci("resume", folder, cwd=tmp_path, AI_SCI_CACHE=str(tmp_path / "cache"))
        assert done.code == 0, (kept, entries[kept - 1], done.err)
        state = shown(folder)
        assert state["status"] == "completed"
        assert [one for one in attempts(state) if one[2] != "lost"] == ledger, kept
        assert _tree(folder) == tree, kept
        assert state["llm"]["calls"] == 7


def _tree(folder: Path) -> list[str]:
    """The final tree without the attempts' logs, whose folder names count lost attempts too."""
    out = subprocess.run(
        ["git", "ls-tree", "-r", "HEAD"], cwd=folder, check=True, capture_output=True, text=True
    ).stdout
    return [line for line in out.splitlines() if "\tattempts/" not in line]


def test_max_time_bounds_an_attempt_and_resume_can_raise_it(session, tmp_path):
    slow, fast = SLOW, FAST
    done = session([slow, fast, "ALL_COMPLETED", PLOTS, NOTES], "--max-time", "2s")
    assert done.code == 3
    state = shown(done.session)
    assert state["status"] == "budget_exhausted"
    assert "--max-time" in state["reason"]
    assert all(one["seconds"] < 20 for run in state["runs"] for one in run["attempts"])
    done = ai_sci("resume", done.session, "--max-time", "10m", cwd=tmp_path, AI_SCI_CACHE=str(tmp_path / "cache"))
    assert done.code == 0, done.err


def test_completed_in_the_middle_of_a_failing_run_closes_it(session):
    replies = [good_session()[0], block("STEPS = 20", "STEPS = 1 / 0"), "I stop here.\n\nALL_COMPLETED", PLOTS, NOTES]
    done = session(replies)
    assert done.code == 0, done.err
    assert [run["status"] for run in shown(done.session)["runs"]] == ["ok", "crashed"]
    assert "STEPS = 20" in (done.session / "experiment.py").read_text()
    assert git_log(done.session)[-4].startswith("run 2: closed, crashed")


def test_the_end_of_a_session_in_every_awkward_way(session):
    """A bare second ALL_COMPLETED is asked for its reason; plot.py may stay as it is; plots are not notes."""
    replies = [
        "ALL_COMPLETED",
        "ALL_COMPLETED",
        good_session()[0],
        "ALL_COMPLETED",
        "plot.py is good as it is.",
        PLOTS,
        NOTES,
    ]
    done = session(replies)
    assert done.code == 0, done.err
    assert told(done.session) == ["task", "why_completed", "no_edit", "result", "plots", "notes", "refused"]
    state = shown(done.session)
    assert state["plots"] == ["plots/loss.svg"]
    assert state["notes"] == "notes.txt"


def test_code_that_failed_lint_is_not_executed_after_an_edit_elsewhere(session):
    replies = [
        block("STEPS = 10", "STEPS = nowhere"),
        NOTES,
        block("STEPS = nowhere", "STEPS = 20"),
        "ALL_COMPLETED",
        PLOTS,
    ]
    done = session(replies)
    assert told(done.session)[:3] == ["task", "lint", "lint"]
    assert attempts(shown(done.session)) == [(1, "full", "ok")]
    assert "lint_failed" in (done.session / "log.md").read_text()


def test_the_replies_of_a_session_can_be_played_again(session, tmp_path):
    """Same replies, same outcome, the same prompts byte for byte."""
    first = session(["Hm.", *good_session()])
    again = ai_sci(
        *("run", "--template", tmp_path / "template", "--idea", "more_steps", "--model", f"replay:{first.session}"),
        cwd=tmp_path,
        AI_SCI_CACHE=str(tmp_path / "cache"),
    )
    assert again.code == 0, again.err
    texts = [[event.text for event in events(done.session) if isinstance(event, Told)] for done in (first, again)]
    assert texts[0] == texts[1]
    assert _tree(again.session) == _tree(first.session)


def test_a_template_whose_plot_and_notes_are_not_editable(session):
    done = session(good_session()[:2], toml='[experiment]\neditable = ["experiment.py"]\n')
    assert done.code == 0, done.err
    state = shown(done.session)
    assert state["plots"] == ["plots/loss.svg"]
    assert (state["status"], state["notes"], state["llm"]["calls"]) == ("completed", None, 2)


def test_a_reader_of_stderr_that_goes_away_stops_nothing(tmp_path):
    template = make_template(tmp_path / "template")
    model = write_script(tmp_path / "script", good_session())
    command = argv("run", "--template", template, "--idea", "more_steps", "--session", "s", "--model", model)
    process = subprocess.Popen(
        command, cwd=tmp_path, env=environment(PYTHONPATH=str(ROOT)), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stderr is not None and process.stdout is not None
    process.stderr.readline()
    process.stderr.close()
    assert process.stdout.read().decode().strip() == str(tmp_path / "runs" / "s")
    assert process.wait(30) == 0


def test_a_journal_of_the_future_is_still_read(session):
    done = session(good_session())
    journal = done.session / "journal.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    first = json.loads(lines[0])
    journal.write_bytes(json.dumps({**first, "new_field": 1}).encode() + b"\n" + b"".join(lines[1:]))
    assert shown(done.session)["status"] == "completed"
    assert isinstance(read_journal(journal)[0], Record)


def test_a_session_in_the_templates_own_folder_copies_no_earlier_one(tmp_path):
    """`cd mytemplate; ai-sci run --template .`: `runs/` is made inside the template."""
    template = make_template(tmp_path / "mytemplate")
    model = write_script(tmp_path / "script", ["Run 1: 20 steps.\n\n" + block("STEPS = 10", "STEPS = 20")])
    listings, sources = [], []
    for number in range(3):
        done = ai_sci(
            *("run", "--template", ".", "--idea", "more_steps", "--model", model, "--session", f"s{number}"),
            cwd=template,
            AI_SCI_CACHE=str(tmp_path / "cache"),
        )
        assert done.session == template / "runs" / f"s{number}", done.err
        found = {str(path.relative_to(done.session)) for path in done.session.rglob("*") if path.is_file()}
        listings.append({name for name in found if not name.startswith((".git/", "attempts/run_0"))})
        first = json.loads((done.session / "journal.jsonl").read_text().splitlines()[0])
        assert first["files"] == ["experiment.py", "plot.py", "template.toml"]
        sources.append("baseline, cached" in done.err)
    assert listings[0] == listings[1] == listings[2]
    assert sources == [False, True, True]
