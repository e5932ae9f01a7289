"""What people and scripts see of a batch: `watch` and `show`, of a night with every kind of idea in it."""

from __future__ import annotations

import re
import shutil
import signal
import threading
import time
from pathlib import Path

import pexpect
import pytest

from ai_sci.agent.batch.events import SessionLeft
from ai_sci.agent.journal.events import AttemptStarted
from ai_sci.agent.journal.journal import JournalError, read_journal
from ai_sci.agent.session.session import is_driven, locked
from ai_sci.experiment.base.errors import ConfigError
from tests.end_to_end.batches import HandMadeBatch
from tests.end_to_end.command import ROOT, ai_sci, argv, environment, shown
from tests.end_to_end.templates import block, good_session, make_template, write_script

TOML = '[experiment]\nmetric = "loss"\ndirection = "lower"\n'
SLOW = block("STEPS = 10", "import time\ntime.sleep(60)\nSTEPS = 20")


def wait_for_attempt(session: Path) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            if isinstance(read_journal(session / "journal.jsonl")[-1].event, AttemptStarted):
                return
        except (JournalError, IndexError):  # it is not there yet
            pass
        time.sleep(0.02)
    raise AssertionError(f"no attempt in {session}")


@pytest.fixture(scope="module")
def cache(tmp_path_factory) -> str:
    return str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="module")
def night(tmp_path_factory, cache) -> HandMadeBatch:
    """Ideas: one is done, one given up, one's process was killed, one could not be opened, one waits."""
    place = tmp_path_factory.mktemp("night")
    batch = HandMadeBatch(place / "night", make_template(place / "template", TOML), cache, slots=2, cost=2.5)
    batch.add("good", "hopeless", "killed", "broken", "later")
    killed = batch.begin("killed", write_script(place / "slow", [SLOW]))
    batch.run("good", write_script(place / "good", good_session()))
    batch.run("hopeless", write_script(place / "hopeless", ["Let me \x1b[31mthink.\x1b]0;title\x07"] * 8))
    wait_for_attempt(batch.folder / "killed")
    killed.kill()
    killed.wait()
    batch.launched("broken")
    batch.record(SessionLeft("broken", "", "the template has no experiment.py", 2))
    return batch


def line_of(text: str, idea: str) -> str:
    return next(line for line in text.splitlines() if re.match(rf"{idea}\b", line))


def test_one_frame_on_a_pipe_says_where_each_idea_stands(night):
    done = ai_sci("watch", night.folder, "--once", cwd=night.folder)
    assert done.code == 0, done.err
    assert "\x1b" not in done.out and "title" not in done.out
    assert done.out.startswith("batch night: interrupted: it stopped without a word")
    assert "1 done  0 running  1 waiting  3 failed  slots in use 0 of 2" in done.out
    assert "left $2.50" in done.out
    assert re.search(r"completed +1 run accepted +1/5 +ok +0.003323 +0.2882 +-0.285 +\$0.00", line_of(done.out, "good"))
    assert re.search(r"gave_up +two runs in a row .* 2/5 +no_edit +0.2882 +\$0.00", line_of(done.out, "hopeless"))
    assert re.search(r"interrupted +it stopped without .* 1/5", line_of(done.out, "killed"))
    assert re.search(r"not opened +the template has no experiment.py", line_of(done.out, "broken"))
    assert line_of(done.out, "later").split() == ["later", "waiting"]


def test_without_a_terminal_there_is_one_frame_unasked(night):
    assert ai_sci("watch", night.folder, cwd=night.folder, FORCE_COLOR="1").out.count("batch night") == 1


def test_a_single_session_shows_its_runs_and_what_was_said_last(night):
    out = ai_sci("watch", night.folder / "good", "--once", cwd=night.folder).out
    assert out.startswith("session good: completed: 1 run accepted")
    assert re.search(r"^1 +ok +full ok +0.003323 +-0.285$", out, re.M)
    assert out.rstrip().endswith("completed: 1 run accepted")


def test_what_is_neither_session_nor_batch_is_refused(night, tmp_path):
    done = ai_sci("watch", tmp_path, cwd=tmp_path)
    assert done.code == 2
    assert "neither a session nor a batch" in done.error


def test_show_json_has_the_same_keys_for_every_idea(night):
    whole = shown(night.folder)
    assert (whole["batch"], whole["status"]) == (str(night.folder), "interrupted")
    assert [one["idea"] for one in whole["sessions"]] == ["good", "hopeless", "killed", "broken", "later"]
    statuses = [one["status"] for one in whole["sessions"]]
    assert statuses == ["completed", "gave_up", "interrupted", "not_opened", "waiting"]
    assert whole["sessions"][0] == shown(night.folder / "good")
    for session in whole["sessions"]:
        assert session.keys() == whole["sessions"][0].keys()
        assert session["llm"].keys() == whole["sessions"][0]["llm"].keys()
    later = whole["sessions"][-1]
    assert (later["runs"], later["started"], later["session"]) == ([], None, str(night.folder / "later"))


def test_show_is_a_table_of_ideas_and_why_they_ended(night):
    out = ai_sci("show", night.folder, cwd=night.folder).out
    assert re.search(r"^good +completed", out, re.M)
    assert "  broken: not opened: the template has no experiment.py" in out
    assert out.rstrip().endswith(f"continue with: ai-sci resume {night.folder}")


def test_a_journal_that_cannot_be_read_is_named_and_the_others_are_shown(night, tmp_path):
    copy = tmp_path / "night"
    shutil.copytree(night.folder, copy)
    journal = copy / "hopeless" / "journal.jsonl"
    journal.write_bytes(b"spoiled\n" + journal.read_bytes())
    sessions = shown(copy)["sessions"]
    assert [one["status"] for one in sessions[:2]] == ["completed", "unreadable"]
    assert f"{journal}:1" in sessions[1]["reason"]
    for command in (["show", copy], ["watch", copy, "--once"]):
        done = ai_sci(*command, cwd=tmp_path)
        assert done.code == 0, done.err
        assert re.search(r"^good +completed", done.out, re.M)
        assert re.search(r"^hopeless +unreadable", done.out, re.M)
        assert f"! {journal}:1" in done.out


class Terminal:
    """`ai-sci watch` in a terminal of its own."""

    def __init__(self, folder: Path, columns: int = 110) -> None:
        command = argv("watch", folder)
        env = environment(PYTHONPATH=str(ROOT), TERM="xterm-256color")
        for name in ("COLUMNS", "LINES", "NO_COLOR"):
            env.pop(name, None)
        self.process = pexpect.spawn(
            command[0], command[1:], cwd=str(folder), env=env, dimensions=(24, columns), timeout=30, encoding="utf-8"
        )

    def sees(self, pattern: str) -> str:
        self.process.expect(pattern)
        return f"{self.process.before}{self.process.after}"

    def ends(self) -> tuple[int | None, str]:
        """The exit code, and what stands in the terminal after the screen was left."""
        self.process.expect(pexpect.EOF)
        self.process.close()
        out = str(self.process.before)
        assert "\x1b[?1049l" in out, "the screen was not left"
        assert out.rindex("\x1b[?25h") > out.rfind("\x1b[?25l"), "the cursor is hidden"
        assert "Traceback" not in out
        return self.process.exitstatus, out.split("\x1b[?1049l")[1]


def test_in_a_terminal_it_follows_a_session_that_runs_until_ctrl_c(tmp_path, cache):
    batch = HandMadeBatch(tmp_path / "b", make_template(tmp_path / "template", TOML), cache)
    batch.add("slow", "next")
    with batch.driven():
        terminal = Terminal(batch.folder)
        terminal.sees("2 waiting")
        process = batch.begin("slow", write_script(tmp_path / "script", [SLOW]))
        try:
            terminal.sees("0 done  1 running  1 waiting  0 failed  slots in use 1 of 2")
            terminal.sees(r"slow .* full .*s of 2h.* 1/5")
            batch.add("added")
            terminal.sees("added")
            terminal.process.setwinsize(24, 60)
            terminal.sees(r"\x1b\[H(?:(?!baseline|\x1b\[H).)*added")  # a whole frame without the columns of a wide one
            narrow = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", str(terminal.process.after))
            assert max(map(len, narrow.splitlines())) <= 60
            terminal.process.sendintr()
            code, after = terminal.ends()
            assert code == 0
            assert "batch b: running" in after
            assert process.poll() is None, "the session must not notice"
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(60)


def test_in_a_terminal_it_ends_with_the_batch(tmp_path, cache):
    batch = HandMadeBatch(tmp_path / "b", make_template(tmp_path / "template", TOML), cache)
    batch.add("one")
    with batch.driven():
        terminal = Terminal(batch.folder)
        terminal.sees("1 waiting")
        batch.end()
        code, after = terminal.ends()
    assert code == 0
    assert "batch b: completed" in after


def test_nothing_is_written_by_looking(night):
    def everything() -> dict[str, tuple[int, int]]:
        return {str(one): (one.lstat().st_mtime_ns, one.lstat().st_size) for one in night.folder.rglob("*")}

    before = everything()
    ai_sci("watch", night.folder, "--once", cwd=night.folder)
    ai_sci("show", night.folder, "--json", cwd=night.folder)
    assert everything() == before


def test_who_only_looks_is_never_in_the_way_of_who_opens(tmp_path):
    over = threading.Event()

    def look() -> None:
        while not over.is_set():
            is_driven(tmp_path)

    lookers = [threading.Thread(target=look) for _ in range(3)]
    for looker in lookers:
        looker.start()
    try:
        for _ in range(300):
            with locked(tmp_path):
                assert is_driven(tmp_path)
                with pytest.raises(ConfigError, match="another process"), locked(tmp_path):
                    pass
    finally:
        over.set()
        for looker in lookers:
            looker.join()
