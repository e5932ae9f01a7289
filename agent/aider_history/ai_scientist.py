"""What AI-Scientist, which drives aider, says to the model: the task, reports of runs, and the phases after them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

from ai_sci.agent.aider_history.turns import HistorySession, HistoryTurn, TurnKind

# The parts of its first message that never vary.
_TITLE = "Your goal is to implement the following idea:"
_EXPERIMENT = "The proposed experiment is as follows:"
_RUNS = re.compile(r"You are given a total of up to (\d{1,4}) runs")
_BASELINE = re.compile(r"the baseline results are as follows:[ \t]*\n\s*(\S.*?)[ \t]*(?:\n[ \t]*\n|\Z)", re.DOTALL)

_REPORT = re.compile(
    r"Run (?:(\d{1,4}) )?(?:(failed) with the following error|(completed)\. Here are the results|(timed out) after )",
    re.I,
)
_NO_PLOTS = re.compile(r"Plotting (?:failed with|timed out after)")
_PLOTS = re.compile(r"modify `plot\.py`")
_NOTES = re.compile(r"modify `notes\.txt` with a description of what each plot")
_WRITE_UP = re.compile(r"template\.tex\b|of the writeup\b|\bcriticize and refine\b|references\.bib", re.I)
_LAST_ERROR = re.compile(r"[A-Za-z_][\w.]*(?:Error|Exception|Interrupt|Exit|Warning)\b(?::\s.*)?")
_PROGRESS = re.compile(r"\d%\||\bit/s\b|\bs/it\b")


class Phase(str, Enum):
    """What AI-Scientist asks for, in this order."""

    experiments = "experiments"
    plots = "plots"
    notes = "notes"
    write_up = "write-up"


@dataclass(frozen=True)
class Task:
    """Its first message; a part that the message lacks is empty."""

    title: str
    experiment: str
    baseline: str
    max_runs: int | None

    @property
    def notes(self) -> str:
        """The notes.txt that it has written before the chat begins."""
        return (
            f"# Title: {self.title}\n# Experiment description: {self.experiment}\n"
            f"## Run 0: Baseline\nResults: {self.baseline}\nDescription: Baseline results.\n"
        )


@dataclass(frozen=True)
class RunReport:
    """A message on a run that has ended. `run` is None where it does not say which."""

    turn: HistoryTurn
    outcome: str  # failed, completed or timed out
    run: int | None
    text: str

    @property
    def last_error(self) -> str:
        """The last exception that it quotes, on one line; "" if none."""
        return last_error(self.text)

    @property
    def is_progress_alone(self) -> bool:
        """Whether it quotes progress bars and nothing else."""
        lines = [line for line in re.split(r"[\n\r]", self.text) if line.strip()]
        cut = lines[:1] if lines and lines[0].startswith("...") else []
        return bool(lines) and all(_PROGRESS.search(line) for line in lines[len(cut) :])


def task_of(session: HistorySession) -> Task | None:
    """The task, if AI-Scientist's first message begins the session."""
    text = session.first_message
    if _TITLE not in text:
        return None
    title, _, rest = text.partition(_TITLE)[2].partition(_EXPERIMENT)
    runs, baseline = _RUNS.search(text), _BASELINE.search(text)
    return Task(
        title.strip().split("\n")[0].strip().removesuffix("."),
        (rest[: found.start()] if (found := _RUNS.search(rest)) else rest).strip().removesuffix("."),
        baseline[1] if baseline else "",
        max(1, int(runs[1])) if runs else None,
    )


def run_reports(session: HistorySession) -> list[RunReport]:
    """The reports on runs, in order; a message of the user's own is none."""
    reports: list[RunReport] = []
    for turn in session.turns:
        found = _REPORT.match(turn.user) if turn.kind is TurnKind.user else None
        if found:
            run, outcome = int(found[1]) if found[1] else None, found[2] or found[3] or found[4]
            reports.append(RunReport(turn, outcome.lower(), run, turn.user[found.end() :].strip()))
    return reports


def failed_plots(session: HistorySession) -> list[HistoryTurn]:
    """The turns that report a failure of plot.py."""
    return [turn for turn in session.turns if turn.kind is TurnKind.user and _NO_PLOTS.match(turn.user)]


def phases(session: HistorySession) -> dict[int, Phase]:
    """The phase of each turn, by its number."""
    phase, of = Phase.experiments, {}
    for turn in session.turns:
        if turn.kind is TurnKind.user and of:
            phase = _next_phase(phase, turn.user)
        of[turn.number] = phase
    return of


def _next_phase(phase: Phase, message: str) -> Phase:
    order = list(Phase)
    for later, signs in ((Phase.write_up, _WRITE_UP), (Phase.notes, _NOTES), (Phase.plots, _PLOTS)):
        if signs.search(message) and not _REPORT.match(message):
            return max(phase, later, key=order.index)
    return phase


def last_error(text: str) -> str:
    """The last exception that the text quotes, on one line; "" if none."""
    lines = [line.strip() for line in re.split(r"[\n\r]", text)]
    return next((line for line in reversed(lines) if _LAST_ERROR.fullmatch(line)), "")
