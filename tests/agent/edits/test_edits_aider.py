"""What is taken from aider: the same markers, the same reading of well-formed replies, and none of its side effects."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from ai_sci.agent.edits import plan_edits
from ai_sci.agent.edits import scan as edit_scan
from ai_sci.agent.edits.aider_parts import block_reader, coder_module, diff_reader, line_replacer
from ai_sci.agent.edits.parse import parse_reply
from tests.agent.edits.edit_replies import EDITABLE, EXPERIMENT, FILES, REALISTIC, block

ROOT = Path(__file__).parents[3]


def test_markers_are_those_of_aider():
    editblock = coder_module("editblock_coder")
    assert edit_scan.HEAD.pattern == editblock.HEAD
    assert edit_scan.DIVIDER.pattern == editblock.DIVIDER
    assert edit_scan.END.pattern == editblock.UPDATED


def test_a_reply_is_read_as_aider_reads_it():
    read = [edit for edit in block_reader()(REALISTIC, ("```", "```"), list(EDITABLE)) if edit[0]]
    assert [(edit.path, edit.search, edit.replace) for edit in parse_reply(REALISTIC, EDITABLE).edits] == read


def test_blocks_are_applied_as_aider_applies_them():
    replace_most_similar_chunk = coder_module("editblock_coder").replace_most_similar_chunk
    for search, new in (
        ("        self.w = 0.0\n", "        self.w = 1.0\n        self.v = 1.0\n"),
        ("def step(self, x, y):\n    error = self.w * x - y\n", "def step(self, x, y):\n    error = 0\n"),
        ("    return loss\n\n\n", ""),
    ):
        assert plan_edits(block(search, new), FILES, EDITABLE).new_files == {
            "experiment.py": replace_most_similar_chunk(EXPERIMENT, search, new)
        }


def test_where_aider_would_spoil_the_file_the_reply_is_refused():
    """The reasons why aider's matcher does not look for the place. When this fails, aider may have become usable."""
    replace_most_similar_chunk = coder_module("editblock_coder").replace_most_similar_chunk
    assert replace_most_similar_chunk("foo()\n", "    foo()\n", "bar()\n") == "fobar()\n"
    assert replace_most_similar_chunk("a\nb\na\n", "a\n", "c\n") == "c\nb\na\n"
    one = "<<<<<<< SEARCH\na\n=======\nb\n>>>>>>> REPLACE\n"
    two = f"```\nplot.py\n{one}{one}```\n"
    assert [name for name, *_ in block_reader()(two, ("```", "```"), ["plot.py"])] == ["plot.py", ">>>>>>> REPLACE"]


PROBE = """
import os, sys
before = dict(os.environ)
from ai_sci.agent.edits import plan_edits
reply = {reply!r}
assert plan_edits(reply, {files!r}, {editable!r}).new_files
plan_edits("```diff\\n--- a/plot.py\\n+++ b/plot.py\\n@@ @@\\n-import json\\n+import os\\n```", {files!r}, {editable!r})
assert dict(os.environ) == before, "aider's application changes the environment"
assert not {{"aider.coders", "aider.coders.base_coder", "litellm", "prompt_toolkit", "posthog"}} & set(sys.modules)
import resource
print(resource.getrusage(resource.RUSAGE_SELF).ru_utime)
"""


def test_aiders_application_is_not_imported(tmp_path: Path):
    """A process that applies edits writes nothing to its home, and spends no second on imports."""
    home = tmp_path / "home"
    home.mkdir()
    probe = PROBE.format(reply=REALISTIC, files=FILES, editable=EDITABLE)
    done = subprocess.run(
        [sys.executable, "-c", probe],
        cwd=tmp_path,
        env={"HOME": str(home), "PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert not list(home.iterdir()) and [path.name for path in tmp_path.iterdir()] == ["home"]
    assert float(done.stdout) < 1.5  # aider.coders alone takes 0.6 s on the machine where this takes 0.2


def test_aiders_package_can_still_be_imported_as_a_whole():
    reader, _ = diff_reader()
    assert line_replacer()(["a\n"], ["a\n"], ["b\n"]) == "b\n"
    code = (
        "from ai_sci.agent.edits.aider_parts import block_reader; block_reader()\n"
        "import sys; assert 'aider.coders' not in sys.modules\n"
        "from aider.coders import EditBlockCoder; from aider.coders.base_coder import Coder\n"
        "assert issubclass(EditBlockCoder, Coder) and Coder is not object"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT, timeout=120)
    assert reader("nothing") == []
