"""Replies that give a file whole or as a unified diff."""

from __future__ import annotations

import difflib

import pytest

from ai_sci.agent.edits import EditRefused, plan_edits
from tests.agent.edits.edit_replies import EDITABLE, EXPERIMENT, FILES, PLOT, block

NEW = EXPERIMENT.replace("lr=0.1", "lr=0.01").replace("    return loss\n", "    print(loss)\n    return loss\n")


def refusal(reply: str, files: dict[str, str] | None = None) -> str:
    with pytest.raises(EditRefused) as refused:
        plan_edits(reply, FILES if files is None else files, EDITABLE)
    return str(refused.value)


def new_files(reply: str, files: dict[str, str] | None = None) -> dict[str, str]:
    return plan_edits(reply, FILES if files is None else files, EDITABLE).new_files


def whole(text: str, name: str = "experiment.py", info: str = "python") -> str:
    return f"Here it is:\n\n{name}\n```{info}\n{text}```\n\nThat is all.\n"


def diff(old: str, new: str, name: str = "experiment.py", context: int = 3) -> str:
    lines = difflib.unified_diff(
        old.splitlines(keepends=True), new.splitlines(keepends=True), f"a/{name}", f"b/{name}", n=context
    )
    return f"The change:\n\n```diff\n{''.join(lines)}```\n"


@pytest.mark.parametrize("name", ["experiment.py", "**experiment.py**", "### `experiment.py`\n", "experiment.py:"])
@pytest.mark.parametrize("info", ["python", "", "py", "experiment.py"])
def test_a_whole_file(name: str, info: str):
    assert new_files(whole(NEW, name, info)) == {"experiment.py": NEW}


def test_a_whole_file_named_in_the_fence():
    assert new_files(f"Done:\n```python experiment.py\n{NEW}```\n") == {"experiment.py": NEW}


def test_whole_files_together_with_blocks_for_another():
    reply = (
        whole(NEW) + block("import json\n", "import json, os\n", "plot.py") + whole("# Notes\nGood.\n", "notes.txt", "")
    )
    plan = plan_edits(reply, FILES, EDITABLE)
    assert plan.blocks == 3
    assert plan.new_files == {
        "experiment.py": NEW,
        "plot.py": PLOT.replace("import json\n", "import json, os\n"),
        "notes.txt": "# Notes\nGood.\n",
    }


def test_the_same_file_whole_changes_nothing():
    assert new_files(whole(EXPERIMENT)) == {}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("        self.w = 1.0\n", "does not parse"),
        ("def train(steps):\n    return 0.0\n", "it has 2 lines that are not blank, the file has 26"),
        (NEW.split("if __name__")[0], '`if __name__ == "__main__"` part is missing'),
        (NEW.replace("import", "# import"), "the file's imports are missing"),
        (NEW.replace("    return loss\n", "    # ... rest of the function unchanged\n"), "it leaves lines out"),
        (NEW + "def broken(:\n", "does not parse (line 37"),
    ],
)
def test_a_piece_is_not_taken_for_the_file(text: str, reason: str):
    assert reason in refusal(whole(text))


def test_a_quotation_of_the_file_is_no_edit():
    piece = EXPERIMENT[EXPERIMENT.index("class Model") : EXPERIMENT.index("def train")]
    plan = plan_edits(whole(piece) + block("import json\n", "import json, os\n", "plot.py"), FILES, EDITABLE)
    assert plan.blocks == 1 and list(plan.new_files) == ["plot.py"]


def test_a_file_given_twice_is_refused():
    assert "gives experiment.py whole and edits it 1 more times" in refusal(whole(NEW) + whole(NEW))
    edit = block("        self.w = 0.0\n", "        self.w = 1.0\n")
    assert "gives experiment.py whole" in refusal(whole(NEW) + edit)
    assert "gives experiment.py whole" in refusal(edit + whole(NEW))


def test_a_whole_file_that_is_not_closed():
    assert "is not closed" in refusal(whole(NEW).split("```\n\nThat")[0])


def test_a_new_module_is_refused():
    assert "`layers.py`, which may not be edited" in refusal(whole("import torch\n", "layers.py"))


def test_a_text_with_fences_of_its_own():
    notes = "# Notes\n\n```bash\npython experiment.py\n```\nand so on\n"
    assert "cannot be told where `notes.txt`" in refusal(whole(notes, "notes.txt", "markdown"))
    bare = notes.replace("bash", "")
    assert "cannot be told where `notes.txt`" in refusal(whole(bare, "notes.txt", ""))
    assert new_files(f"notes.txt\n````markdown\n{notes}````\n") == {"notes.txt": notes}


def test_a_whole_file_keeps_cr_lf():
    files = {"experiment.py": EXPERIMENT.replace("\n", "\r\n")}
    assert new_files(whole(NEW), files) == {"experiment.py": NEW.replace("\n", "\r\n")}


@pytest.mark.parametrize("context", [1, 3, 100])
def test_a_unified_diff(context: int):
    assert new_files(diff(EXPERIMENT, NEW, context=context)) == {"experiment.py": NEW}


def test_line_numbers_of_a_diff_are_not_needed():
    text = diff(EXPERIMENT, NEW)
    for old in [line for line in text.splitlines() if line.startswith("@@")]:
        text = text.replace(old, "@@ ... @@")
    assert new_files(text) == {"experiment.py": NEW}


def test_a_diff_as_git_writes_it_with_two_files():
    one, two = diff(EXPERIMENT, NEW), diff(PLOT, "import json, os\n\nprint()\n", "plot.py")
    body = "".join(
        f"diff --git a/{name} b/{name}\nindex 83db48f..bf2a5c1 100644\n" + text.split("```diff\n")[1].split("```")[0]
        for name, text in (("experiment.py", one), ("plot.py", two))
    )
    assert new_files(f"```diff\n{body}```\n") == {"experiment.py": NEW, "plot.py": "import json, os\n\nprint()\n"}


def test_a_diff_without_a_header_below_a_name():
    hunk = "@@ @@\n-        self.w = 0.0\n+        self.w = 1.0\n"
    assert new_files(f"experiment.py\n```diff\n{hunk}```\n") == {
        "experiment.py": EXPERIMENT.replace("w = 0.0", "w = 1.0")
    }
    assert "names no file" in refusal(f"Now:\n\n```diff\n{hunk}```\n")


def test_a_diff_that_makes_a_file():
    text = "```diff\n--- /dev/null\n+++ b/notes.txt\n@@ -0,0 +1,2 @@\n+# Notes\n+Good.\n```\n"
    assert new_files(text) == {"notes.txt": "# Notes\nGood.\n"}


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (
            "--- a/plot.py\n+++ /dev/null\n@@ -1,3 +0,0 @@\n-import json\n-\n-print(json.dumps({}))\n",
            "removes or renames",
        ),
        ("--- a/plot.py\n+++ b/experiment.py\n@@ @@\n-import json\n+import os\n", "removes or renames"),
        ("--- a/../x.py\n+++ b/../x.py\n@@ @@\n-import json\n+import os\n", "`../x.py`, which may not be edited"),
        ("--- a/settings.json\n+++ b/settings.json\n@@ @@\n-1\n+2\n", "may not be edited"),
        ("--- a/plot.py\n+++ b/plot.py\n@@ @@\nimport json\n-print(json.dumps({}))\n+print()\n", "cannot be read"),
        ("--- a/plot.py\n+++ b/plot.py\n@@ @@\n-import jsonn\n+import os\n", "its old part is not in plot.py"),
        ("--- a/plot.py\n+++ b/plot.py\n@@ @@\n+import os\n", "it only adds lines"),
        ("--- a/experiment.py\n+++ b/experiment.py\n@@ @@\n-\n+# blank\n", "it only adds lines"),
        ("--- a/plot.py\n+++ b/plot.py\n@@ @@\n-import json\n-\n-print(json.dumps({}))\n", "leave nothing of plot.py"),
        ("--- a/plot.py\n+++ b/plot.py\n@@ @@\n x\n--- y\n+++ z\n", "cannot be read"),
    ],
)
def test_diffs_that_are_refused(body: str, reason: str):
    assert reason in refusal(f"```diff\n{body}```\n")


def test_a_hunk_that_means_two_places_is_refused():
    files = {"experiment.py": "a = 1\nb = 2\na = 1\n"}
    text = "```diff\n--- a/experiment.py\n+++ b/experiment.py\n@@ -3 +3 @@\n-a = 1\n+a = 2\n```\n"
    assert "means 2 places in experiment.py, at lines 1, 3" in refusal(text, files)


def test_a_diff_that_is_not_closed_is_refused():
    assert "is not closed" in refusal(diff(EXPERIMENT, NEW).removesuffix("```\n"))


def test_a_diff_and_blocks_are_applied_in_the_order_of_the_reply():
    reply = block("        self.w = 0.0\n", "        self.w = 5.0\n") + diff(
        "        self.w = 5.0\n", "        self.w = 7.0\n"
    )
    assert new_files(reply) == {"experiment.py": EXPERIMENT.replace("w = 0.0", "w = 7.0")}
