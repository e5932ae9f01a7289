"""The diagnosis of a chat history: each sentence true of the file, and none that is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from ai_sci.agent.aider_history.diagnosis import diagnose
from ai_sci.agent.aider_history.turns import parse_history
from tests.agent.aider_history.chats import BAR, TOKENS, edit, edited, first, header, refusal, reply, tool, user

HISTORIES = Path(__file__).parent / "histories"
FAILED_RUN = f"Run failed with the following error \n{BAR}\n\n{BAR}"
LINT = ("# Fix any errors below, if possible.", "experiment.py:3:5: F821 undefined name 'F'")
FIX_IT = "Attempt to fix lint errors? (Y)es/(N)o [Yes]: y"


def of(text: str) -> str:
    (session,) = parse_history(text)
    return diagnose(session)


def of_file(name: str) -> list[str]:
    sessions = parse_history((HISTORIES / name).read_text(encoding="utf-8"))
    return [diagnose(session, len(sessions)) for session in sessions]


def one_line(text: str) -> str:
    return " ".join(text.split())


def test_two_messages_in_a_row_that_aider_put_there():
    (told,) = of_file("two_in_a_row.md")
    assert told == one_line("""
        The history, begun 2025-03-02 02:11:55, holds four turns, one of them answered, with one SEARCH/REPLACE
        block, and aider says that it edited experiment.py. Two messages of one side in a row reached the API after
        turn 1. That turn has its reply, so they most likely came from what aider puts in front of the chat: its
        summary of finished turns is a user message, and so is the one on files that follows it. Turns 2 to 4 got
        no reply: the same error 400 came three times
        (“Conversation roles must alternate user/assistant/user/assistant/...”).
        Turns 3 and 4 report two more runs of code that nothing had changed since the run before. None of the three
        reports of a failed run says why it failed: they hold progress bars alone. The baseline that the first
        message quotes was never trained (training_steps = 0, final_loss = None): there was nothing to compare with.
    """)


def test_lint_errors_that_were_repaired_and_an_end_on_a_tool_line():
    (told,) = of_file("repaired_by_lint.md")
    assert told == one_line("""
        The history, begun 2025-03-01 21:04:10, holds two turns, both answered, with three SEARCH/REPLACE blocks
        (1 + 2), and aider says that it edited experiment.py. After the edits of turn 1 the linter found F821
        undefined name 'WAVES' and F821 undefined name 'concat'; after those of turn 2 it reports none. It ends on
        aider's line “Run shell command? (Y)es/(N)o/(D)on't ask again [Yes]: n” after turn 2, and no result of a run
        is in it: if the experiment was run, it was outside of this chat, and what ended the session there is not
        recorded.
    """)


def test_several_sessions_are_told_apart():
    started, refused, harmless = of_file("three_sessions.md")
    assert started == (
        "Session 1 of 3, begun 2025-03-03 09:00:00, holds no turn: aider was started, and nothing was asked."
    )
    assert refused.endswith("aider refused edits of turn 2, and edits were applied again at turn 3.")
    assert harmless == (
        "Session 3 of 3, begun 2025-03-04 10:30:00, holds one turn, answered. Nothing in it looks like a failure."
    )


def test_two_messages_in_a_row_after_a_turn_without_a_reply():
    chat = first() + edited() + user("Run failed") + refusal(500, "overloaded") + user("Again")
    told = of(chat + refusal(400, "roles must alternate"))
    assert (
        "Two messages of one side in a row reached the API after turn 2. That turn has no reply, so its message" in told
    )
    assert "summary" not in told
    assert "Turn 2 got no reply: error 500 (“overloaded”)." in told
    assert "Turn 3 got no reply: error 400 (“roles must alternate”)." in told


def test_an_error_that_is_followed_by_a_reply_is_no_failure():
    told = of(
        user("Do it.") + refusal(429, "slow down", "RateLimitError") + tool("Retrying in 0.2 seconds...") + edited()
    )
    assert told.endswith("Nothing in it looks like a failure.")


def test_errors_that_differ_are_told_apart():
    chat = user("a") + refusal(402, "Insufficient Balance") + user("b") + tool("litellm.Timeout: no answer")
    told = of(chat)
    assert told.startswith("The history holds two turns, none of them answered. Turn 1 got")
    assert "Turn 1 got no reply: error 402 (“Insufficient Balance”). Turn 2 got no reply: error 408" in told


@pytest.mark.parametrize(
    ("after", "why"),
    [
        ("", "the history ends on it"),
        (tool("Empty response received from LLM. Check your provider account?"), "the model's answer was empty"),
        (tool("^C again to exit"), "it was interrupted with Ctrl-C"),
        (tool("Something else"), "nothing says why"),
    ],
)
def test_a_user_turn_without_a_reply(after, why):
    assert of(first() + edited() + user("And now?") + after).endswith(f"Turn 2 has no reply: {why}.")


def test_a_command_to_aider_has_no_reply_and_none_is_missed():
    told = of(user("/add experiment.py") + tool("Added experiment.py to the chat") + user("Double it.") + edited())
    assert "two turns, one of them answered" in told
    assert told.endswith("Nothing in it looks like a failure.")


def test_a_token_limit():
    assert "At turn 1 the model's token limit was reached." in of(user("a") + tool("Model x has hit a token limit!"))


def test_edits_refused_for_good():
    told = of(user("a") + reply(edit()) + tool(TOKENS, "The LLM did not conform to the edit format."))
    assert "and aider does not say that it applied any" in told
    assert told.endswith("aider refused edits of turn 1, and no edit was applied after that.")


def test_lint_errors_that_were_left():
    told = of(user("a") + edited() + tool(*LINT, FIX_IT) + reply("I cannot.") + tool(TOKENS))
    assert told.endswith(
        "After the edits of turn 1 the linter found F821 undefined name 'F'; no later edit repaired that."
    )


def test_a_run_after_an_edit_is_no_repetition():
    turn = user("Run 1 completed. Here are the results:\n{}")
    assert "nothing had changed" not in of(first() + edited() + turn + edited() + turn + edited())


def test_the_same_command_on_unchanged_code():
    run = user("/run python experiment.py") + tool("Added 3 lines of output to the chat.")
    assert "Turn 3 reports one more run of code that nothing had changed" in of(user("a") + edited() + run + run)
    assert "nothing had changed" not in of(user("a") + edited() + run + user("/run python plot.py"))


def test_a_report_that_names_its_error_is_not_blamed():
    report = user(f"Run failed with the following error \n{BAR}\nValueError: shapes differ")
    assert "does not say why" not in of(first() + edited() + report + edited())
    told = of(first() + edited() + user(FAILED_RUN) + edited())
    assert "The report of a failed run in turn 2 does not say why it failed." in told


@pytest.mark.parametrize(
    ("baseline", "told"),
    [
        ("{'training_steps': 0, 'final_loss': 1.0}", "was never trained (training_steps = 0)"),
        ("{'sparsity': {'l0': 0.0, 'l1': 0.0}}", "is dead (l0 = 0.0)"),
        ('{"l2_norm_out": 0, "l0": 0}', "is dead (l2_norm_out = 0, l0 = 0)"),
        ("{'l0': 0.25, 'training_steps': 100}", ""),
        ("{'l0': 01, 'training_steps': 01, 'final_loss': None}", ""),
    ],
)
def test_a_baseline_that_is_none(baseline, told):
    text = of(first(baseline) + edited())
    assert (f"The baseline that the first message quotes {told}" in text) if told else ("baseline" not in text)


def test_an_end_inside_a_reply():
    whole = header() + first() + edited("A plan.")
    assert of(whole[: whole.index("plan.")]).endswith("It breaks off in the reply of turn 1.")
    inside = whole[: whole.index("=======")]
    assert of(inside).endswith("It breaks off in the reply of turn 1 inside a SEARCH/REPLACE block or a code fence.")
    ends = whole[: whole.index("> Tokens")]
    assert of(ends).endswith("It ends on the reply of turn 1, without the line on tokens that aider writes after each.")


def test_an_end_after_results_were_told():
    told = of(first() + edited() + user("Run 1 completed. Here are the results:\n{}") + edited())
    assert told.endswith(
        "It ends on aider's line “Applied edit to experiment.py” after turn 2: its outcome is not recorded."
    )


def test_a_session_that_was_completed_has_no_failure():
    done = reply("ALL_COMPLETED") + tool(TOKENS)
    told = of(first() + edited() + user("Run 1 completed. Here are the results:\n{}") + done)
    assert told.endswith("Nothing in it looks like a failure.")


def test_a_single_message_without_a_reply():
    assert of(user("Hello?")) == "The history holds one turn, unanswered. Turn 1 has no reply: the history ends on it."
