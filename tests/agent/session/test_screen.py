"""What people see of a session while it runs holds no key, however it comes in."""

from __future__ import annotations

import io
import logging

import pytest
from rich.console import Console

from ai_sci import keys
from ai_sci.agent.journal import ReplyRejected
from ai_sci.agent.session.logbook import plain_story
from ai_sci.agent.session.screen import LogScreen, PlainScreen, TerminalScreen

KEY = "sk-planted+0123/456=789"


@pytest.fixture(autouse=True)
def planted(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("OPENAI_API_KEY", f"{KEY}\n")


def test_plain_lines(capsys: pytest.CaptureFixture[str]):
    screen = PlainScreen()
    screen.note(f"the key {KEY}")
    for piece in (f"a {KEY[:9]}", f"{KEY[9:]} b\n"):
        screen.output(piece)
    assert capsys.readouterr().err == "the key OPENAI_API_KEY\n    a OPENAI_API_KEY b\n"


def test_messages_of_the_logger(caplog: pytest.LogCaptureFixture):
    with caplog.at_level(logging.INFO, "ai_sci"):
        LogScreen().note(f"the key {KEY}")
    assert caplog.messages == ["the key OPENAI_API_KEY"]


def test_the_live_panel_while_a_reply_streams():
    shown = io.StringIO()
    console = Console(file=shown, width=60, force_terminal=True)
    screen = TerminalScreen(console)
    for char in f"Your key is {KEY}, and sk-":
        screen.delta(char)
        console.print(screen._panel())
    screen.note(f"{KEY} noted")
    screen.close()
    assert "Your key is OPENAI_API_KEY, and" in shown.getvalue() and "OPENAI_API_KEY noted" in shown.getvalue()
    assert "sk-p" not in shown.getvalue()


def test_a_screen_shows_no_markdown_and_leaves_the_stars_of_a_patch():
    reason = "Line 3 of the reply begins a patch (`*** Begin Patch`) without `*** End Patch`."
    assert plain_story(ReplyRejected("edit_refused", [reason])) == f"edit_refused: {reason}"


def test_keys_are_looked_for_once_per_environment_not_once_per_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    """500 MB of output took for ever when each line read the whole environment."""
    looked: list[int] = []
    find = keys._find_keys
    monkeypatch.setattr(keys, "_find_keys", lambda: looked.append(1) or find())
    screen = PlainScreen()
    monkeypatch.setenv("OTHER_TOKEN", "tok-0123/456=789")
    screen.output(f"step {KEY}\n" * 50)
    monkeypatch.setenv("OTHER_TOKEN", "tok-9876/543=210")
    screen.output("step tok-9876/543=210\n" * 50)
    assert len(looked) == 2
    assert capsys.readouterr().err == "    step OPENAI_API_KEY\n" * 50 + "    step OTHER_TOKEN\n" * 50
