"""`ai-sci replay HISTORY`: an aider chat history becomes a session, up to where its replies end, and on from there."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from ai_sci.agent.journal.events import EditApplied, Replied, ReplyRejected
from ai_sci.agent.journal.journal import read_journal
from tests.agent.aider_history.chats import BAR, edit, edited, first, header, refusal, reply, tool, user
from tests.end_to_end.command import Done, ai_sci, git_log, shown
from tests.end_to_end.templates import EXPERIMENT, make_template

HISTORIES = Path(__file__).resolve().parents[1] / "agent" / "aider_history" / "histories"


@pytest.fixture(scope="module")
def cache(tmp_path_factory) -> str:
    """One for all, so that the baseline is measured once."""
    return str(tmp_path_factory.mktemp("cache"))


@pytest.fixture
def replay(tmp_path, cache):
    """Replays a history on template tiny, with the interpreter of the tests."""

    def run(history: Path | str, *args: str | Path, code: int = 3) -> Done:
        file = history
        if isinstance(history, str):
            file = tmp_path / "chat.md"
            file.write_text(history, encoding="utf-8")
        done = ai_sci(
            *("replay", file, "--template", "tiny", "--python", sys.executable, *args),
            cwd=tmp_path,
            AI_SCI_CACHE=cache,
        )
        assert done.code == code, done.err
        assert not [line for line in done.err.splitlines() if line.startswith("Traceback")]
        return done

    return run


def events(session: Path) -> list:
    return [entry.event for entry in read_journal(session / "journal.jsonl")]


def test_the_replies_are_played_and_then_the_session_waits_for_a_model(replay):
    done = replay(HISTORIES / "repaired_by_lint.md")
    assert done.out.startswith("The history, begun 2025-03-01 21:04:10, holds two turns, both answered")
    state = shown(done.session)
    assert (state["idea"], state["status"]) == ("fourier_features", "model_unavailable")
    assert state["reason"].startswith("recorded replies ended (2 replies were played)")
    assert state["edits"] == {"applied": 3, "refused": 0}
    assert [(run["run"], run["status"]) for run in state["runs"]] == [(1, "ok")]
    one, two = (event for event in events(done.session) if isinstance(event, EditApplied))
    assert one.lint is not None and one.lint.count(": F821 undefined name") == 2
    assert two.lint is None
    assert "'WAVES'" in one.lint and "'concat'" in one.lint
    assert events(done.session)[0].max_runs == 3  # as the first message says


def test_turns_without_a_reply_are_not_repeated_and_the_run_is_executed_once(replay):
    done = replay(HISTORIES / "two_in_a_row.md")
    state = shown(done.session)
    assert state["idea"] == "weight_decay"
    assert state["llm"]["calls"] == 1
    assert [attempt["verdict"] for attempt in state["runs"][0]["attempts"]] == ["ok", "ok"]  # smoke and full
    assert state["baseline"]["metrics"]["steps"] == 1500  # ours, not the one that the history quotes
    assert "Turns 2 to 4 got no reply" in done.out


def script(folder: Path, *replies: str) -> str:
    """Turns are counted from the session's first: those of the history stand before these."""
    folder.mkdir()
    for number, text in enumerate(replies, 1):
        (folder / f"{number:02}.md").write_text(text)
    return f"scripted:{folder}"


def test_a_model_goes_on_where_the_replies_end_and_the_journal_says_who_said_what(replay, tmp_path):
    live = script(tmp_path / "live", "-", "-", edit("WAVES = np.arange(1, 11)", "WAVES = np.arange(1, 9)"))
    done = replay(HISTORIES / "repaired_by_lint.md", "--model", live)
    state = shown(done.session)
    assert state["model"] == live
    assert [run["status"] for run in state["runs"]] == ["ok", "ok"]
    models = [event.model.partition(":")[0] for event in events(done.session) if isinstance(event, Replied)]
    assert models == ["history", "history", "scripted"]
    assert [line for line in git_log(done.session) if line.startswith("run 2: ok")]


def test_resume_takes_it_up_with_a_model_and_without_one_says_the_same_again(replay, tmp_path, cache):
    session = replay(HISTORIES / "two_in_a_row.md").session
    again = ai_sci("resume", session, cwd=tmp_path, AI_SCI_CACHE=cache)
    assert again.code == 3
    assert "recorded replies ended (1 reply was played)" in again.err
    line = "        grads = {name: grad + 1e-3 * params[name] for name, grad in grads.items()}"
    live = script(tmp_path / "live", "-", edit(line, line.replace("1e-3", "1e-4")))
    on = ai_sci("resume", session, "--model", live, cwd=tmp_path, AI_SCI_CACHE=cache)
    assert on.code == 3, on.err
    assert [run["status"] for run in shown(session)["runs"]] == ["ok", "ok"]


def test_several_sessions_are_listed_with_how_to_choose(replay):
    done = replay(HISTORIES / "three_sessions.md", code=2)
    assert [line.split()[0] for line in done.out.splitlines()] == ["1", "2", "3"]
    assert done.error.endswith("holds 3 sessions: choose one with --history-session NUMBER.")


def test_the_chosen_session_is_replayed_with_the_idea_it_was_about(replay):
    done = replay(HISTORIES / "three_sessions.md", "--history-session", "2")
    assert done.out.startswith("Session 2 of 3, begun")
    state = shown(done.session)
    assert state["idea"] == "use_a_wider_network"
    assert state["edits"] == {"applied": 1, "refused": 1}  # the one that aider refused is refused here too
    assert state["runs"][0]["status"] == "ok"


def test_the_idea_can_be_given(replay):
    done = replay(
        HISTORIES / "three_sessions.md", "--history-session", "2", "--idea", "weight_decay", "--max-runs", "2"
    )
    assert shown(done.session)["idea"] == "weight_decay"
    assert events(done.session)[0].max_runs == 2


def test_a_reply_that_breaks_off_inside_a_block_edits_nothing(replay):
    whole = first() + edited("A plan.")
    done = replay(whole[: whole.index(">>>>>>>")])
    assert "It breaks off in the reply of turn 1 inside a SEARCH/REPLACE block" in done.out
    assert shown(done.session)["edits"] == {"applied": 0, "refused": 1}


@pytest.mark.parametrize(
    ("chat", "args", "line"),
    [
        (first(), [], "holds no reply in session 1: there is nothing to replay."),
        (first() + refusal(401, "bad key"), [], "holds no reply in session 1: there is nothing to replay."),
        (header() + reply(edit()) + tool("Bye") + user("/exit"), [], "says what the idea is: pass --idea NAME."),
        ("# Notes\n\nNothing of the kind.\n", [], "is not an aider chat history"),
        (first() + edited(BAR), ["--history-session", "2"], "holds one session: there is no session 2."),
        (first() + edited(BAR), ["--from-turn", "1"], "--from-turn is for a session of ours"),
        (first() + edited(BAR), ["--idea", "no_such_idea"], 'there is no idea "no_such_idea"'),
        (first() + edited(BAR), ["--model", "no/such-model"], "no/such-model"),
    ],
)
def test_what_cannot_be_replayed_is_one_clear_line(replay, tmp_path, chat, args, line):
    done = replay(chat, *args, code=2)
    assert line in done.error
    assert not [path for path in (tmp_path / "runs").glob("*") if path.is_dir()]


def test_options_of_a_history_are_refused_for_a_session(replay):
    session = replay(HISTORIES / "two_in_a_row.md").session
    assert "--template is for a chat history" in replay(session, code=2).error


OURS = HISTORIES.parent / "ai_scientist"
CASES = HISTORIES.parent / "cases"
EXPECTED = json.loads((OURS / "expected.json").read_text(encoding="utf-8"))  # the files that aider left


@pytest.mark.parametrize(
    ("name", "refused", "verdicts", "left_out"),
    [
        ("momentum", 0, ["crashed", "ok", "ok", "ok"], "2 replies"),
        ("rate_decay", 1, ["crashed", "ok", "ok", "ok", "ok", "ok", "ok"], "2 replies"),
        ("noise_floor", 0, ["crashed", "ok", "ok"], "2 replies"),
    ],
)
def test_a_session_of_ai_scientists_is_played_with_every_edit_that_was_applied(
    replay, name, refused, verdicts, left_out
):
    done = replay(OURS / f"{name}.md", "--template", OURS / "template", code=0)
    state = shown(done.session)
    expected = dict(EXPECTED[name])
    assert state["edits"] == {"applied": expected.pop("blocks"), "refused": refused}
    assert {file: (done.session / file).read_text(encoding="utf-8") for file in expected} == expected
    assert [attempt["verdict"] for run in state["runs"] for attempt in run["attempts"]] == verdicts
    assert state["status"] == "completed"
    assert len(state["plots"]) == 2
    assert f"Not played: {left_out} of the writing-up" in done.err


def test_notes_that_were_written_before_the_chat_are_there(replay, tmp_path):
    template = make_template(
        tmp_path / "rates", experiment_py=EXPERIMENT.replace("RATE = 0.1", "lr = 0.1").replace(", RATE)", ", lr)")
    )
    done = replay(CASES / "notes_written_before.md", "--template", template)
    state = shown(done.session)
    assert state["edits"] == {"applied": 2, "refused": 0}
    assert [run["status"] for run in state["runs"]] == ["ok"]
    assert (done.session / "notes.txt").read_text().startswith("# Title: Rates\n")
    assert "## Run 1: lr 0.2" in (done.session / "notes.txt").read_text()


def test_a_draft_that_the_model_rejected_in_its_thoughts_is_not_played(replay, tmp_path):
    template = make_template(
        tmp_path / "rates", experiment_py=EXPERIMENT.replace("RATE = 0.1", "lr = 0.1").replace(", RATE)", ", lr)")
    )
    done = replay(CASES / "thinking_content_tag.md", "--template", template)
    assert "lr = 0.2" in (done.session / "experiment.py").read_text()
    assert shown(done.session)["edits"] == {"applied": 1, "refused": 0}


def test_a_reply_that_was_broken_off_is_not_played_as_a_whole_one(replay):
    cut = reply(edit("WAVES", "WIDTH")) + tool("", "^C KeyboardInterrupt")
    done = replay(first() + cut + user("Go on.") + edited("Better."))
    rejected = [event for event in events(done.session) if isinstance(event, ReplyRejected)]
    assert rejected[0].verdict == "edit_refused"
    assert [event.finish_reason for event in events(done.session) if isinstance(event, Replied)] == ["length", "stop"]
