"""The table that `make gauntlet` prints: a row a case, and the totals."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from pathlib import Path

from tests.gauntlet.cases import find
from tests.gauntlet.judge import Problem, Wrong, problems, told
from tests.gauntlet.stage import Seen, play


@dataclass(frozen=True)
class Row:
    group: str
    name: str
    verdicts: str
    ran: str
    resumed: str
    seconds: float
    wrong: list[Problem]
    skipped: str = ""  # why it could not be played here

    def __str__(self) -> str:
        end = f"SKIPPED: {self.skipped}" if self.skipped else "ok"
        end = end if not self.wrong else "WRONG: " + " | ".join(map(str, self.wrong))
        cells = f"{self.group:10}  {self.name:44}  {self.verdicts:34}  {self.ran:19}  {self.resumed:19}"
        return f"{cells}  {self.seconds:5.1f} s  {end}"


HEAD = f"{'group':10}  {'case':44}  {'what went wrong':34}  {'status, exit code':19}  {'after resume':19}"


def play_one(name: str, folder: Path, cache: Path) -> Row:
    """Plays the case called `name` in a folder below `folder`; for a worker process."""
    group, case = find(name)
    if case.needs and (reason := case.needs()):
        return Row(group, name, "", "", "", 0.0, [], skipped=reason)
    began = time.monotonic()
    try:
        outcome = play(case, folder / re.sub(r"\W+", "_", name), cache)
        wrong = problems(case, outcome)
    except Exception as error:  # noqa: BLE001 - a hook may fail in any way, and the other cases have to be played
        problem = Problem(Wrong.outcome, f"not played: {type(error).__name__}: {error}")
        return Row(group, name, "?", "?", "?", time.monotonic() - began, [problem])
    ran, resumed = outcome.ran, outcome.resumed
    after = "–" if case.resumed is None or resumed is None else _end(resumed)
    return Row(group, name, told(ran.verdicts), _end(ran), after, outcome.seconds, wrong)


def totals(rows: list[Row], seconds: float) -> str:
    def cases_with(kind: Wrong) -> int:
        return sum(any(problem.kind is kind for problem in row.wrong) for row in rows)

    skipped = sum(bool(row.skipped) for row in rows)
    played = len(rows) - skipped
    named = played - cases_with(Wrong.outcome)
    beside = f" ({skipped} more cannot be played here)" if skipped else ""
    return (
        f"{played} cases{beside}: {named} named outcomes as expected; {cases_with(Wrong.uncaught)} with uncaught "
        f"exceptions, {cases_with(Wrong.orphan)} with orphans, {cases_with(Wrong.lost)} with finished runs lost, "
        f"{cases_with(Wrong.leaked)} with a key written; "
        f"{seconds / 60:.1f} minutes"
    )


def _end(seen: Seen) -> str:
    return f"{seen.status or 'refused'} {seen.code}"
