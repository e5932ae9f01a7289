"""What holds for any reply: no crash, files as the blocks say or not changed at all, nothing but editable files."""

from __future__ import annotations

import difflib
import os
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ai_sci.agent.edits import EditRefused, all_completed, plan_edits, write_files
from ai_sci.agent.edits.parse import parse_reply
from ai_sci.agent.edits.planning import EditPlan
from tests.agent.edits.edit_replies import EDITABLE, FILES, REALISTIC, block

PIECES = [
    "<<<<<<< SEARCH\n",
    "=======\n",
    ">>>>>>> REPLACE\n",
    "<<<<<<< SEARCH",
    "  <<<<<<< SEARCH\n",
    "<<<<<<<<< SEARCH>\n",
    "=====\n",
    ">>>>> REPLACE",
    "```python\n",
    "```\n",
    "```diff\n",
    "````markdown\n",
    "~~~\n",
    "```bash\n",
    "experiment.py\n",
    "**plot.py**:\n",
    "notes.txt\n",
    "../x.py\n",
    "# `settings.json`\n",
    "--- a/experiment.py\n",
    "+++ b/experiment.py\n",
    "--- /dev/null\n",
    "@@ -1,2 +1,2 @@\n",
    "@@ @@\n",
    "+import json\n",
    "-import json\n",
    " import json\n",
    "import json\n",
    "        self.w = 0.0\n",
    "self.w = 0.0\n",
    "\timport json  \n",
    "\n",
    "\r\n",
    "\r",
    "\x0c",
    "\u2028",
    "\ue0000\n",
    "\ud800",
    "\0",
    "ALL_COMPLETED\n",
    "    # ... rest of the code unchanged\n",
    "prose about experiment.py and plot.py\n",
    "\\ No newline at end of file\n",
    "diff --git a/plot.py b/plot.py\n",
]
replies = st.lists(st.sampled_from(PIECES) | st.text(max_size=12), max_size=40).map("".join)


def planned(reply: str, files: dict[str, str], cut_off: bool = False) -> EditPlan | None:
    """None when refused; anything else but a plan fails the test."""
    before = dict(files)
    try:
        plan = plan_edits(reply, files, EDITABLE, cut_off)
    except EditRefused as refused:
        assert refused.reasons and all(isinstance(reason, str) and reason.strip() for reason in refused.reasons)
        return None
    finally:
        assert files == before
    assert set(plan.new_files) <= set(EDITABLE)
    assert all(text != files.get(name) for name, text in plan.new_files.items())
    return plan


@settings(max_examples=400, deadline=None)
@given(replies, st.booleans())
def test_any_text_is_planned_or_refused(reply: str, cut_off: bool):
    plan = planned(reply, FILES, cut_off)
    assert all_completed(reply) in (True, False)
    if plan and "SEARCH" not in reply and "```" not in reply and "~~~" not in reply:
        assert plan == EditPlan({}, 0)


@settings(max_examples=200, deadline=None)
@given(st.text())
def test_any_text_at_all(reply: str):
    planned(reply, FILES)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_a_spoilt_reply_never_makes_other_files_than_its_blocks(data: st.DataObject):
    """Lines taken out, doubled or swapped: what is applied is what the blocks that are left say, one by one."""
    lines = REALISTIC.splitlines(keepends=True)
    for _ in range(data.draw(st.integers(1, 4))):
        at, to = data.draw(st.integers(0, len(lines) - 1)), data.draw(st.integers(0, len(lines) - 1))
        change = data.draw(st.sampled_from(["drop", "double", "swap", "insert"]))
        if change == "drop":
            del lines[at]
        elif change == "double":
            lines.insert(to, lines[at])
        elif change == "swap":
            lines[at], lines[to] = lines[to], lines[at]
        else:
            lines.insert(at, data.draw(st.sampled_from(PIECES)))
    reply = "".join(lines)
    plan = planned(reply, FILES)
    if plan is None:
        return
    texts = dict(FILES)
    for edit in parse_reply(reply, EDITABLE).edits:
        assert edit.kind in ("block", "hunk", "whole")
        if edit.kind == "whole" or edit.path is None or (edit.search and edit.search not in texts.get(edit.path, "")):
            return  # placed in a looser way; other tests are about those
        old = texts.get(edit.path, "")
        texts[edit.path] = old.replace(edit.search, edit.replace, 1) if edit.search else edit.replace
    assert {name: text for name, text in texts.items() if text != FILES.get(name, "")} == plan.new_files


@pytest.mark.parametrize("cut_off", [False, True])
def test_every_prefix_of_a_realistic_reply(cut_off: bool):
    """A cut reply makes what its whole blocks say, or nothing; never a half of a block."""
    texts, steps = dict(FILES), [dict(FILES)]
    for edit in parse_reply(REALISTIC, EDITABLE).edits:
        assert edit.path
        old = texts.get(edit.path, "")
        texts = {**texts, edit.path: old.replace(edit.search, edit.replace, 1) if edit.search else edit.replace}
        steps.append(texts)
    applied = set()
    for stop in range(len(REALISTIC) + 1):
        plan = planned(REALISTIC[:stop], FILES, cut_off)
        if plan is not None:
            result = {**FILES, **plan.new_files}
            assert result == steps[plan.blocks]
            applied.add(plan.blocks)
    assert applied == {0, 1, 2, 3, 4}


LINES = st.lists(st.sampled_from(["a", "b", "  a", "\ta", "", "  ", "b ", "c = 'é'"]), max_size=8)


def occurrences(text: str, search: str) -> int:
    """How often the lines of `search` stand in `text`, overlaps included. Both end in a line feed."""
    padded, wanted = "\n" + text, "\n" + search
    return sum(padded.startswith(wanted, start) for start in range(len(padded)))


@settings(max_examples=500, deadline=None)
@given(LINES, LINES.filter(lambda lines: any(line.strip() for line in lines)), LINES, st.booleans())
def test_one_block_does_what_replace_does(file: list[str], search: list[str], new: list[str], crlf: bool):
    text, wanted, put = ("".join(f"{line}\n" for line in lines) for lines in (file, search, new))
    files = {"experiment.py": text.replace("\n", "\r\n") if crlf else text}
    plan = planned(block(wanted, put), files)
    count = occurrences(text, wanted)
    expected = ("\n" + text).replace("\n" + wanted, "\n" + put, 1)[1:]
    if count == 1 and (expected.strip() or not text.strip()):
        assert plan is not None
        assert plan.new_files.get("experiment.py", files["experiment.py"]).replace("\r\n", "\n") == expected
    elif count:
        assert plan is None
    elif plan is not None:
        # Placed in a looser way: still one run of lines is replaced, by lines that are those of the block but for
        # their indentation, and it has the text of the SEARCH part.
        result = plan.new_files.get("experiment.py", files["experiment.py"]).replace("\r\n", "\n").split("\n")[:-1]
        size = len(search)
        assert [
            start
            for start in range(len(file) - size + 1)
            if [line.strip() for line in file[start : start + size]] == [line.strip() for line in search]
            and file[:start] == result[:start]
            and file[start + size :] == result[start + len(new) :]
            and [line.strip() for line in result[start : start + len(new)]] == [line.strip() for line in new]
        ]
    if crlf and plan and plan.new_files and text:
        assert "\n" not in plan.new_files["experiment.py"].replace("\r\n", "")


SOURCE = st.lists(
    st.sampled_from(["a = 1", "b = 2", "    c()", "", "# d", "- e", "+ f", "@g", "-- h", "++ i"]), max_size=12
)


@settings(max_examples=300, deadline=None)
@given(SOURCE, SOURCE, st.integers(0, 3))
def test_a_unified_diff_does_what_it_says(old: list[str], new: list[str], context: int):
    before, after = ("".join(f"{line}\n" for line in lines) for lines in (old, new))
    lines = difflib.unified_diff(before.splitlines(True), after.splitlines(True), "a/plot.py", "b/plot.py", n=context)
    plan = planned(f"```diff\n{''.join(lines)}```\n", {"plot.py": before})
    if plan is not None:
        # Hunks are placed by their text, so one with little context can do the same elsewhere, but never anything else.
        # A file of nothing but blank lines counts as empty.
        result = {"plot.py": before, **plan.new_files}["plot.py"]
        assert sorted(result.split()) == sorted(after.split())
    elif len(set(old)) == len(old) and context == 3 and before.strip() and after.strip():
        assert "++ i" in new  # aider's reader may take it for the name of the next file


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.sampled_from([*EDITABLE, "../x", "/x", "sub/y.py", "link.py"]), st.text()), max_size=4))
def test_files_are_written_all_or_none(tmp_path_factory: pytest.TempPathFactory, texts: list[tuple[str, str]]):
    folder: Path = tmp_path_factory.mktemp("session")
    (folder / "plot.py").write_bytes(b"old\r\n")
    (folder / "link.py").symlink_to(folder / "plot.py")
    new = {name: text for name, text in texts if not any("\ud800" <= char <= "\udc7f" for char in text)}
    refused = bool(set(new) & {"../x", "/x", "link.py"})
    if refused:
        with pytest.raises(EditRefused):
            write_files(folder, new)
        new = {}
    else:
        write_files(folder, new)
    expected = {"plot.py": b"old\r\n"} | {name: text.encode("utf-8", "surrogateescape") for name, text in new.items()}
    found = {
        os.path.relpath(path, folder): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not path.is_symlink()
    }
    assert found == expected


@pytest.mark.parametrize(
    "reply",
    [
        "experiment.py\n```python\n<<<<<<< SEARCH\n" + "import json\n" * 100_000 + "=======\nx\n>>>>>>> REPLACE\n```\n",
        block("        self.w = 0.0\n", "        self.w = 0.0\n" + "        # padding\n" * 100_000),
        "'" * 2_000_000 + "\n```python\n<<<<<<< SEARCH\na\n=======\nb\n>>>>>>> REPLACE\n```\n",
        "words and words " * 130_000,
        "```python\n" * 200_000,
        "<<<<<<< SEARCH\n" * 100_000,
        "=" * 2_000_000,
        block("x\n", "y\n") * 5_000,
        "```diff\n--- a/plot.py\n+++ b/plot.py\n@@ @@\n" + "-import json\n+import os\n" * 40_000 + "```\n",
        "```diff\n--- a/plot.py\n+++ b/plot.py\n" + "@@ @@\n-import json\n+import os\n" * 20_000 + "```\n",
    ],
    ids=["search", "replace", "quotes", "prose", "fences", "heads", "line", "blocks", "hunk", "hunks"],
)
def test_a_reply_of_two_megabytes_takes_no_minutes(reply: str):
    before = time.process_time()
    planned(reply, FILES)
    all_completed(reply)
    assert time.process_time() - before < 30
