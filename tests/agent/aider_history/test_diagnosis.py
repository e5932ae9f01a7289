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


def beside(blocks: int) -> tuple[str, ...]:
    """What aider says when it has applied `blocks` of a reply, but not all."""
    were = "block was" if blocks == 1 else "blocks were"
    return (f"# The other {blocks} SEARCH/REPLACE {were} applied successfully.", "Don't re-send them.")


def one_line(text: str) -> str:
    return " ".join(text.split())


def test_two_messages_in_a_row_that_aider_put_there():
    (told,) = of_file("two_in_a_row.md")
    assert told == one_line("""
        The history, begun 2025-03-02 02:11:55, holds four turns, one of them answered, with one SEARCH/REPLACE
        block, and aider says that it edited experiment.py. Of up to four runs, the chat reports none as completed
        and three failures. Two messages of one side in a row reached the API after
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
    assert refused.endswith("aider refused edits of turn 1, and edits were applied again at turn 2.")
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
    assert "Turn 1 got no reply: error 402 (“Insufficient Balance”)." in told
    assert "Turn 2 got no reply: error 408 (Timeout: “no answer”)." in told


@pytest.mark.parametrize(
    ("after", "why"),
    [
        ("", "the history ends on it"),
        (tool("Empty response received from LLM. Check your provider account?"), "the model's answer was empty"),
        (tool("^C again to exit"), "it was interrupted with Ctrl-C"),
    ],
)
def test_a_user_turn_without_a_reply(after, why):
    assert of(first() + edited() + user("And now?") + after).endswith(f"Turn 2 has no reply: {why}.")


def test_a_command_to_aider_has_no_reply_and_none_is_missed():
    told = of(user("/add experiment.py") + tool("Added experiment.py to the chat") + user("Double it.") + edited())
    assert "one turn besides one command to aider, answered" in told
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


def test_a_run_after_an_edit_of_which_a_part_was_applied_is_no_repetition():
    turn = user("Run 1 completed. Here are the results:\n{}")
    part = reply(edit()) + tool("# 1 SEARCH/REPLACE block failed to match!", *beside(2))
    told = of(first() + edited() + turn + part + turn + edited())
    assert "nothing had changed" not in told
    assert "aider refused edits of turn 2 (two other blocks of the same replies were applied), and edits" in told


def test_what_a_user_runs_says_nothing_of_the_code():
    run = user("/run python experiment.py") + tool("Added 3 lines of output to the chat.")
    assert "changed" not in of(user("a") + edited() + run + run)  # an editor may have changed it meanwhile


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


def test_a_turn_without_a_reply_or_a_reason_is_counted_and_no_more():
    assert of(first() + edited() + user("And now?") + tool("Something else")).endswith("edited experiment.py.")


def test_the_same_error_is_told_once_with_all_its_tries():
    slow, slower = (refusal(429, f"slow down, try again in {wait} s", "RateLimitError") for wait in (7, 31))
    told = of(user("a") + slow + tool("Retrying in 0.2 seconds...") + slow + user("b") + edited() + user("c") + slower)
    same = "the same error 429 came three times (RateLimitError: “slow down, try again in 7 s”)"
    assert f"Turns 1 and 3 got no reply: {same}." in told
    stopped = user("a") + tool("", "^C again to exit")
    assert "Turns 1 and 2 have no reply: each was interrupted with Ctrl-C." in of(stopped + stopped)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("Unexpected error: litellm.APIConnectionError: x", "APIConnectionError (“x”)"),
        ("BadRequestError: Error code: 400 - {'error': {'message': 'too long'}}", "error 400 (“too long”)"),
        ("openai.error.RateLimitError: quota", "error 429 (RateLimitError: “quota”)"),
        ("anthropic.OverloadedError: busy", "OverloadedError (“busy”)"),
        ("httpx.ReadTimeout: too slow", "ReadTimeout (“too slow”)"),
        ("ConnectionRefusedError: [Errno 111] Connection refused", "error (“[Errno 111] Connection refused”)"),
        ("Unexpected error: [Errno 111] Connection refused", "error (“[Errno 111] Connection refused”)"),
        ("litellm.NotFoundError: NotFoundError: OpenrouterException - gone", "error 404 (NotFoundError: “gone”)"),
        ("litellm.Timeout: ", "error 408."),
    ],
)
def test_an_error_is_named_whatever_stands_before_it(line, told):
    assert f"Turn 1 got no reply: {told}" in of(user("a") + tool(line))


def test_a_users_program_that_fails_is_no_failed_request():
    told = of(user("a") + edited() + user("/run x") + tool("ValueError: bad", "Timeouts: 3") + user("b") + edited())
    assert told.endswith("Nothing in it looks like a failure.")


def test_a_reply_that_was_broken_off_is_told_and_one_before_the_exit_is_not():
    broken = user("a") + reply("To make it work:\n\n```python\nx = 1\n```") + tool("", "^C KeyboardInterrupt")
    assert of(broken).endswith("The reply of turn 1 was broken off with Ctrl-C.")
    left = user("a") + edited() + tool("", "^C again to exit", "^C KeyboardInterrupt")
    assert of(left).endswith("Nothing in it looks like a failure.")


def test_long_lists_become_sums_and_ranges():
    again = (
        user("b")
        + reply(edit() + "\n\n" + edit("b = 1", "b = 2"))
        + tool(TOKENS, "# 1 SEARCH/REPLACE block failed to match!")
    )
    told = of(user("a") + edited() + (again + user("c") + edited()) * 7)
    assert "with 22 SEARCH/REPLACE blocks (1 to 2 each)" in told
    assert "aider refused edits of seven of turns 2 to 14, and edits were applied again at turn 15." in told


def test_many_files_are_counted_and_each_has_one_name():
    names = tool(*(f"Applied edit to src\\f{number}.py" for number in range(9)), "Applied edit to src/f1.py")
    told = of(user("a") + reply(edit()) + tool(TOKENS) + names)
    assert "edited src/f0.py, src/f1.py, src/f2.py, src/f3.py and five more files." in told


def test_lint_errors_of_one_file_are_not_repaired_by_an_edit_of_another():
    chat = user("a") + edited() + tool(*LINT, FIX_IT) + reply(edit()) + tool(TOKENS, "Applied edit to plot.py")
    assert of(chat).endswith("After the edits of turn 1 the linter found F821 undefined name 'F'.")


@pytest.mark.parametrize(
    "says",
    [
        ("", "## See relevant line below marked with █.", "", "19█<p>"),
        ("## Running: python -m flake8", "", "/usr/bin/python: No module named flake8"),
        ("python: Error while finding module specification for 'flake8' (ModuleNotFoundError: No module)",),
    ],
)
def test_a_lint_report_that_names_no_error_is_told(says):
    told = of(user("a") + edited() + tool("# Fix any errors below, if possible.", *says, FIX_IT) + edited())
    assert told.endswith("The linter's report that turn 2 answers names no error.")


@pytest.mark.parametrize("says", [LINT[1:], ("SyntaxError: invalid syntax",), ("x.c:3: error: expected ;",)])
def test_a_lint_report_that_names_an_error_is_no_empty_one(says):
    assert "names no error" not in of(user("a") + edited() + tool(LINT[0], *says, FIX_IT) + edited())


@pytest.mark.parametrize(
    "line", ["Unable to commit: Cmd('git') failed", "fatal: bad object", "Error: x does not exist", "KeyError: 'a'"]
)
def test_where_something_else_went_wrong_no_failure_is_denied(line):
    assert of(user("a") + edited() + tool(line)).endswith("edited experiment.py.")


def test_runs_of_ai_scientist_are_counted_with_the_last_error():
    failed = user("Run failed with the following error Traceback (most recent call last):\n  x\nKeyError: 'a'")
    done = user("Run 1 completed. Here are the results:\n{}")
    late = user("Run timed out after 7200 seconds")
    told = of(first() + edited() + failed + edited() + failed + edited() + done + edited() + late + edited())
    assert (
        "Of up to three runs, the chat reports one as completed, two failures (the last time: “KeyError: 'a'”)" in told
    )
    assert "and one time-out." in told


def test_the_last_phase_is_told_and_has_no_open_outcome():
    plots = user("\nGreat job! Please modify `plot.py` to show it.\n") + edited()
    failed = user("Plotting failed with the following error Traceback:\nKeyError: 'run_1'") + edited()
    paper = user("We have put the `latex/template.tex` file into the project.") + edited()
    told = of(first() + edited() + plots + failed)
    assert told.endswith("plot.py failed once (“KeyError: 'run_1'”). The last phase was plotting (turns 2 and 3).")
    told = of(first() + edited() + plots + paper + user("Please fill in the Results of the writeup.") + edited())
    assert "The last phase was the writing-up (turns 3 and 4). Nothing in it looks like a failure." in told


def test_a_user_who_speaks_of_runs_and_papers_is_not_taken_for_ai_scientist():
    told = of(
        user("Run failed with an error") + edited() + user("Fill in template.tex") + edited() + user("x") + edited()
    )
    assert told.endswith("Nothing in it looks like a failure.")


def test_a_report_that_begins_inside_a_progress_bar_holds_bars_alone():
    told = of(first() + edited() + user(f"Run failed with the following error ...=0.451]\n{BAR}") + edited())
    assert "The report of a failed run in turn 2 does not say why it failed." in told
    told = of(first() + edited() + user("Run failed with the following error ...=0.4]\nKeyError: 1") + edited())
    assert "does not say why" not in told
