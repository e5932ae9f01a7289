"""Twenty sessions in scripted replies, each with other things going wrong, for a replay to tell again byte for byte."""

from __future__ import annotations

from dataclasses import dataclass

from tests.end_to_end.templates import EXPERIMENT, NOTES, PLOTS, block, good_session


@dataclass(frozen=True)
class Story:
    """`verdicts` are those of replies, attempts and failed plots, in order; `files` as `make_template` takes them."""

    replies: list[str]
    verdicts: str = ""
    toml: str = ""
    files: dict[str, str] | None = None
    max_runs: int | None = None
    context_window: int | None = None
    overrides: dict[str, str] | None = None


TWENTY = block("STEPS = 10", "STEPS = 20")
END = ["ALL_COMPLETED", PLOTS, NOTES]


def after(code: str) -> str:
    """An edit that has this executed once the loss is known."""
    return block('print(f"loss {loss:.4f}", flush=True)', f'print(f"loss {{loss:.4f}}", flush=True)\n{code}')


def instead(code: str) -> str:
    """The edit that takes `after(code)` back and trains longer."""
    return TWENTY + block(code, "print('mended')")


def fails(code: str) -> list[str]:
    """`code` fails, then it is mended."""
    return [after(code), instead(code), *END]


BAR = """\
import sys
for i in range(50):
    sys.stderr.write(f"\\r{i * 2}%|{chr(9608) * (i // 5)}| {i}/50 [00:00<00:01, 30it/s]")"""
NEST = "import subprocess\nsubprocess.run(['python3', '-c', '1 / 0'])\nraise KeyError(set('abcdefghijk'))"
UNICODE = "naïve = 'Grüße, 世界 🎉 \\u2028'\nraise ValueError(naïve)"
TAMPERS = "open('settings.json', 'w').write('{}')"
SETTINGS = EXPERIMENT.replace("STEPS = 10\n", "STEPS = json.load(open('settings.json'))['steps']\n")

STORIES = {
    "good": Story(good_session(), "ok"),
    "prose, empty and blank replies": Story(
        ["I plan to train longer.", "", " \n\n", *good_session()], "no_edit no_edit no_edit ok"
    ),
    "completed too soon, and doubted": Story(["ALL_COMPLETED", "ALL_COMPLETED", *good_session()], "no_edit ok"),
    "no run at all": Story(["ALL_COMPLETED", "The idea cannot be tested with this data.\n\nALL_COMPLETED"], ""),
    "gave up": Story(["Let me think."] * 20, "no_edit " * 8, max_runs=3),
    "refused edits": Story(
        [block("STEPS = 11", "STEPS = 20"), block("    x", "    y"), block("", "y", "/etc/passwd"), *good_session()],
        "edit_refused edit_refused edit_refused ok",
    ),
    "unclosed block": Story([good_session()[0].partition(">>>>>>>")[0], *good_session()], "edit_refused ok"),
    "lint": Story(
        [
            *(block("STEPS = 10", "STEPS = nowhere"), PLOTS, block("STEPS = nowhere", "STEPS = 20")),
            *("ALL_COMPLETED", "plot.py is good as it is.", NOTES),
        ],
        "lint_failed lint_failed ok",
    ),
    "syntax error": Story(
        [block("STEPS = 10", "STEPS = (10"), block("STEPS = (10", "STEPS = 20"), *END], "lint_failed ok"
    ),
    "crash that prints paths": Story(
        fails("print(os.getcwd(), __file__)\nopen(os.path.abspath('missing/data.txt'))"), "crashed ok"
    ),
    "crash in a child, sets in its message": Story(fails(NEST), "crashed ok"),
    "crash in unicode": Story(fails(UNICODE), "crashed ok"),
    "progress bars and exit 3": Story(fails(f"{BAR}\nsys.exit(3)"), "crashed ok"),
    "no result, then a bad one": Story(
        [after("os._exit(0)"), block("os._exit(0)", "loss = float('nan')\nSTEPS = loss"), *END],
        "no_result bad_result",
    ),
    "closed runs": Story(
        [
            *(after("1 / 0"), block("1 / 0", "2 / 0"), block("2 / 0", "3 / 0")),
            *(TWENTY, "ALL_COMPLETED", PLOTS.replace("run_1", "run_2"), NOTES),
        ],
        "crashed crashed crashed ok",
        toml="[experiment]\nmax_failures = 3\n",
    ),
    "degenerate, and the same code twice": Story(
        [block("STEPS = 10", "STEPS = 5"), block("STEPS = 5", "STEPS = 10"), block("STEPS = 5", "STEPS = 20"), *END],
        "degenerate no_edit ok",
        toml='[checks]\nrules = ["steps >= 10"]\n',
    ),
    "smoke first": Story(
        [
            block("STEPS = 10", "STEPS = 20\nif os.environ.get('AI_SCI_SMOKE'):\n    raise ValueError(os.getcwd())"),
            block("    raise ValueError(os.getcwd())", "    STEPS = 1"),
            block("STEPS = 20", "STEPS = 30"),
            *END,
        ],
        "crashed ok ok ok ok",
        toml="[smoke]\ntime = 20\n",
    ),
    "plots fail, notes are given up": Story(
        [
            *good_session()[:2],
            block("import os", "import os\nprint(nowhere)", "plot.py"),
            block("print(nowhere)", "print(os.getcwd())\nopen(__file__ + 'x')", "plot.py"),
            block("open(__file__ + 'x')", "", "plot.py"),
            *["No notes."] * 5,
        ],
        "ok lint_failed crashed no_edit no_edit no_edit no_edit",
    ),
    "tabs, CRLF and settings": Story(
        [
            block("    x = 5.0", "\tx = 4.0"),
            block("\tx = 4.0", "    x = 4.0").replace("\n", "\r\n"),
            block("RATE = 0.1", f"RATE = 0.2\n{TAMPERS}"),
            block(f"RATE = 0.2\n{TAMPERS}", "RATE = 0.2"),
            *END,
        ],
        "lint_failed ok crashed ok",
        toml="[settings]\nsteps = 3\n",
        files={"experiment_py": SETTINGS},
        overrides={"steps": "7"},
    ),
    "a small window": Story(
        [
            *("Nothing yet. " + "I think about it. " * 60, block("STEPS = 10", "STEPS = 30"), "Hm. " * 300),
            *(block("STEPS = 30", "STEPS = 1 / 0"), "Well. " * 300, block("STEPS = 1 / 0", "STEPS = 40"), *END),
        ],
        "no_edit ok no_edit crashed no_edit ok",
        context_window=2500,
    ),
}
