"""Faults of a reply. Each stands where run 2 is due, when run 1 is accepted; then comes a good reply."""

from __future__ import annotations

import shutil
from pathlib import Path

from ai_sci.experiment.template.template import bundled_templates
from tests.end_to_end.templates import block
from tests.gauntlet.case import Case
from tests.gauntlet.checks import code_has, crlf_everywhere, no_escapes
from tests.gauntlet.stage import Stage
from tests.gauntlet.story import (
    BASELINE,
    FIRST,
    NOTES,
    RUN_1,
    RUN_2,
    starts_file,
    story,
)
from tests.servers.answers import Answer
from tests.servers.loopback import Exchange
from tests.servers.openai_strict import StrictServer

EDIT = block(RUN_1, RUN_2)
EDIT_AGAIN = block(RUN_2, f"{RUN_2}  # faster")
TINY = bundled_templates() / "tiny"
CODE = (TINY / "experiment.py").read_text().replace(BASELINE, RUN_1)  # as run 1 leaves it
CODE_OF_RUN_2 = CODE.replace(RUN_1, RUN_2)


def refused(name: str, reply: str, says: str = "", **more) -> Case:
    """The reply's edits are refused, all of them, and the session goes on."""
    return Case(name, story(reply), verdicts=("edit_refused",), says=says, **more)


def asked(name: str, reply: str, says: str = "", **more) -> Case:
    """The reply changes nothing, starts nothing and is asked about."""
    return Case(name, story(reply), verdicts=("no_edit",), says=says, **more)


def taken(name: str, reply: str, **more) -> Case:
    """The reply is odd, but what it means is certain: it becomes run 2."""
    return Case(name, story(repair=reply), **more)


def whole_file(text: str) -> str:
    return f"experiment.py\n```python\n{text}```\n"


TALK = [
    asked("prose only", "I would first like to think about it.", "holds no edit", quick=True),
    asked(
        "a plan with ALL_COMPLETED in a sentence",
        "When both runs are done I will say ALL_COMPLETED, not before.",
        "holds no edit",
    ),
    asked("ALL_COMPLETED in a code fence", "I end with\n\n```\nALL_COMPLETED\n```\n"),
    asked(
        "shell commands",
        "```bash\nsed -i s/3/4/ experiment.py\npython experiment.py --out_dir=run_2\n```\n",
        "holds no edit",
    ),
    asked(
        "a tool call in text",
        '<tool_call>{"name": "edit", "arguments": {"file": "experiment.py"}}</tool_call>',
        "line 1 has a tool call",
    ),
    asked("code without a file name", "Use this:\n\n```python\nx = 4 * x\n```\n", "line 3 has no file's name"),
    asked("an edit as JSON", '{"file": "experiment.py", "search": "3 * x", "replace": "4 * x"}', "has JSON"),
    refused(
        "markers with other words", EDIT.replace("SEARCH", "ORIGINAL").replace(" REPLACE", " UPDATED"), "a marker other"
    ),
    asked("a diff without names", f"```diff\n-{RUN_1}\n+{RUN_2}\n```\n", "the diff at line 1 needs"),
    asked("the result, made up", '{"waves": {"means": {"test_r2": 0.99}}}\n\nRun 2 is done: test_r2 0.99.'),
    asked("a block that changes nothing", block(RUN_1, RUN_1), "leaves every file as it was"),
    asked(
        "code that was executed before", block(RUN_1, "    return 2 * x[:, None] - 1"), "same as that of the baseline"
    ),
    Case(
        "notes only",
        [*story(NOTES)[:-1], block("Scaling the input changes the fit.", "It does.", "notes.txt")],
        verdicts=("no_edit",),
        says="leaves the experiment's code as it was",
    ),
    taken("shell commands beside an edit", "```bash\npython experiment.py\n```\n\n" + EDIT),
    taken("ALL_COMPLETED beside an edit", EDIT + "\nALL_COMPLETED\n"),
]

BLOCKS = [
    refused("unclosed block", EDIT[: EDIT.index(">>>>>>>")], "not closed", quick=True),
    refused("block without a divider", EDIT.replace("=======\n", ""), "no line `=======`"),
    refused("block whose end has another word", EDIT.replace("REPLACE", "REPLACED"), "not closed"),
    refused(
        "===== inside the content",
        block(RUN_1, f"{RUN_2}\n    # above\n=======\n    # below"),
        "`=======` 2 times",
    ),
    taken("a short row of = inside the content", block(RUN_1, f"    # ====\n{RUN_2}")),
    taken(
        "two blocks in one fence",
        EDIT.replace("```\n", "") + EDIT_AGAIN.split("```python\n")[1],
        check=code_has(f"{RUN_2}  # faster"),
    ),
    refused("SEARCH that matches nowhere", block("    return 9 * x", "    return 4 * x"), "SEARCH part", quick=True),
    refused("SEARCH that matches twice", block("plt.legend()", "plt.legend(loc=1)", "plot.py"), "2 "),
    refused("empty SEARCH in a file with text", starts_file("x = 1", "experiment.py"), "is empty"),
    refused("the same edit again", FIRST, "already there"),
    refused(
        "contradicting blocks",
        EDIT + "\n" + block(RUN_1, "    return 5 * x[:, None] - 1"),
        "before the edits above it",
    ),
    refused("one good block and one bad", EDIT + "\n" + block("no such line", "x = 1"), "SEARCH part"),
    refused("a block that deletes everything", block(CODE.rstrip("\n"), ""), "leave nothing of experiment.py"),
    refused("lines left out", block(RUN_1, "    # ... rest of the function ..."), "leaves lines out", quick=True),
    refused("dots for code", block(RUN_1, "    x = 2 * x\n    ..."), "`...`, would take the place of code"),
    refused("left out in another language", block(RUN_1, "    # der Rest bleibt gleich"), "der Rest bleibt gleich"),
    refused(
        "the rest left out of the whole file",
        whole_file(CODE_OF_RUN_2 + "\n# ... other code unchanged\n"),
        "not the whole",
    ),
    taken("a comment about the rest of something", block(RUN_1, f"    # keep the rest of the input as it is\n{RUN_2}")),
    taken("a second divider at the end", EDIT.replace(">>>>>>>", "=======\n>>>>>>>")),
    taken("markers of nine characters", EDIT.replace("<<<<<<<", "<" * 9).replace("=======", "=" * 9)),
    taken("a tag for a fence", EDIT.replace("```python", "<source>").replace("```", "</source>")),
    taken(
        "a patch envelope", f"*** Begin Patch\n*** Update File: experiment.py\n@@\n-{RUN_1}\n+{RUN_2}\n*** End Patch\n"
    ),
    taken("the whole file, named inside", f"```python\n# experiment.py\n{CODE_OF_RUN_2}```\n"),
    refused("a blank line too many", block(f"\n{RUN_1}", RUN_2), "differs in a blank line"),
    refused(
        "tabs for spaces",
        block("\treturn 3 * x[:, None] - 1", "\treturn 4 * x[:, None] - 1"),
        "the same text with other indentation",
    ),
    taken("the whole file", whole_file(CODE_OF_RUN_2)),
    taken("a unified diff", f"```diff\n--- experiment.py\n+++ experiment.py\n@@\n-{RUN_1}\n+{RUN_2}\n```\n"),
    refused("half of the file", whole_file(CODE_OF_RUN_2[: CODE.index("def predict")]), "not the whole"),
    taken("CRLF in the reply", EDIT.replace("\n", "\r\n")),
    taken("white space at line ends", block(RUN_1 + "   ", RUN_2)),
    taken(
        "unicode",
        block(RUN_1, "    größe = 4  # Größe → α · 漢字 🎲\n    return größe * x[:, None] - 1") + "\n…fertig 🎉",
    ),
    taken(
        "a thousand blocks",
        "\n".join(
            block(f"    return {n} * x[:, None] - 1", f"    return {n + 1} * x[:, None] - 1") for n in range(3, 1003)
        ).replace("return 1003", "return 4.5"),
        check=code_has("    return 4.5 * x[:, None] - 1"),  # only the last block says so
    ),
]

FILES = [
    refused("wrong file name", EDIT.replace("experiment.py", "experiments.py"), "experiments.py"),
    refused("absolute path", EDIT.replace("experiment.py", "/etc/cron.d/job.py"), "/etc/cron.d/job.py"),
    refused(
        "a path with ..", EDIT.replace("experiment.py", "../../experiment.py"), r"\.\./\.\./experiment.py", quick=True
    ),
    refused(
        "a path with .. inside the session", EDIT.replace("experiment.py", "run_1/../experiment.py"), r"run_1/\.\."
    ),
    refused(
        "a protected file: the settings",
        block('"steps": 60', '"steps": 6000', "settings.json"),
        "settings.json",
    ),
    refused(
        "a protected file: the baseline",
        block('"test_r2"', '"test_r1"', "run_0/final_info.json"),
        "run_0/final_info.json",
    ),
    refused("a protected file: a git hook", starts_file("#!/bin/sh\nid", ".git/hooks/post-commit.sh"), "post-commit"),
    refused("a protected file: the journal", starts_file("{}", "journal.jsonl"), "journal.jsonl"),
    refused("a new module", starts_file("x = 1", "helpers.py"), "helpers.py"),
    refused(
        "a good block and one for a protected file",
        EDIT + "\n" + starts_file("x = 1", "template.toml"),
        "template.toml",
    ),
]

DEEP = "    return " + "-" * 100_000 + "x[:, None]"
NUMBERS = ", ".join(["x"] * 100_000)
COMMENTS = "    # loss = reconstruction + penalty\n" * 55_000

CODE_FAULTS = [
    taken("an edit of 2 MB", block(RUN_1, COMMENTS + RUN_2)),
    taken("a line of 300 kB", block(RUN_1, f"    unused = ({NUMBERS})\n{RUN_2}")),
    Case(
        "code nested too deeply",
        story(block(RUN_1, DEEP), repair=block(DEEP, RUN_2)),
        ("lint_failed",),
        says="nested",
    ),
    Case(
        "code too deep for the linter alone",
        story(repair=block(RUN_1, "    return (" + "+".join(["x"] * 800) + ")[:, None] / 200 - 1")),
    ),
    refused("a NUL in the code", block(RUN_1, f"    # \0\n{RUN_2}"), "characters that no file can have"),
    taken(
        "escape sequences for the terminal", "\x1b[2J\x1b]0;title\x07 \u2028 \u202e done\n\n" + EDIT, check=no_escapes
    ),
    Case(
        "syntax error",
        story(block(RUN_1, "    return 4 * x[:, None] - "), repair=block("    return 4 * x[:, None] - ", RUN_2)),
        verdicts=("lint_failed",),
        says=r"experiment\.py:\d+.*invalid syntax",
        quick=True,
    ),
    Case(
        "undefined name",
        story(
            block(RUN_1, "    return scale * x[:, None] - 1"), repair=block("    return scale * x[:, None] - 1", RUN_2)
        ),
        verdicts=("lint_failed",),
        says="scale",
    ),
]


def copy_of_tiny(stage: Stage) -> Path:
    stage.template = stage.folder / "template"
    shutil.copytree(TINY, stage.template)
    return stage.template


def with_crlf(stage: Stage) -> None:
    experiment = copy_of_tiny(stage) / "experiment.py"
    experiment.write_bytes(experiment.read_bytes().replace(b"\n", b"\r\n"))


def with_byte_order_mark(stage: Stage) -> None:
    experiment = copy_of_tiny(stage) / "experiment.py"
    experiment.write_bytes(b"\xef\xbb\xbf" + experiment.read_bytes())


def with_a_link_for_plot_py(stage: Stage) -> None:
    """When the second reply comes, `plot.py` is a link to a file outside; at the third, it is what it was."""
    plot, kept, outside = stage.session / "plot.py", stage.folder / "plot.py", stage.folder / "outside.py"
    outside.write_text("# nobody may write here\n")

    def link(exchange: Exchange) -> None:
        plot.rename(kept)
        plot.symlink_to(outside)
        exchange.give(Answer(starts_file("import os", "plot.py")))

    def put_back(exchange: Exchange) -> None:
        assert outside.read_text() == "# nobody may write here\n"
        kept.replace(plot)
        answer = exchange.reply()
        assert answer is not None
        exchange.give(answer)

    assert stage.server is not None
    stage.server.faults = [None, link, put_back]


ODD_FILES = [
    Case("a file with CRLF", prepare=with_crlf, check=crlf_everywhere),
    Case("a file with a byte order mark", prepare=with_byte_order_mark),
    Case(
        "a file that is a symbolic link",
        server=StrictServer,
        prepare=with_a_link_for_plot_py,
        verdicts=("edit_refused",),
        says="symbolic link",
        quick=True,
    ),
]

CASES: list[Case] = [*TALK, *BLOCKS, *FILES, *CODE_FAULTS, *ODD_FILES]
