"""Replies that go wrong again and again, or at the beginning and the end of a session: in its plots and notes."""

from __future__ import annotations

from tests.end_to_end.templates import block
from tests.gauntlet.case import Case, Ends
from tests.gauntlet.stage import Stage
from tests.gauntlet.story import COMPLETED, ENDING, FIRST, NOTES, PLOTS, RUN_1, RUN_2, SECOND, story


def the_rest_of_the_replies(stage: Stage) -> None:
    for number, reply in enumerate(story()[2:], start=3):
        (stage.folder / "script" / f"{number:02d}.md").write_text(reply)


CASES: list[Case] = [
    Case("ALL_COMPLETED before any run, then work", ["ALL_COMPLETED", *story()]),
    Case(
        "ALL_COMPLETED before any run, twice",
        ["ALL_COMPLETED", "Nothing can be learned from this data.\n\nALL_COMPLETED"],
        status="no_run_accepted",
        accepted=0,
        says="no run was accepted",
        quick=True,
    ),
    Case(
        "ALL_COMPLETED in the middle of a failing run",
        [FIRST, block(RUN_1, "    return scale"), *ENDING],
        verdicts=("lint_failed",),
        accepted=1,
    ),
    Case(
        "the same wrong reply for ever",
        [FIRST, *["Let me think."] * 8],
        verdicts=("no_edit",) * 8,
        status="gave_up",
        accepted=1,
        says="two runs in a row",
        quick=True,
    ),
    Case(
        "a run that fails four times",
        [FIRST, *["Let me think."] * 4, SECOND, COMPLETED, PLOTS.replace("run_2", "run_3"), NOTES],
        verdicts=("no_edit",) * 4,
    ),
    Case(
        "the replies end",
        story()[:2],
        verdicts=("script_ended",),
        status="model_unavailable",
        mend=the_rest_of_the_replies,
        resumed=Ends(),
        says="replies",
    ),
    Case(
        "plots that fail, then work",
        [
            FIRST,
            SECOND,
            COMPLETED,
            PLOTS.replace('"3 x"', "1 / 0"),
            block('    "run_1": 1 / 0,', '    "run_1": "3 x",', "plot.py"),
            NOTES,
        ],
        verdicts=("crashed",),
    ),
    Case(
        "plots that are never edited right",
        [FIRST, SECOND, COMPLETED, *[block("no such line", "x", "plot.py")] * 4, NOTES],
        verdicts=("edit_refused",) * 4,
        finished=False,
    ),
    Case(
        "an edit of the code when only plots are due",
        [FIRST, SECOND, COMPLETED, block(RUN_2, RUN_1), PLOTS, NOTES],
        verdicts=("edit_refused",),
        says="experiment.py",
    ),
    Case(
        "notes that never come",
        [FIRST, SECOND, COMPLETED, PLOTS, *["They are written."] * 4],
        verdicts=("no_edit",) * 4,
        finished=False,
    ),
]
