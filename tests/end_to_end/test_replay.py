"""`ai-sci replay SESSION`: the same prompts byte for byte, and a check that can fail."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import pytest

from ai_sci import __version__
from ai_sci.agent.commands import replay
from ai_sci.agent.journal.events import (
    AttemptFinished,
    AttemptStarted,
    ConversationRebuilt,
    Event,
    PlotsFinished,
    PromptDiffered,
    ReplayCompared,
    Replied,
    ReplyRejected,
    Resumed,
    SessionStarted,
    Told,
)
from ai_sci.agent.journal.journal import Entry, encode, read_journal
from ai_sci.agent.session.screen import PlainScreen
from tests.end_to_end.command import ai_sci, shown
from tests.end_to_end.recordings import doctor, events, fingerprint, hashed, of, prompts, tree
from tests.end_to_end.stories import STORIES, TWENTY, Story, fails
from tests.end_to_end.templates import block, good_session, make_template, write_script


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


@pytest.mark.parametrize(
    ("change", "author"),
    [
        ({"version": "0.1.7"}, "ai-sci 0.1.7"),
        ({"prompts": "0" * 64}, f"ai-sci {__version__} with other prompt files"),
        ({"prompts": ""}, f"ai-sci {__version__} with other prompt files"),
    ],
)
def test_prompts_that_another_version_wrote_are_no_difference(tell, again, change, author):
    session = tell(Story(["Hm.", *good_session()]))
    (started,) = of(session, SessionStarted)
    assert started.version == __version__ and len(started.prompts) == 64

    def in_other_words(event: Event) -> Event:
        if isinstance(event, Told) and event.prompt == "no_edit":
            return dataclasses.replace(event, text=event.text.replace("Nothing was executed", "Nothing at all was run"))
        return event

    def by_another(event: Event) -> Event:
        return dataclasses.replace(event, **change) if isinstance(event, SessionStarted) else event

    doctor(session, by_another)
    done = again(session)
    assert "5 of 5 prompts as recorded" in done.err  # they are the same nevertheless
    doctor(session, in_other_words)
    done = again(session)
    assert done.code == 0, done.err
    last = done.err.splitlines()[-1]
    assert f"the prompts were written by another version ({author}) and differ; 4 of 4 edits and 4 of 4 " in last
    assert of(done.session, PromptDiffered) == [] and not (done.session / "replay").exists()
    (compared,) = of(done.session, ReplayCompared)
    assert (compared.prompts, compared.prompts_by, compared.differences) == (1, author, [])
    assert of(done.session, SessionStarted)[0].prompts == started.prompts
    assert "5 of 5 prompts as recorded" in again(done.session).err  # that one is of this version


def test_a_session_that_another_version_went_on_with_has_its_prompts_too(tell, again):
    session = tell(Story(["Hm.", *good_session()]))
    entries = read_journal(session / "journal.jsonl")
    place = next(i for i, entry in enumerate(entries) if isinstance(entry.event, Replied))
    state = entries[0].event
    assert isinstance(state, SessionStarted)
    resumed = Resumed(state.model, None, state.max_runs, None, None, state.context_window, version="0.1.7")
    entries.insert(place, Entry(entries[place].at, resumed))
    for index in range(place, len(entries)):
        event = entries[index].event
        if isinstance(event, Told):
            entries[index] = dataclasses.replace(entries[index], event=Told(event.prompt, f"In 0.1: {event.text}"))
    (session / "journal.jsonl").write_bytes(b"".join(map(encode, entries)))
    done = again(session)
    assert "written by another version (ai-sci 0.1.7) and differ; 4 of 4 edits" in done.err.splitlines()[-1]


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
