"""`ai-sci replay --reuse` and `--from-turn`: what need not be executed again, and another way on from any turn."""

from __future__ import annotations

import shutil

import pytest

from ai_sci.agent.journal.events import (
    AttemptFinished,
    AttemptStarted,
    BaselineMeasured,
    Replied,
)
from tests.end_to_end.command import ai_sci, git_log, shown
from tests.end_to_end.recordings import fingerprint, of, prompts, tree
from tests.end_to_end.stories import END, STORIES, TWENTY, Story, after, fails
from tests.end_to_end.templates import block, good_session, make_template, write_script
from tests.servers.openai_strict import StrictServer

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


def test_a_branch_with_the_same_model_asks_the_same_server(tmp_path, again, cache):
    replies = good_session()
    with StrictServer(replies) as server:
        template = make_template(tmp_path / "template")
        begun = ai_sci(
            *("run", "--template", template, "--idea", "more_steps", "--session", "s"),
            *("--model", "openai/strict-model", "--api-base", server.url),
            cwd=tmp_path,
            AI_SCI_CACHE=cache,
        )
        assert begun.code == 0, begun.err
        server.replies, server.answered = replies[1:], 0
        done = again(begun.session, "--from-turn", "2", "--model", "openai/strict-model")
        assert done.code == 0, done.err
    asked = [request.raw for request in server.requests]
    assert asked[len(replies) :] == asked[1 : len(replies)], "the same requests, to the same server"
    assert server.bad_requests == []
