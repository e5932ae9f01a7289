"""Histories that aider itself writes: what went in comes out again."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ai_sci.agent.aider_history.turns import HistorySession, TurnKind, parse_history
from tests.agent.aider_history.chats import edit

LINT = "# Fix any errors below, if possible.\n\nexperiment.py:3:5: F821 undefined name 'F'\n    F.relu(x)\n    ^\n"
NO_MATCH = f"""# 1 SEARCH/REPLACE block failed to match!

## SearchReplaceNoExactMatch: This SEARCH block failed to exactly match lines in experiment.py
{edit()}

The SEARCH section must exactly match an existing block of lines including all white space, etc
"""


class Aider:
    """aider's own writer of chat histories."""

    def __init__(self, file: Path) -> None:
        from aider.io import InputOutput

        self.file = file
        file.unlink(missing_ok=True)
        with contextlib.redirect_stdout(io.StringIO()):
            self.io = InputOutput(chat_history_file=file, pretty=False, fancy_input=False, yes=True)

    def turn(self, said: str, replied: str, *after: str) -> None:
        with contextlib.redirect_stdout(io.StringIO()):
            self.io.user_input(said)
            self.reply(replied, *after)

    def reply(self, replied: str, *after: str) -> None:
        with contextlib.redirect_stdout(io.StringIO()):
            self.io.ai_output(replied)
            self.io.tool_output("Tokens: 3.1k sent, 410 received. Cost: $0.08 message, $0.13 session.")
            for line in after:
                self.io.tool_output(line)

    def parsed(self) -> HistorySession:
        (session,) = parse_history(self.file.read_bytes().decode())
        return session


@pytest.fixture
def aider(tmp_path) -> Aider:
    return Aider(tmp_path / "chat.md")


def test_turns_come_out_as_they_went_in(aider):
    said = "Change this.\n\n- one\n- two"
    replied = f"#### Why\n\n> because\n\n{edit()}\n\n```markdown\n#### x  \n> y  \n```"
    aider.turn(said, replied, "Applied edit to experiment.py")
    aider.turn("And now?", "Now it is done.")
    one, two = aider.parsed().turns
    assert (one.user, one.reply, one.applied) == (said, replied, ["experiment.py"])
    assert (two.user, two.reply) == ("And now?", "Now it is done.")
    assert two.usage is not None and two.usage.session_cost == 0.13


def test_a_lint_reflection(aider):
    aider.turn("Change this.", edit(), "Applied edit to experiment.py")
    with contextlib.redirect_stdout(io.StringIO()):
        aider.io.tool_warning(LINT)
        aider.io.confirm_ask("Attempt to fix lint errors?")
    aider.reply("I'll import F.")
    one, two = aider.parsed().turns
    assert one.lint == ["F821 undefined name 'F'"]
    assert two.kind is TurnKind.lint
    assert [line.split() for line in two.user.split("\n") if line] == [
        line.split() for line in LINT.split("\n") if line
    ]


def test_a_refused_edit(aider):
    aider.turn("Change this.", edit())
    with contextlib.redirect_stdout(io.StringIO()):
        aider.io.tool_error("The LLM did not conform to the edit format.")
        aider.io.tool_output("https://aider.chat/docs/troubleshooting/edit-errors.html")
        aider.io.tool_output()
        aider.io.tool_output(NO_MATCH)
    aider.reply(edit("b = 1", "b = 2"), "Applied edit to experiment.py")
    one, two = aider.parsed().turns
    assert (one.refused, one.blocks, two.blocks) == (1, 1, 1)
    assert two.kind is TurnKind.reflection
    assert two.user.rstrip() == NO_MATCH.rstrip()
    assert two.reply == edit("b = 1", "b = 2")


def test_errors_and_retries(aider):
    with contextlib.redirect_stdout(io.StringIO()):
        aider.io.user_input("Hello")
        aider.io.tool_warning("litellm.RateLimitError: DeepseekException - Error code: 429 - slow down")
        aider.io.tool_output("Retrying in 0.2 seconds...")
        aider.io.tool_error("litellm.BadRequestError: DeepseekException - Error code: 400 - no\nmore of it")
    (turn,) = aider.parsed().turns
    assert turn.has_failed
    assert turn.error is not None and (turn.error.name, turn.error.status) == ("BadRequestError", 400)


def test_commands_that_it_asks_about(aider):
    aider.turn("Change this.", edit(), "Applied edit to experiment.py")
    with contextlib.redirect_stdout(io.StringIO()):
        commands = "cd somewhere/far/away\n\npython experiment.py\n\n# done"
        aider.io.confirm_ask("Run shell commands?", subject=commands, explicit_yes_required=True, allow_never=True)
    aider.turn("And now?", "Now it is done.")
    assert [turn.user for turn in aider.parsed().turns] == ["Change this.", "And now?"]


def test_files_that_it_is_told_to_add_all_at_once(aider):
    from aider.io import ConfirmGroup

    aider.turn("Change this.", "See a.py and b.py.")
    group = ConfirmGroup(["a.py", "b.py"])
    group.preference, aider.io.yes = "all", None
    with contextlib.redirect_stdout(io.StringIO()):
        aider.io.confirm_ask("Add file to the chat?", subject="a.py", group=group, allow_never=True)
        aider.io.confirm_ask("Add file to the chat?", subject="b.py", group=group, allow_never=True)
    aider.reply(edit(), "Applied edit to experiment.py")
    one, two = aider.parsed().turns
    assert (one.kind, two.kind) == (TurnKind.user, TurnKind.reflection)
    assert (one.reply, two.reply) == ("See a.py and b.py.", edit())


def test_an_answer_in_parts(aider):
    aider.turn("Change this.", edit().replace("a = 2\n>>>>>>> REPLACE\n```", "a = 2\n>>>>>>> RE"))
    text = aider.file.read_text().rsplit("> Tokens", 1)[0]
    aider.file.write_text(text)
    with contextlib.redirect_stdout(io.StringIO()):
        aider.io.ai_output("PLACE\n```")
        aider.io.tool_output("Tokens: 3.1k sent, 8.2k received.")
    (turn,) = aider.parsed().turns
    assert turn.reply == edit()


plain = st.text(st.sampled_from("ab #>`~*-\n\t.█é"), max_size=40)


def lines(text: str) -> list[str]:
    return [line.rstrip() for line in text.strip().splitlines()]


@given(turns=st.lists(st.tuples(plain.filter(str.strip), st.sampled_from(["Yes.", edit(), "- a\n\n1. b"])), min_size=1))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50, deadline=None)
def test_whatever_the_user_says_comes_out_again(tmp_path, turns):
    aider = Aider(tmp_path / "chat.md")
    for said, replied in turns:
        aider.turn(said, replied)
    parsed = aider.parsed().turns
    assert [lines(turn.user) for turn in parsed] == [lines(said) for said, _ in turns]
    assert [turn.reply for turn in parsed] == [replied for _, replied in turns]
