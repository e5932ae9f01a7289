"""Replies as models write them, right and wrong: what each of them makes of the files, or why it is refused."""

from __future__ import annotations

import pytest

from ai_sci.agent.edits import EditRefused, all_completed, plan_edits
from ai_sci.agent.edits.parse import parse_reply
from tests.agent.edits.edit_replies import EDITABLE, EXPERIMENT, FILES, PLOT, REALISTIC, block

LR = "    def __init__(self, lr=0.1):\n"
NEW_LR = "    def __init__(self, lr=0.01):\n"
CHANGED = EXPERIMENT.replace(LR, NEW_LR)


def refusal(reply: str, files: dict[str, str] | None = None, cut_off: bool = False) -> str:
    with pytest.raises(EditRefused) as refused:
        plan_edits(reply, FILES if files is None else files, EDITABLE, cut_off)
    assert refused.value.reasons
    assert all(reason.strip() for reason in refused.value.reasons)
    return "\n".join(refused.value.reasons)


def new_files(reply: str, files: dict[str, str] | None = None) -> dict[str, str]:
    return plan_edits(reply, FILES if files is None else files, EDITABLE).new_files


def test_a_realistic_reply():
    plan = plan_edits(REALISTIC, FILES, EDITABLE)
    assert plan.blocks == 4
    assert plan.new_files == {
        "experiment.py": CHANGED.replace("        self.w = 0.0\n", "        self.w = 0.0\n        self.v = 0.0  \n"),
        "plot.py": 'import json\n\nprint("α →", json.dumps({}))\n',
        "notes.txt": "# Run 1\nA smaller learning rate.\n",
    }
    assert [edit.path for edit in parse_reply(REALISTIC, EDITABLE).edits] == [
        "experiment.py",
        "experiment.py",
        "plot.py",
        "notes.txt",
    ]


@pytest.mark.parametrize(
    "reply",
    [
        "",
        "\n \n",
        "I would first look at the learning rate.",
        "I cannot help with that.",
        "```bash\npython experiment.py --out_dir=run_1\n```",
        "```python\nimport numpy as np\n```",
        "As in experiment.py:\n\n```python\nself.w = 0.0\n```",
        "run_1/final_info.json\n```json\n{}\n```",
        "```diff\n-lr=0.1\n+lr=0.01\n```",
        "ALL_COMPLETED",
        "```python\nunclosed = True",
        "Use `<<<<<<< SEARCH` and `>>>>>>> REPLACE` markers.",
        "experiment.py",
        "experiment.py\n```text\nTraceback (most recent call last):\n```",
    ],
)
def test_talk_is_no_edit(reply: str):
    plan = plan_edits(reply, FILES, EDITABLE)
    assert (plan.new_files, plan.blocks) == ({}, 0)


@pytest.mark.parametrize(
    "above",
    [
        "experiment.py\n```python\n",
        "`experiment.py`\n```python\n",
        "**experiment.py**\n```python\n",
        "**`experiment.py`**:\n```python\n",
        "# experiment.py:\n```python\n",
        "### `experiment.py`\n\n```python\n",
        "1. **experiment.py**\n   \n```python\n",
        "File: experiment.py\n```python\n",
        "./experiment.py\n```\n",
        "experiment.py\n",
        "```python\nexperiment.py\n",
        "```python\n# experiment.py\n",
        "```experiment.py\n",
        "```python experiment.py\n",
        '```python title="experiment.py"\n',
        "```python\nexperiment.py\n```\n```python\n",
        "experiment.py\n~~~python\n",
        "experiment.py\r\n```python\r\n",
    ],
)
def test_file_names_in_markdown_decoration(above: str):
    other = block("import json\n", "import json, os\n", "plot.py")
    reply = f"{other}\n{above}<<<<<<< SEARCH\n{LR}=======\n{NEW_LR}>>>>>>> REPLACE\n```\n"
    assert new_files(reply)["experiment.py"] == CHANGED


@pytest.mark.parametrize(
    "name",
    [
        "experimnt.py",
        "Experiment.py",
        "settings.json",
        "run_0/final_info.json",
        "../experiment.py",
        "../../etc/passwd",
        "/etc/passwd",
        "~/.bashrc",
        "/tmp/session/experiment.py",
        "src/experiment.py",
        "./../experiment.py",
        "C:\\session\\experiment.py",
        "..\\experiment.py",
        "`.git/hooks/pre-commit.sh`",
    ],
)
@pytest.mark.parametrize("search", [LR, ""])
def test_names_that_are_not_editable(name: str, search: str):
    good = block("import json\n", "import json, os\n", "plot.py")
    assert "may not be edited. Editable: experiment.py, plot.py, notes.txt." in refusal(
        good + block(search, "x = 1\n", name)
    )


def test_a_block_without_a_name_goes_on_with_the_file_before_it():
    reply = (
        block("import json\n", "import json, os\n", "plot.py")
        + "\nAnd:\n\n"
        + block("print(json.dumps({}))\n", "print()\n", None)
    )
    assert new_files(reply) == {"plot.py": "import json, os\n\nprint()\n"}


def test_a_first_block_without_a_name_is_for_the_only_file_that_has_its_lines():
    assert new_files("Change this:\n\n" + block(LR, NEW_LR, None)) == {"experiment.py": CHANGED}
    assert "no file is named" in refusal(block("import json\n", "import os\n", None))  # both files have it
    assert "no file is named" in refusal(block("nowhere\n", "import os\n", None))
    assert "no file is named" in refusal(block("", "import os\n", None))


def test_a_block_without_a_name_below_text_that_speaks_of_another_file():
    """The file of the block before would be a guess against what the reply says."""
    first = block("print(json.dumps({}))\n", "print()\n", "plot.py")
    reply = f"{first}\nNow import os in experiment.py as well:\n\n" + block("import json\n", "import json, os\n", None)
    assert "no file is named" in refusal(reply)
    reply = f"{first}\nNow the rate in experiment.py:\n\n" + block(LR, NEW_LR, None)
    assert new_files(reply)["experiment.py"] == CHANGED


def test_two_blocks_in_one_fence():
    reply = (
        f"experiment.py\n```python\n<<<<<<< SEARCH\n{LR}=======\n{NEW_LR}>>>>>>> REPLACE\n\n"
        "<<<<<<< SEARCH\n        self.w = 0.0\n=======\n        self.w = 1.0\n>>>>>>> REPLACE\n```\n"
    )
    assert new_files(reply) == {"experiment.py": CHANGED.replace("self.w = 0.0", "self.w = 1.0")}


def test_blocks_for_two_files_in_one_fence():
    reply = (
        f"```\nexperiment.py\n<<<<<<< SEARCH\n{LR}=======\n{NEW_LR}>>>>>>> REPLACE\n"
        "plot.py\n<<<<<<< SEARCH\nimport json\n=======\nimport json, os\n>>>>>>> REPLACE\n```\n"
    )
    assert new_files(reply) == {"experiment.py": CHANGED, "plot.py": PLOT.replace("import json\n", "import json, os\n")}


def test_all_or_nothing():
    files = dict(FILES)
    reply = block(LR, NEW_LR) + block("nowhere = 1\n", "x\n") + block("import json\n", "import os\n", "plot.py")
    reasons = refusal(reply, files)
    assert "Block 2 (line " in reasons and "Block 1" not in reasons and "Block 3" not in reasons
    assert files == FILES


def test_every_failing_block_has_its_reason():
    with pytest.raises(EditRefused) as refused:
        plan_edits(block("nowhere\n", "x\n") + block(LR, NEW_LR) + block("nor there\n", "x\n"), FILES, EDITABLE)
    assert [reason[:7] for reason in refused.value.reasons] == ["Block 1", "Block 3"]


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (
            f"experiment.py\n```python\n<<<<<<< SEARCH\n{LR}=======\n{NEW_LR}",
            "line 3 of the reply is not closed: the reply",
        ),
        (f"experiment.py\n```python\n<<<<<<< SEARCH\n{LR}=======\n{NEW_LR}```\n", "is not closed"),
        (f"experiment.py\n```python\n<<<<<<< SEARCH\n{LR}", "is not closed"),
        (
            f"experiment.py\n```python\n<<<<<<< SEARCH\n{LR}=======\n{NEW_LR}```\n" + block("a\n", "b\n"),
            "the next one starts",
        ),
        (f"experiment.py\n```python\n<<<<<<< SEARCH\n{LR}>>>>>>> REPLACE\n```\n", "has no line `=======`"),
        (
            f"experiment.py\n```python\n<<<<<<< SEARCH\n{LR}======\n{NEW_LR}>>>>>>> REPLACE\n```\n",
            "Line 5 has '======'",
        ),
        (f"experiment.py\n```python\n{LR}=======\n{NEW_LR}>>>>>>> REPLACE\n```\n", "that was not begun"),
        (
            f"experiment.py\n```python\n<<<<<<< SEARCH experiment.py\n{LR}=======\n{NEW_LR}>>>>>>> REPLACE\n```\n",
            "starts with",
        ),
        (f"experiment.py\n```python\n<<<<<<<SEARCH\n{LR}=======\n{NEW_LR}>>>>>>> REPLACE\n```\n", "starts with"),
        (
            f"experiment.py\n```python\n<<<<<<< SEARCH\n{LR}=======\n{NEW_LR}```\n>>>>>>> REPLACE\n",
            "closes its code fence",
        ),
        (f"experiment.py\n```python\n<<<<<<< SEARCH\n{LR}=======\n{NEW_LR}=======\n", "is not closed"),
        (block(LR, "x = '\ud800'\n"), "characters that no file can have"),
        (block(LR, "x = '\0'\n"), "characters that no file can have"),
    ],
)
def test_broken_blocks_are_refused(reply: str, reason: str):
    assert reason in refusal(reply)


@pytest.mark.parametrize("row", ["=====", "======", "========", "    =======", "==========", "== ==="])
def test_a_row_of_equals_signs_in_the_content_is_content(row: str):
    """aider ends the SEARCH part at such a line, which replaces too little by too much without a word."""
    notes = f"Results\n{row}\nloss 1.0\n"
    reply = block(f"Results\n{row}\nloss 1.0\n", f"Results\n{row}\nloss 0.5\n", "notes.txt")
    assert new_files(reply, {"notes.txt": notes}) == {"notes.txt": f"Results\n{row}\nloss 0.5\n"}


def test_a_divider_in_the_content_is_refused():
    notes = "Results\n=======\nloss 1.0\n"
    reply = block("Results\n=======\nloss 1.0\n", "Results\n=======\nloss 0.5\n", "notes.txt")
    assert "`=======` 3 times (lines 5, 7, 9)" in refusal(reply, {"notes.txt": notes})
    half = block("Results\n=======\nloss 1.0\n", "", "notes.txt")
    assert "`=======` 2 times" in refusal(half, {"notes.txt": notes})


def test_search_that_means_two_places_is_refused_with_their_lines():
    files = {"experiment.py": "a = 1\nb = 2\na = 1\n  a = 1\n"}
    assert "means 2 places in experiment.py, at lines 1, 3" in refusal(block("a = 1\n", "a = 2\n"), files)


def test_search_that_is_nowhere_is_refused_with_the_nearest_lines():
    search = (
        "    def step(self, x, y):\n        errors = self.w * x - y\n        self.w -= self.lr * (error * x).mean()\n"
    )
    reasons = refusal(block(search, "        pass\n"))
    assert (
        "its SEARCH part is not in experiment.py: its line 2, `errors = self.w * x - y`, is nowhere there." in reasons
    )
    assert "    15│    def step(self, x, y):\n    16█        error = self.w * x - y\n    17│" in reasons


def test_nearest_line_when_no_line_is_the_same():
    reasons = refusal(block("        error = self.w * x - target\n", "        pass\n"))
    assert "    16█        error = self.w * x - y" in reasons
    assert "Nearest" not in refusal(block("ⵣⵣⵣⵣ\n", "        pass\n"))


def test_few_lines_are_shown_of_a_long_search():
    search = EXPERIMENT.replace("error = self.w * x - y", "error = 0")
    reasons = refusal(block(search, "pass\n"))
    assert "16█        error = self.w * x - y" in reasons
    assert len(reasons.splitlines()) <= 16


def test_tabs_for_spaces_are_refused_and_named():
    search = "\tdef __init__(self, lr=0.1):\n\t\tself.lr = lr\n"
    assert "lines 11-12 have the same text with other indentation (tabs" in refusal(block(search, search))


def test_a_file_with_tabs():
    files = {"experiment.py": "def f():\n\tif 1:\n\t\treturn 1\n"}
    assert new_files(block("\t\treturn 1\n", "\t\treturn 2\n"), files) == {
        "experiment.py": "def f():\n\tif 1:\n\t\treturn 2\n"
    }
    assert new_files(block("if 1:\n\treturn 1\n", "if 2:\n\treturn 2\n"), files) == {
        "experiment.py": "def f():\n\tif 2:\n\t\treturn 2\n"
    }


def test_white_space_at_line_ends_is_ignored_in_search_and_kept_in_replace():
    reply = block("        self.lr = lr  \n        self.w = 0.0\t\n", "        self.lr = lr  \n        self.w = 2.0\n")
    assert new_files(reply) == {
        "experiment.py": EXPERIMENT.replace(
            "        self.lr = lr\n        self.w = 0.0\n", "        self.lr = lr  \n        self.w = 2.0\n"
        )
    }


def test_indentation_of_the_whole_block_shifted():
    search = "def step(self, x, y):\n    error = self.w * x - y\n"
    new = "def step(self, x, y):\n\n    error = y - self.w * x\n"
    assert new_files(block(search, new)) == {
        "experiment.py": EXPERIMENT.replace("        error = self.w * x - y\n", "\n        error = y - self.w * x\n")
    }
    deep = "          def step(self, x, y):\n              error = self.w * x - y\n"
    assert new_files(block(deep, deep.replace("x - y", "x + y"))) == {
        "experiment.py": EXPERIMENT.replace("x - y", "x + y")
    }


def test_a_block_that_cannot_be_shifted_to_the_left_is_refused():
    """aider makes `fobar()` of this."""
    assert "indented more than lines 1-1" in refusal(block("    foo()\n", "bar()\n"), {"experiment.py": "foo()\n"})


def test_indentation_that_is_not_shifted_as_a_whole_is_refused():
    search = "def step(self, x, y):\n  error = self.w * x - y\n"
    assert "other indentation" in refusal(block(search, search))


@pytest.mark.parametrize("files", [{}, {"notes.txt": ""}, {"notes.txt": "\n \n"}])
def test_an_empty_search_starts_a_missing_or_empty_file(files: dict[str, str]):
    assert new_files(block("", "# Notes\n", "notes.txt"), files) == {"notes.txt": "# Notes\n"}
    assert new_files(block("\n", "# Notes\n", "notes.txt"), files) == {"notes.txt": "# Notes\n"}


def test_an_empty_search_on_a_file_with_text_is_refused():
    assert "which only starts a new file, and plot.py has 3 lines" in refusal(block("", "# Notes\n", "plot.py"))


def test_search_in_a_missing_file():
    assert "notes.txt does not exist yet" in refusal(block("# Notes\n", "# More\n", "notes.txt"))


def test_a_block_that_deletes_lines():
    assert new_files(block("import json\n\n", "", "plot.py")) == {"plot.py": "print(json.dumps({}))\n"}


def test_a_block_that_deletes_everything_is_refused():
    assert "leave nothing of plot.py" in refusal(block(PLOT, "", "plot.py"))
    assert "leave nothing of plot.py" in refusal(block(PLOT, "\n  \n", "plot.py"))


def test_a_file_emptied_and_filled_again_in_one_reply():
    assert new_files(block(PLOT, "", "plot.py") + block("", "x = 1\n", "plot.py")) == {"plot.py": "x = 1\n"}


def test_a_block_that_changes_nothing():
    plan = plan_edits(block(LR, LR), FILES, EDITABLE)
    assert (plan.new_files, plan.blocks) == ({}, 1)
    plan = plan_edits(block(LR, NEW_LR) + block(NEW_LR, LR), FILES, EDITABLE)
    assert (plan.new_files, plan.blocks) == ({}, 2)


def test_the_same_edit_again_is_refused_as_being_there():
    reply = block("        self.w = 0.0\n", "        self.w = 1.0\n        self.v = 1.0\n")
    once = new_files(reply)
    assert "already there, at line 13" in refusal(reply, {**FILES, **once})


def test_contradicting_blocks_are_refused():
    reasons = refusal(block(LR, NEW_LR) + block(LR, "    def __init__(self, lr=1.0):\n"))
    assert "Block 2" in reasons and "before the edits above it" in reasons


def test_blocks_that_build_on_each_other():
    assert new_files(block(LR, NEW_LR) + block(NEW_LR, "    def __init__(self, lr=1.0):\n")) == {
        "experiment.py": EXPERIMENT.replace("lr=0.1", "lr=1.0")
    }


def test_search_of_another_file_is_named():
    assert "It is in experiment.py." in refusal(block(LR, NEW_LR, "plot.py"))


def test_line_ends_are_kept():
    files = {"experiment.py": "a = 1\r\nb = 2\r\nc = 3\r\n"}
    assert new_files(block("b = 2\n", "b = 3\nd = 4\n"), files) == {
        "experiment.py": "a = 1\r\nb = 3\r\nd = 4\r\nc = 3\r\n"
    }
    mixed = {"experiment.py": "a = 1\r\nb = 2\nc = 3\r\n"}
    assert new_files(block("b = 2\n", "b = 3\n"), mixed) == {"experiment.py": "a = 1\r\nb = 3\nc = 3\r\n"}
    crlf_reply = block("b = 2\n", "b = 3\n").replace("\n", "\r\n")
    assert new_files(crlf_reply, {"experiment.py": "a = 1\nb = 2\n"}) == {"experiment.py": "a = 1\nb = 3\n"}
    assert new_files(block("", "a\nb\n", "notes.txt"), {"notes.txt": "\r\n"}) == {"notes.txt": "a\r\nb\r\n"}


def test_a_last_line_without_an_end():
    files = {"experiment.py": "a = 1\nb = 2"}
    assert new_files(block("b = 2\n", "b = 3\nc = 4\n"), files) == {"experiment.py": "a = 1\nb = 3\nc = 4"}
    assert new_files(block("a = 1\n", "a = 2\n"), files) == {"experiment.py": "a = 2\nb = 2"}
    assert new_files(block("x\n", "y\nz\n"), {"experiment.py": "x"}) == {"experiment.py": "y\nz"}


def test_unicode_and_a_byte_order_mark():
    files = {"experiment.py": "\ufeffα = 'é'\n# e\u0301 is not é\n"}
    assert new_files(block("α = 'é'\n", "β = '→'\n"), files) == {"experiment.py": "\ufeffβ = '→'\n# e\u0301 is not é\n"}
    assert "is not in" in refusal(block("# é is not é\n", "x\n"), files)


def test_lines_that_other_programs_end_elsewhere():
    """aider splits lines at form feeds, U+2028 and the like; only a line feed ends one here."""
    odd = "a = '\u2028=======\x0c>>>>>>> REPLACE\x1c'\n"
    assert new_files(block("x\n", odd), {"experiment.py": "x\n\x0cy\n"}) == {"experiment.py": odd + "\x0cy\n"}
    assert new_files(block("\x0cy\n", "z\n"), {"experiment.py": "x\n\x0cy\n"}) == {"experiment.py": "x\nz\n"}
    assert new_files(block("x\n", "\ue0000\n\ue0001\n"), {"experiment.py": "x\n"}) == {
        "experiment.py": "\ue0000\n\ue0001\n"
    }


def test_code_fences_in_the_content():
    new = "# Notes\n\n```bash\npython experiment.py\n```\n"
    assert new_files(block("", new, "notes.txt"), {}) == {"notes.txt": new}


def test_shell_commands_are_ignored():
    reply = block(LR, NEW_LR) + "\n```bash\nrm -rf / && python experiment.py\n```\n\n```sh\nexperiment.py\n```\n"
    plan = plan_edits(reply, FILES, EDITABLE)
    assert (plan.new_files, plan.blocks) == ({"experiment.py": CHANGED}, 1)


@pytest.mark.parametrize(
    "line",
    [
        "        # ... rest of the code remains the same",
        "    # ... existing code ...",
        "# (rest of the class unchanged)",
    ],
)
def test_lines_left_out_are_refused(line: str):
    assert "leaves lines out" in refusal(block(LR, f"{NEW_LR}{line}\n"))
    files = {"experiment.py": f"a = 1\n{line}\n"}  # a file that has such a comment may keep it
    assert new_files(block(f"a = 1\n{line}\n", f"a = 2\n{line}\n"), files) == {"experiment.py": f"a = 2\n{line}\n"}


@pytest.mark.parametrize("line", ["    x = y[..., 0]  # same as before", "    ...", "# The rest follows the paper"])
def test_what_only_looks_like_lines_left_out(line: str):
    assert line in new_files(block(LR, f"{NEW_LR}{line}\n"))["experiment.py"]


@pytest.mark.parametrize(
    "tail",
    [
        "experiment.py\n",
        "experiment.py\n```python\n",
        "experiment.py\n```python\n<<<<<<< SEA",
        "plot.py\n```python\nimport json",
    ],
)
def test_a_reply_cut_off_before_an_edit_is_refused(tail: str):
    reply = block(LR, NEW_LR) + "\n" + tail
    refusal(reply, cut_off=True)
    refusal(block(LR, NEW_LR)[:-40], cut_off=True)


def test_a_reply_cut_off_in_the_talk_after_its_edits_is_applied():
    reply = block(LR, NEW_LR) + "\nThis makes the step sma"
    assert plan_edits(reply, FILES, EDITABLE, cut_off=True).new_files == {"experiment.py": CHANGED}


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        ("ALL_COMPLETED", True),
        ("All runs are done.\n\n**ALL_COMPLETED**\n", True),
        ("  ALL_COMPLETED.  ", True),
        ("done\r\nALL_COMPLETED\r\n", True),
        ("```bash\nls\n```\nALL_COMPLETED", True),
        (REALISTIC + "\nALL_COMPLETED\n", True),
        ("I will say ALL_COMPLETED when I am done.", False),
        ("When I am done I say:\n\n```\nALL_COMPLETED\n```\n", False),
        ("> ALL_COMPLETED", False),
        ("NOT ALL_COMPLETED", False),
        ("all_completed", False),
        (block(LR, "ALL_COMPLETED\n"), False),
        (REALISTIC, False),
        ("", False),
    ],
)
def test_all_completed(reply: str, said: bool):
    assert all_completed(reply) is said
