"""Forms in which models write edits though the prompt does not ask for them, and replies that hold none."""

from __future__ import annotations

from pathlib import Path
from textwrap import indent

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ai_sci.agent.edits import EditRefused, Seen, all_completed, part_reasoning, plan_edits, prose_of, seen_instead
from tests.agent.edits.edit_replies import EDITABLE, EXPERIMENT, block

CODE = """\
import argparse

lr = 0.1
w = 0.0
for step in range(20):
    w -= lr * 2 * (w - 3)

if __name__ == "__main__":
    print(w)
"""
FASTER = CODE.replace("lr = 0.1", "lr = 0.2")
FILES = {"experiment.py": CODE}
HERE = Path(__file__).parent / "replies"


def planned(reply: str, files: dict[str, str] | None = None) -> dict[str, str]:
    return plan_edits(reply, FILES if files is None else files, EDITABLE).new_files


def refusal(reply: str, files: dict[str, str] | None = None) -> str:
    with pytest.raises(EditRefused) as refused:
        planned(reply, files)
    return str(refused.value)


@pytest.mark.parametrize(
    "name",
    ["second_divider", "nine_character_markers", "source_fence", "begin_patch", "comment_that_is_no_placeholder"],
)
def test_replies_that_are_applied(name: str):
    new = planned((HERE / f"{name}.md").read_text())["experiment.py"]
    assert "lr = 0.2" in new and "lr = 0.1" not in new


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("placeholder_dots", "`# ...`, would take the place of code such as `for step in range(20):`"),
        ("placeholder_rest_unchanged", "`# (rest of the loop unchanged)`, would take the place of code such as `for"),
        ("blank_edges", "it differs in a blank line"),
    ],
)
def test_replies_that_are_refused(name: str, says: str):
    assert says in refusal((HERE / f"{name}.md").read_text())


# --- markers ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [5, 6, 7, 8, 9])
def test_markers_of_any_size(size: int):
    reply = f"experiment.py\n{'<' * size} SEARCH\nlr = 0.1\n{'=' * size}\nlr = 0.2\n{'>' * size} REPLACE\n"
    assert planned(reply) == {"experiment.py": FASTER}


def test_a_second_divider_is_refused_where_it_could_be_content():
    twice = "experiment.py\n<<<<<<< SEARCH\n{}=======\n{}=======\n>>>>>>> REPLACE\n"
    assert planned(twice.format("lr = 0.1\n", "lr = 0.2\n")) == {"experiment.py": FASTER}
    files = {"experiment.py": f'"""\nTitle\n=======\n"""\n{CODE}'}
    assert "`=======` 2 times" in refusal(twice.format("lr = 0.1\n", "lr = 0.2\n"), files)
    notes = twice.replace("experiment.py", "notes.txt").format("Results\n", "New results\n")
    assert "`=======` 2 times" in refusal(notes, {"notes.txt": "Results\n"})
    assert "`=======` 2 times" in refusal(
        twice.format("lr = 0.1\n", "lr = 0.2\n").replace("=======\n>", "=======\nx\n>")
    )


@pytest.mark.parametrize("tag", ["source", "code", "pre", "codeblock", "sourcecode"])
def test_tags_that_aider_takes_for_fences(tag: str):
    edit = block("lr = 0.1\n", "lr = 0.2\n").replace("```python", f"<{tag}>python").replace("```", f"</{tag}>")
    assert planned(edit) == {"experiment.py": FASTER}
    assert planned(f"experiment.py\n<{tag}>\n{FASTER}</{tag}>\n") == {"experiment.py": FASTER}
    assert not all_completed(f"I end with:\n<{tag}>\nALL_COMPLETED\n</{tag}>")
    assert all_completed(f"A <{tag}> that is never closed:\n<{tag}>\nALL_COMPLETED")


def test_a_search_part_with_other_blank_lines_is_named_as_such():
    spread = block("lr = 0.1\n\nw = 0.0\n", "lr = 0.2\nw = 0.0\n")
    assert "it differs in a blank line" in refusal(spread)
    assert "differs in a blank line" not in refusal(block("lr = 0.3\n\nw = 0.0\n", "lr = 0.2\n"))


# --- patches and whole files ------------------------------------------------------------------------------------------


def patch(body: str) -> str:
    return f"*** Begin Patch\n{body}*** End Patch\n"


@pytest.mark.parametrize(
    "fence",
    ["{}", "```\n{}```\n", "```bash\napply_patch <<'EOF'\n{}EOF\n```\n", "```diff\n{}```\n", "```patch\n{}```\n"],
)
def test_a_patch_with_and_without_a_fence(fence: str):
    body = "*** Update File: experiment.py\n@@ import argparse\n import argparse\n \n-lr = 0.1\n+lr = 0.2\n w = 0.0\n"
    assert planned("Here:\n" + fence.format(patch(body))) == {"experiment.py": FASTER}
    assert prose_of("Here:\n" + fence.format(patch(body)) + "Done.", 100) == "Here:\nDone."


def test_a_patch_for_two_files_with_several_hunks():
    update = "*** Update File: experiment.py\n@@\n-lr = 0.1\n+lr = 0.2\n@@\n-w = 0.0\n+w = 1.0\n*** End of File\n"
    reply = patch(update + "*** Add File: notes.txt\n+# Notes\n+\n+Good.\n")
    assert planned(reply) == {
        "experiment.py": FASTER.replace("w = 0.0", "w = 1.0"),
        "notes.txt": "# Notes\n\nGood.\n",
    }


def test_a_patch_in_a_list_or_with_sloppy_markers():
    whole = patch("*** Update File: experiment.py\n@@\n import argparse\n\n-lr = 0.1\n+lr = 0.2\n")
    assert planned("1. So:\n\n   ```\n" + indent(whole, "   ") + "   ```\n") == {"experiment.py": FASTER}
    assert planned(whole.replace("*** Begin Patch", "***BEGIN PATCH")) == {"experiment.py": FASTER}
    assert "is not closed" in refusal(whole.replace("*** End Patch\n", "") + whole)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("*** Delete File: experiment.py\n", "removes or renames `experiment.py`"),
        ("*** Update File: experiment.py\n*** Move to: x.py\n@@\n-lr = 0.1\n+lr = 1\n", "removes or renames"),
        ("*** Update File: ../x.py\n@@\n-lr = 0.1\n+lr = 1\n", "`../x.py`, which may not be edited"),
        ("*** Update File: experiment.py\n@@\n-lr = 0.3\n+lr = 1\n", "its old part is not in experiment.py"),
        ("*** Update File: experiment.py\n@@\nlr = 0.1\n+lr = 1\n", "cannot be read for certain"),
        ("*** Add File: experiment.py\n+x = 1\n", "it only adds lines"),
        ("@@\n-lr = 0.1\n+lr = 1\n", "names no file"),
    ],
)
def test_patches_that_are_refused(body: str, says: str):
    assert says in refusal(patch(body))
    assert "not closed" in refusal(patch("*** Update File: experiment.py\n@@\n-a\n+b\n").replace("*** End Patch\n", ""))


@pytest.mark.parametrize(
    "name", ["# experiment.py", "experiment.py", "// experiment.py", "# File: experiment.py", "<!-- experiment.py -->"]
)
def test_a_whole_file_named_in_its_first_line(name: str):
    assert planned(f"```python\n{name}\n{FASTER}```\n") == {"experiment.py": FASTER}
    headed = {"experiment.py": f"# experiment.py\n{CODE}"}
    assert planned(f"```python\n# experiment.py\n{FASTER}```\n", headed) == {
        "experiment.py": f"# experiment.py\n{FASTER}"
    }


def test_a_piece_named_in_its_first_line_is_only_an_example():
    piece = "```python\n# experiment.py\nlr = 0.3\n```\n"
    assert planned(piece) == {}
    assert planned(piece + block("lr = 0.1\n", "lr = 0.2\n")) == {"experiment.py": FASTER}
    assert planned(f"```python\n# experiment.py\n{FASTER}```\n" + block("w = 0.0\n", "w = 1.0\n")) == {
        "experiment.py": CODE.replace("w = 0.0", "w = 1.0")
    }
    assert planned("```python\n# experiment.py\nlr = 0.3\n") == {}


# --- ALL_COMPLETED ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "reply",
    [
        (HERE / "marker_as_heading.md").read_text(),
        "# **ALL_COMPLETED**",
        "- ALL_COMPLETED",
        "1. ALL_COMPLETED",
        "***ALL_COMPLETED***",
        "__ALL_COMPLETED__.",
        "**ALL_COMPLETED.**",
        "ALL_COMPLETED<|im_end|>",
        "ALL_COMPLETED</s>",
        "ALL_COMPLETED <end_of_turn>",
        "ALL_COMPLETED<|eot_id|><|end_of_text|>",
        "ALL_COMPLETED<｜end▁of▁sentence｜>",
        "ALL_COMPLETED [/INST]",
        "### ALL_COMPLETED ###",
        "**ALL\\_COMPLETED**",
        '"ALL_COMPLETED"',
        "• ALL_COMPLETED!!! ✅",
        "All runs are done.\n\n```\nALL_COMPLETED\n```\n",
        "```text\nALL_COMPLETED\n```",
    ],
)
def test_the_marker_in_other_dress(reply: str):
    assert all_completed(reply)


@pytest.mark.parametrize(
    "reply",
    [
        "ALL_COMPLETED?",
        "ALL_COMPLETED: no",
        "- [ ] ALL_COMPLETED",
        "~~ALL_COMPLETED~~",
        "> ALL_COMPLETED",
        "## When ALL_COMPLETED",
        "- I will say ALL_COMPLETED",
        "ALL_COMPLETED<b>not yet</b>",
        "ALL_COMPLETED is what I will say",
        "At the end I write:\n```\nALL_COMPLETED\n```",
        "```python\nprint(1)\nALL_COMPLETED\n```",
    ],
)
def test_what_is_not_the_marker(reply: str):
    assert not all_completed(reply)


# --- no edit ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reply", "seen"),
    [
        ("I would first look at the rate.", Seen()),
        ("", Seen()),
        ("The log:\n```text\nTraceback\n```\n", Seen()),
        ("Use this:\n```python\nlr = 0.2\n```\n", Seen("fence", 2)),
        ("Use this:\n~~~\nlr = 0.2\n~~~\n", Seen("fence", 2)),
        ("```python\n# experiment.py\nlr = 0.2\n```\n", Seen("piece", 1, "experiment.py")),
        ("```diff\n-lr = 0.1\n+lr = 0.2\n```\n", Seen("diff", 1)),
        ("--- a/experiment.py\n+++ b/experiment.py\n@@ -1 +1 @@\n-lr = 0.1\n+lr = 0.2\n", Seen("loose diff", 1)),
        ("```bash\nsed -i s/0.1/0.2/ experiment.py\n```\n", Seen("shell", 1)),
        ("```bash\nls\n```\n```python\nlr = 0.2\n```\n", Seen("fence", 4)),
        ('```json\n{"lr": 0.2}\n```\n', Seen("JSON", 1)),
        ('{"file": "experiment.py",\n "search": "lr = 0.1", "replace": "lr = 0.2"}', Seen("JSON", 1)),
        ('<tool_call>\n{"name": "edit"}\n</tool_call>', Seen("tool call", 1)),
        ('Now:\n{"name": "str_replace", "arguments": {"old_str": "a"}}', Seen("tool call", 2)),
        ("<function=edit>\n</function>", Seen("tool call", 1)),
        ('[TOOL_CALLS][{"name": "edit"}]', Seen("tool call", 1)),
        ("<｜tool▁calls▁begin｜>function<｜tool▁sep｜>edit", Seen("tool call", 1)),
        ("<|tool_calls_section_begin|>functions.edit:0", Seen("tool call", 1)),
        ('<|channel|>commentary to=functions.edit <|constrain|>json<|message|>{"x": 1}<|call|>', Seen("tool call", 1)),
        ("x\n*** Update File: experiment.py\n@@\n-lr = 0.1\n+lr = 0.2\n", Seen("patch", 2)),
        ('So:\n{"edits": [{"path": "experiment.py",', Seen("JSON", 2)),
        ("sed -i s/0.1/0.2/ experiment.py", Seen("shell", 1)),
        ("------- SEARCH\nlr = 0.1\n=======\nlr = 0.2\n+++++++ REPLACE\n", Seen("markers", 1)),
        ("<<<<<<< HEAD\nlr = 0.1\n=======\nlr = 0.2\n>>>>>>> branch\n", Seen("markers", 1)),
        ("<<<<<<< ORIGINAL\nlr = 0.1\n=======\nlr = 0.2\n>>>>>>> UPDATED\n", Seen("markers", 1)),
        ('<edit file="experiment.py">\n<old>lr = 0.1</old>\n</edit>', Seen("tags", 1)),
    ],
)
def test_what_is_seen_in_place_of_an_edit(reply: str, seen: Seen):
    assert planned(reply) == {}
    assert seen_instead(part_reasoning(reply).text, EDITABLE) == seen


PIECES = [
    *(
        "```python\n",
        "```\n",
        "{",
        "}",
        "*** Begin Patch\n",
        "*** End Patch\n",
        "*** Update File: experiment.py\n",
        "@@\n",
    ),
    *("+x\n", "<source>\n", "</source>\n", "# experiment.py\n", "lr = 0.1\n", "<<<<<<< HEAD\n", "<<<<<<< SEARCH\n"),
    *("=======\n", ">>>>>>> REPLACE\n", "# ...\n", '"name": "x"', "\n"),
]


def test_a_long_line_takes_no_time():
    assert seen_instead(" " * 500_000 + "*", EDITABLE) == Seen()  # quadratic would be minutes


def test_a_block_with_other_markers_is_named_as_such():
    other = block("lr = 0.1\n", "lr = 0.2\n").replace("SEARCH", "ORIGINAL").replace(" REPLACE", " UPDATED")
    assert "`<<<<<<< ORIGINAL` is a marker other than `<<<<<<< SEARCH`" in refusal(other)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from(PIECES) | st.text(max_size=8), max_size=30).map("".join))
def test_any_text_is_looked_at_without_a_crash(reply: str):
    seen = seen_instead(reply, EDITABLE)
    assert 0 <= seen.line <= reply.count("\n") + 1
    try:
        plan = plan_edits(reply, {"experiment.py": EXPERIMENT}, EDITABLE)
    except EditRefused as refused:
        assert all(refused.reasons)
    else:
        assert set(plan.new_files) <= set(EDITABLE)
