"""What a replay plays of a history: the edits that aider applied, and the notes that they found."""

from __future__ import annotations

from ai_sci.agent.aider_history.playing import playback_of
from ai_sci.agent.aider_history.turns import parse_history
from tests.agent.aider_history.chats import FIRST, TOKENS, edit, edited, first, refusal, reply, tool, user

PLOTS = user("\nGreat job! Please modify `plot.py` to show it.\n")
PAPER = user("We have put the `latex/template.tex` file into the project.")
DONE = user("Run 1 completed. Here are the results:\n{}")


def played(text: str):
    (session,) = parse_history(text)
    return playback_of(session)


def replies(text: str) -> list[str]:
    return [turn.reply for turn in played(text).turns]


def failing(*blocks: str, others: int) -> str:
    """aider's report on blocks that it could not apply, as one message."""
    were = "block was" if others == 1 else "blocks were"
    end = f"\n# The other {others} SEARCH/REPLACE {were} applied successfully.\nDon't re-send them." if others else ""
    inside = "\n\n".join(f"## SearchReplaceNoExactMatch\n{block}" for block in blocks)
    return f"> # {len(blocks)} SEARCH/REPLACE block failed to match!\n\n{inside}\n{end}  \n"


def bare(block: str) -> str:
    return "\n".join(block.split("\n")[2:-1])


def test_of_a_reply_that_aider_applied_in_part_that_part_is_played():
    wrong, right = edit("nowhere = 1", "x = 2"), edit("b = 1", "b = 2")
    answer = reply(f"First.\n\n{wrong}\n\nSecond.\n\n{right}") + tool(TOKENS, "The LLM did not conform")
    one, two = replies(first() + answer + failing(bare(wrong), others=1) + edited("Again."))
    assert one == f"First.\n\n\nSecond.\n\n{right}"
    assert two.startswith("Again.")


def test_of_two_blocks_in_one_fence_the_other_stays():
    wrong, right = bare(edit("nowhere = 1", "x = 2")), bare(edit("b = 1", "b = 2"))
    answer = reply(f"experiment.py\n```python\n{wrong}\n{right}\n```") + tool(TOKENS)
    one, _ = replies(first() + answer + failing(wrong, others=1) + edited())
    assert one == f"experiment.py\n```python\n{right}\n```"


def test_a_reply_that_aider_refused_as_a_whole_is_played_as_it_is():
    wrong = edit("nowhere = 1", "x = 2")
    answer = reply(wrong) + tool(TOKENS, "The LLM did not conform to the edit format.")
    assert replies(first() + answer + failing(bare(wrong), others=0) + edited())[0] == wrong


def test_a_reply_that_aider_had_repeated_with_a_file_added_is_left_out():
    asked = tool(TOKENS, "other.py", "Add file to the chat? (Y)es/(N)o/(D)on't ask again [Yes]: y")
    assert len(replies(first() + reply(edit()) + asked + edited())) == 1
    declined = tool(TOKENS, "other.py", "Add file to the chat? (Y)es/(N)o/(D)on't ask again [Yes]: n")
    assert len(replies(first() + reply(edit()) + declined + user("Go on.") + edited())) == 2


def test_a_try_that_broke_off_is_replaced_by_the_next():
    broken = reply("Half of it") + refusal(500, "overloaded") + tool("Retrying in 0.2 seconds...")
    (only,) = replies(first() + broken + edited("All of it."))
    assert only.startswith("All of it.")
    long_error = tool(
        "litellm.RateLimitError: VertexAIException - b'{", '"error": {', "}", "Retrying in 0.2 seconds..."
    )
    (only,) = replies(first() + reply("Half of it") + long_error + edited("All of it."))
    assert only.startswith("All of it.")


def test_the_experiments_end_where_ai_scientist_ends_them():
    assert replies(first() + edited() + PLOTS + edited("Plots."))[1] == "ALL_COMPLETED"
    with_notes = reply(edit() + "\n\nALL_COMPLETED") + tool(TOKENS, "Applied edit to experiment.py")
    assert replies(first() + edited() + DONE + with_notes)[2] == "ALL_COMPLETED"
    said = replies(first() + edited() + DONE + reply("ALL_COMPLETED") + tool(TOKENS) + PLOTS + edited())
    assert said.count("ALL_COMPLETED") == 1
    assert "ALL_COMPLETED" not in replies(first() + edited() + DONE + edited())
    assert "ALL_COMPLETED" not in replies(user("Hi") + edited() + PLOTS + edited())


def test_the_writing_up_is_left_out():
    chat = played(first() + edited() + PLOTS + edited() + PAPER + edited("A title.") + user("Go on.") + edited())
    assert [len(chat.turns), len(chat.left_out)] == [3, 2]


def test_the_limits_let_every_reply_be_played():
    failed = user("Run failed with the following error KeyError: 1")
    chat = played(first() + edited() + (failed + edited()) * 6 + DONE + edited())
    assert chat.max_runs is not None and chat.max_runs > 8
    assert chat.max_failures is not None and chat.max_failures > 7
    assert played(user("Hi") + edited()).max_runs is None


def test_the_notes_are_made_as_ai_scientist_makes_them():
    assert played(first() + edited()).notes == (
        "# Title: Wider and Wider\n"
        "# Experiment description: 1. Double the width.\n2. Double it again\n"
        "## Run 0: Baseline\n"
        "Results: {'l0': 31.5, 'training_steps': 200}\n"
        "Description: Baseline results.\n"
    )
    assert played(user("Your goal is to implement the following idea: Rates.") + edited()).notes.startswith(
        "# Title: Rates\n# Experiment description: \n## Run 0: Baseline\n"
    )


def test_notes_hold_what_applied_blocks_found_in_them():
    more = edit("## Findings\n\nNone yet.", "## Findings\n\nOne.", "notes.txt")
    applied = tool(TOKENS, "Applied edit to notes.txt")
    assert played(user("Hi") + reply(more) + applied).notes == "## Findings\n\nNone yet.\n"
    added = edit("## Run 0: Baseline", "## Run 0: Baseline\n## Run 1", "notes.txt")
    on = edit("## Run 1", "## Run 1\nDone.", "notes.txt")
    chat = first() + reply(added) + applied + user("x") + reply(on) + applied
    assert played(chat).notes == played(first()).notes
    refused = reply(more) + tool(TOKENS, "The LLM did not conform to the edit format.")
    assert played(user("Hi") + refused).notes == ""


def test_modules_that_aider_created_may_be_edited():
    new = edit("", "x = 1", "means.py").replace("SEARCH\n\n", "SEARCH\n")
    assert played(first() + reply(new) + tool(TOKENS, "Applied edit to means.py")).created == ("means.py",)
    assert played(first() + reply(new) + tool(TOKENS)).created == ()
    for name in ("../means.py", "a/means.py", "run_0.json", "/tmp/x.py"):
        other = new.replace("means.py", name)
        assert played(first() + reply(other) + tool(TOKENS, f"Applied edit to {name}")).created == ()


def test_a_title_with_colons_and_full_stops_is_kept():
    text = FIRST.replace("Wider and Wider.", "Wider: How Far? And why..").format(baseline="{}")
    assert played(user(text) + edited()).notes.startswith("# Title: Wider: How Far? And why.\n")


def test_a_file_named_as_windows_names_it_is_the_same_file():
    said = r"In src\model.py:" + "\n\n"
    (only,) = replies(first() + reply(said + edit(file=r"src\model.py")) + tool(TOKENS))
    assert only == said + edit(file="src/model.py")
    code = edit("a = 1", r"path = 'a\b.py'")
    assert replies(first() + reply(code) + tool(TOKENS)) == [code]
