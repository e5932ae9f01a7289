"""`ai-sci replay SESSION`: the same prompts byte for byte, another way on from any turn, and a check that can fail."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from agent import replay, start
from agent.conversation import wire_messages
from agent.events import (
    AttemptFinished,
    AttemptStarted,
    BaselineMeasured,
    ConversationRebuilt,
    Event,
    PlotsFinished,
    PromptDiffered,
    ReplayCompared,
    Replied,
    ReplyRejected,
    SessionStarted,
    Told,
)
from agent.journal import Entry, encode, read_journal
from agent.screen import PlainScreen
from tests.end_to_end.command import Done, ai_sci, git_log, shown
from tests.end_to_end.stories import END, STORIES, TWENTY, Story, after, fails
from tests.end_to_end.templates import block, good_session, make_template, write_script


@pytest.fixture(scope="module")
def cache(tmp_path_factory) -> str:
    return str(tmp_path_factory.mktemp("cache"))


@pytest.fixture
def tell(tmp_path, monkeypatch, cache) -> Callable[[Story], Path]:
    """Has a story told by the loop itself in this process, which saves the imports; returns the session."""
    monkeypatch.setenv("AI_SCI_CACHE", cache)

    def run(story: Story) -> Path:
        template = make_template(tmp_path / "template", story.toml, **(story.files or {}))
        options = start.RunOptions(
            idea="more_steps",
            template=str(template),
            model=write_script(tmp_path / "script", story.replies),
            runs_dir=tmp_path / "runs",
            session="s",
            max_runs=story.max_runs,
            context_window=story.context_window,
            overrides=story.overrides or {},
        )
        return start.run(options, PlainScreen())[0]

    return run


@pytest.fixture
def again(tmp_path, cache) -> Callable[..., Done]:
    """`ai-sci replay` of it, as a user gives it."""
    return lambda *args, **env: ai_sci("replay", *args, cwd=tmp_path, **{"AI_SCI_CACHE": cache, **env})


def events(folder: Path) -> list[Event]:
    return [entry.event for entry in read_journal(folder / "journal.jsonl")]


def of(folder: Path, kind: type) -> list:
    return [event for event in events(folder) if isinstance(event, kind)]


def prompts(folder: Path) -> list[str]:
    """Every request as it went out, worked out here from the journal alone."""
    found, so_far = [], []
    for event in events(folder):
        if isinstance(event, Replied):
            found.append(json.dumps([[one.role, one.content] for one in wire_messages(so_far)]))
        so_far.append(event)
    return found


def fingerprint(folder: Path) -> dict[str, str]:
    """Every file of it, `.git` included, and its time of change."""
    return {
        str(path.relative_to(folder)): f"{path.lstat().st_mtime_ns} {hashlib.sha256(path.read_bytes()).hexdigest()}"
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.is_symlink()
    }


def doctor(folder: Path, change: Callable[[Event], Event]) -> None:
    entries = [Entry(entry.at, change(entry.event)) for entry in read_journal(folder / "journal.jsonl")]
    (folder / "journal.jsonl").write_bytes(b"".join(map(encode, entries)))


def hashed(folder: Path, value: str) -> None:
    doctor(folder, lambda event: dataclasses.replace(event, prompt_hash=value) if isinstance(event, Replied) else event)


@pytest.mark.parametrize("name", STORIES)
def test_a_story_is_told_again_byte_for_byte(name, tell, tmp_path):
    story = STORIES[name]
    session = tell(story)
    assert verdicts(session) == story.verdicts.split()
    tells_it_again(session, tmp_path)


def verdicts(session: Path) -> list[str]:
    found: list[str] = []
    for event in events(session):
        if (
            isinstance(event, (ReplyRejected, AttemptFinished))
            or isinstance(event, PlotsFinished)
            and event.verdict != "ok"
        ):
            found.append(event.verdict)
    return [verdict for verdict in found if verdict != "drawn"]


def tells_it_again(session: Path, tmp_path: Path) -> None:
    # Away from the old place and its template: a path that got into a prompt would be another one now.
    shutil.rmtree(tmp_path / "template")
    elsewhere = tmp_path / "another, longer folder"
    folder, status = replay.replay(session, replay.ReplayOptions(runs_dir=elsewhere), PlainScreen())
    assert folder == elsewhere / "s_replay"
    assert prompts(folder) == prompts(session)
    assert [one.prompt_hash for one in of(folder, Replied)] == [one.prompt_hash for one in of(session, Replied)]
    (compared,) = of(folder, ReplayCompared)
    assert compared.differences == []
    assert compared.prompts == compared.prompts_recorded == len(of(session, Replied))
    assert compared.edits == compared.edits_recorded
    assert compared.verdicts == compared.verdicts_recorded
    assert status.value == shown(session)["status"]
    assert tree(folder) == tree(session)


def tree(folder: Path) -> list[str]:
    """The final tree without the logs, in which paths stand as the experiment printed them."""
    out = subprocess.run(["git", "ls-tree", "-r", "HEAD"], cwd=folder, check=True, capture_output=True, text=True)
    return [line for line in out.stdout.splitlines() if "\tattempts/" not in line]


def test_there_are_twenty_stories():
    assert len(STORIES) == 20
    assert len({json.dumps(story.replies) for story in STORIES.values()}) == 20


def test_the_small_window_was_small(tell):
    assert of(tell(STORIES["a small window"]), ConversationRebuilt)


def test_a_replay_ends_with_one_line_that_says_how_much_is_as_recorded(tell, again):
    session = tell(Story(good_session()))
    before = fingerprint(session)
    done = again(session)
    assert done.code == 0, done.err
    assert done.session.name == "s_replay"
    assert "4 of 4 prompts as recorded; 3 of 3 edits and 4 of 4 verdicts as recorded" in done.err.splitlines()[-1]
    assert fingerprint(session) == before
    origin = shown(done.session)["origin"]
    assert (origin["session"], origin["from_turn"], origin["compared"]["prompts"]) == (str(session), None, 4)
    assert again(session).session.name == "s_replay2"


def test_another_text_in_the_journal_is_found_and_shown(tell, again):
    session = tell(Story(["Hm.", *good_session()]))

    def change(event: Event) -> Event:
        if isinstance(event, Told) and event.prompt == "no_edit":
            return dataclasses.replace(event, text=event.text.replace("Nothing was executed", "Nothing at all was run"))
        return event

    doctor(session, change)
    done = again(session)
    assert done.code == 0, done.err
    assert "1 of 5 prompts as recorded" in done.err
    assert "turn 2: another prompt than recorded (+1 -1 lines): replay/turn_2.diff" in done.err
    diff = (done.session / "replay" / "turn_2.diff").read_text()
    assert diff.startswith("--- recorded/turn_2\n+++ now/turn_2\n")
    assert "\n-  Nothing at all was run" in diff and "\n+  Nothing was executed" in diff
    assert [event.turn for event in of(done.session, PromptDiffered)] == [2, 3, 4, 5]


def test_a_request_that_was_another_one_then_is_found_by_its_hash(tell, again):
    """The texts agree, but not with what was sent: an older version made its requests in another way."""
    session = tell(Story(good_session()))
    doctor(
        session, lambda event: dataclasses.replace(event, prompt_hash="0" * 64) if isinstance(event, Replied) else event
    )
    done = again(session)
    assert "0 of 4 prompts as recorded" in done.err
    assert "another hash" in (done.session / "replay" / "turn_1.diff").read_text()


def test_a_journal_without_hashes_is_compared_by_its_texts(tell, again):
    session = tell(Story(good_session()))
    hashed(session, "")
    assert "4 of 4 prompts as recorded" in again(session).err


def test_another_edit_and_another_verdict_are_found(tell, again):
    """A reply that was changed in the journal: what follows from it is no longer what is recorded."""
    session = tell(Story(good_session()))

    def change(event: Event) -> Event:
        if isinstance(event, Replied) and "STEPS = 20" in event.text:
            return dataclasses.replace(event, text=event.text.replace("STEPS = 20", "STEPS = 1 / 0"))
        return event

    doctor(session, change)
    done = again(session)
    assert done.code == 1
    assert "differs: turn 1: an edit of experiment.py is recorded, now an edit of experiment.py" in done.err
    assert "differs: turn 1: run 1 (full) ok is recorded, now run 1 (full) crashed" in done.err


def test_the_template_may_have_changed_meanwhile(tell, again, tmp_path):
    session = tell(Story(good_session()))
    make_template(tmp_path / "template", experiment_py="raise SystemExit('another one')", plot_py="")
    done = again(session)
    assert done.code == 0, done.err
    assert "4 of 4 prompts as recorded" in done.err


def test_where_the_recorded_replies_end_the_replay_can_go_on(tell, again, tmp_path, cache):
    session = tell(Story(good_session()[:1]))  # the script ends: model_unavailable
    done = again(session)
    assert done.code == 3
    assert "recorded replies ended" in done.err
    assert f"ai-sci resume {done.session} --model NAME" in done.err
    assert "1 of 1 prompts as recorded" in done.err
    script = write_script(tmp_path / "live", good_session())
    resumed = ai_sci("resume", done.session, "--model", script, cwd=tmp_path, AI_SCI_CACHE=cache)
    assert resumed.code == 0, resumed.err
    at_once = again(session, "--model", script)
    assert at_once.code == 0, at_once.err
    models = [event.model for event in of(at_once.session, Replied)]
    assert models == [f"replay:{session}", *[script] * 3]
    assert shown(at_once.session)["status"] == "completed"


def test_a_replay_that_was_killed_is_resumed_and_still_compared(tell, again, tmp_path, cache):
    session = tell(Story(fails("1 / 0")))
    killed = again(session, "--reuse").session
    lines = (killed / "journal.jsonl").read_bytes().splitlines(keepends=True)
    half = next(index for index, line in enumerate(lines) if b'"crashed"' in line) + 1
    (killed / "journal.jsonl").write_bytes(b"".join(lines[:half]) + b'{"torn')
    done = ai_sci("resume", killed, cwd=tmp_path, AI_SCI_CACHE=cache)
    assert done.code == 0, done.err
    assert "5 of 5 prompts as recorded" in done.err
    assert of(killed, AttemptStarted) == []
    assert tree(killed) == tree(session)


def test_what_an_interrupted_session_was_resumed_with_is_in_the_prompts_again(tell, again, tmp_path, cache):
    """Lost attempts, the interruption and the budget are not: only the five runs that the resume allowed."""
    longer = [TWENTY, block("STEPS = 20", "STEPS = 30"), block("STEPS = 30", "STEPS = 40"), "ALL_COMPLETED"]
    session = tell(Story(longer, max_runs=2))
    entries = read_journal(session / "journal.jsonl")
    cut = next(index for index, entry in enumerate(entries) if isinstance(entry.event, AttemptStarted)) + 1
    (session / "journal.jsonl").write_bytes(b"".join(map(encode, entries[:cut])))
    resumed = ai_sci("resume", session, "--max-runs", "3", cwd=tmp_path, AI_SCI_CACHE=cache)
    assert resumed.code == 3, resumed.err  # it ends asking for plots
    assert [one.verdict for one in of(session, AttemptFinished)] == ["lost", "ok", "ok", "ok"]
    done = again(session)
    assert "4 of 4 prompts as recorded" in done.err
    assert [one.verdict for one in of(done.session, AttemptFinished)] == ["ok", "ok", "ok"]


def test_a_window_that_the_server_told_is_told_again(tell, again, tmp_path):
    """The journal of a session whose server refused a request as too long: no recorded reply does that by itself."""
    session = tell(STORIES["a small window"])
    rebuilt = of(session, ConversationRebuilt)[0]
    reason = "This model's maximum context length is 2500 tokens."

    def change(event: Event) -> Event:
        if isinstance(event, SessionStarted):
            return dataclasses.replace(event, context_window=None)
        if event == rebuilt:
            return dataclasses.replace(event, reason=reason, learned_window=2500)
        return event

    doctor(session, change)
    done = again(session)
    assert [event.text for event in of(done.session, ConversationRebuilt)] == [
        event.text for event in of(session, ConversationRebuilt)
    ]
    assert prompts(done.session) == prompts(session)


# -- --reuse -----------------------------------------------------------------------------------------------------------


def test_what_was_executed_alike_is_not_executed_again(tell, again, tmp_path):
    session = tell(Story(fails("1 / 0"), toml="[smoke]\ntime = 20\n"))
    before = fingerprint(session)
    done = again(session, "--reuse", AI_SCI_CACHE=str(tmp_path / "empty cache"))
    assert done.code == 0, done.err
    assert of(done.session, AttemptStarted) == []
    assert [one.source for one in of(done.session, BaselineMeasured)] == ["reused"]
    reused, recorded = of(done.session, AttemptFinished), of(session, AttemptFinished)
    assert [one.verdict for one in reused] == ["crashed", "ok", "ok"]
    assert [(one.digest, one.metrics) for one in reused] == [(one.digest, one.metrics) for one in recorded]
    assert reused[2].reused == f"run 1, attempt {recorded[2].attempt} of {session}"
    assert "taken over from run 1" in (done.session / "log.md").read_text()
    assert tree(done.session) == tree(session)
    assert (done.session / "attempts" / "run_1.1" / "output.log").read_bytes() == (
        session / "attempts" / "run_1.1" / "output.log"
    ).read_bytes()
    assert fingerprint(session) == before


@pytest.mark.parametrize("what", ["result", "log", "artefact", "machine"])
def test_what_is_not_as_it_was_is_executed_again(what, tell, again, tmp_path):
    session = tell(Story([TWENTY + after("open(f'{out_dir}/big.bin', 'wb').write(b'1' * 2_000_000)"), *END]))
    env = {}
    match what:
        case "result":
            (session / "run_1" / "final_info.json").write_text('{"loss": 0.0}')
        case "log":
            (session / "attempts" / "run_1.1" / "output.log").unlink()
        case "artefact":
            (session / "run_1" / "big.bin").write_bytes(b"2" * 2_000_000)
        case "machine":
            env["CUDA_VISIBLE_DEVICES"] = "7"
    done = again(session, "--reuse", **env)
    assert done.code == 0, done.err
    assert [one.reused for one in of(done.session, AttemptFinished)] == [""]
    assert len(of(done.session, AttemptStarted)) == 1


def test_what_a_limit_or_a_signal_ended_is_executed_again(tell, again):
    code = "os.kill(os.getpid(), 15)"
    session = tell(
        Story([after(code), block(code, "import time\ntime.sleep(60)"), "ALL_COMPLETED"], toml="[limits]\ntime = 2\n")
    )
    assert [one.verdict for one in of(session, AttemptFinished)] == ["crashed", "timed_out"]
    done = again(session, "--reuse")
    assert [one.reused for one in of(done.session, AttemptFinished)] == ["", ""]


# -- --from-turn -------------------------------------------------------------------------------------------------------


def test_a_branch_shares_the_history_up_to_its_turn_and_goes_on_live(tell, again, tmp_path):
    session = tell(Story([TWENTY, block("STEPS = 20", "STEPS = 1 / 0"), block("STEPS = 1 / 0", "STEPS = 30"), *END]))
    before = fingerprint(session)
    other = write_script(tmp_path / "other", ["unused"] * 2 + [block("STEPS = 1 / 0", "STEPS = 44"), *END])
    done = again(session, "--from-turn", 3, "--model", other)
    assert done.code == 0, done.err
    assert done.session.name == "s_turn3"
    assert fingerprint(session) == before
    assert prompts(done.session)[:3] == prompts(session)[:3]
    state = shown(done.session)
    assert [run["metrics"]["steps"] for run in state["runs"]] == [20, 44]
    assert state["origin"]["session"] == str(session) and state["origin"]["from_turn"] == 3
    assert state["origin"]["spent_before"]["calls"] == 2
    assert state["llm"]["calls"] == 4
    assert git_log(done.session, "%H")[:5] == git_log(session, "%H")[:5]
    assert (done.session / "run_1" / "final_info.json").is_file()
    assert "branched from" in (done.session / "log.md").read_text()
    assert "its history up to turn 3" in ai_sci("show", done.session, cwd=tmp_path).out


def test_a_branch_can_be_replayed_and_branched_again(tell, again, tmp_path):
    session = tell(Story(good_session()))
    other = write_script(tmp_path / "other", good_session())
    branch = again(session, "--from-turn", 2, "--model", other).session
    assert "4 of 4 prompts as recorded" in again(branch).err
    twice = again(branch, "--from-turn", 4, "--model", other)
    assert twice.code == 0, twice.err
    assert shown(twice.session)["origin"]["spent_before"]["calls"] == 3


def test_every_turn_can_be_branched_from(tell, again, tmp_path):
    """With the replies that were recorded: every branch ends as the session did."""
    session = tell(STORIES["closed runs"])
    calls = len(of(session, Replied))
    for turn in range(1, calls + 1):
        done = again(session, "--from-turn", turn, "--model", f"replay:{session}")
        assert done.code == 0, done.err
        assert prompts(done.session) == prompts(session)
        assert tree(done.session) == tree(session)
        assert shown(done.session)["llm"]["calls"] == calls - turn + 1


def test_a_session_that_is_being_driven_can_be_branched(tell, again, tmp_path):
    import fcntl

    session = tell(Story(good_session()))
    with (session / "lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = again(session, "--from-turn", 1, "--model", write_script(tmp_path / "other", good_session()))
    assert done.code == 0, done.err


@pytest.mark.parametrize(
    "args, says",
    [
        (("--from-turn", "0", "--model", "scripted:script"), "takes 1 to 4"),
        (("--from-turn", "5", "--model", "scripted:script"), "takes 1 to 4"),
        (("--from-turn", "2"), "--model"),
        (("--from-turn", "2", "--model", "scripted:nowhere"), "nowhere"),
        (("--session", "s"), "exists"),
        (("--model", "openai/home-made", "--api-base", "http://127.0.0.1:9/v1", "--max-cost", "1"), "price"),
    ],
)
def test_what_cannot_be_is_one_clear_line(tell, again, args, says):
    session = tell(Story(good_session()))
    done = again(session, *args, OPENAI_API_KEY="none")
    assert done.code == 2
    assert says in done.error
    assert sorted(path.name for path in session.parent.iterdir()) == ["s"]


@pytest.mark.parametrize("damage", ["no journal", "empty journal", "torn in the middle", "no reply", "no git"])
def test_a_session_that_is_none_is_one_clear_line(tell, again, damage):
    session = tell(Story(good_session()))
    journal = session / "journal.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    match damage:
        case "no journal":
            journal.unlink()
        case "empty journal":
            journal.write_bytes(b"")
        case "torn in the middle":
            journal.write_bytes(b"".join([*lines[:3], b"{torn\n", *lines[3:]]))
        case "no reply":
            journal.write_bytes(b"".join(lines[:3]))
        case "no git":
            shutil.rmtree(session / ".git")
    done = again(session)
    assert done.code == 2
    assert str(session) in done.error
    assert [path.name for path in session.parent.iterdir()] == ["s"]
