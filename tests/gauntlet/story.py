"""Replies for the template `tiny`: a session of two accepted runs, with room for a fault in the second."""

from __future__ import annotations

import textwrap

from tests.end_to_end.templates import block

# Run 1 and run 2 each scale the input, which changes every metric.
BASELINE = "    return 2 * x[:, None] - 1"
RUN_1 = "    return 3 * x[:, None] - 1"
RUN_2 = "    return 4 * x[:, None] - 1"
_LAST_LINE = '    print(", ".join(f"{name} {value:.3f}" for name, value in means.items()))'

FIRST = "Run 1 scales the input by 3.\n\n" + block(BASELINE, RUN_1)
SECOND = "Run 2 scales it by 4.\n\n" + block(RUN_1, RUN_2)
COMPLETED = "Both runs are done.\n\nALL_COMPLETED\n"
PLOTS = block(
    '    "run_0": "baseline",', '    "run_0": "baseline",\n    "run_1": "3 x",\n    "run_2": "4 x",', "plot.py"
)


def starts_file(text: str, name: str) -> str:
    """A block with an empty SEARCH part."""
    return block("", text, name).replace("SEARCH\n\n", "SEARCH\n")


NOTES = starts_file("Scaling the input changes the fit.", "notes.txt")
ENDING = [COMPLETED, PLOTS, NOTES]


def story(*second_run: str, repair: str | None = SECOND) -> list[str]:
    """Run 1 is accepted, then come the replies for run 2 with the fault in them, then `repair`, which is accepted."""
    return [FIRST, *second_run, *([repair] if repair is not None else []), *ENDING]


def faulty_run(code: str) -> list[str]:
    """Run 1 is accepted; run 2 executes `code` before everything else in the experiment's main block, then is repaired.

    `code` is not indented. It has `out_dir`, which exists, and the experiment's imports (json, os, np, Path).
    """
    anchor = "    out_dir.mkdir(parents=True, exist_ok=True)"
    return _broken_at(anchor, f"{anchor}\n{_indented(code)}")


def faulty_result(code: str) -> list[str]:
    """As `faulty_run`, but `code` is executed last, when the result has been written."""
    return _broken_at(_LAST_LINE, f"{_LAST_LINE}\n{_indented(code)}")


def _broken_at(good: str, bad: str) -> list[str]:
    return story("Run 2.\n\n" + block(good, bad), repair=block(bad, good) + "\n" + SECOND)


def _indented(code: str) -> str:
    return textwrap.indent(code.strip("\n"), "    ")
