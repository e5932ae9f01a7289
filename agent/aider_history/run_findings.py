"""The rules of a diagnosis on what AI-Scientist asked for and reports: runs, plots, phases, the baseline."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ai_sci.agent.aider_history.ai_scientist import Phase, failed_plots, last_error, phases, run_reports, task_of
from ai_sci.agent.aider_history.turns import HistorySession
from ai_sci.agent.aider_history.wording import counted, listed, numbers, shortened, times, word

# Signs of an invalid baseline in the results that a first message quotes.
_UNTRAINED = re.compile(
    r"[\"'](training_steps)[\"']:\s*(0(?:\.0*)?)\s*[,}]|[\"'](final_loss)[\"']:\s*(None|null)\s*[,}]"
)
_DEAD = re.compile(r"[\"'](l0|l2_norm_out)[\"']:\s*(0(?:\.0*)?)\s*[,}]")


def runs(session: HistorySession) -> str:
    """How many runs AI-Scientist allowed, and how many it reports as ended and failed, with the last error."""
    reports, task = run_reports(session), task_of(session)
    if task is None or not reports:
        return ""
    completed = {report.run for report in reports if report.outcome == "completed"}
    told = [f"{word(len(completed)) if completed else 'none'} as completed"]
    failed = [report for report in reports if report.outcome == "failed"]
    if failed:
        told.append(counted(len(failed), "failure") + _last([report.last_error for report in failed]))
    if late := sum(report.outcome == "timed out" for report in reports):
        told.append(counted(late, "time-out"))
    allowed = f"Of up to {counted(task.max_runs, 'run')}" if task.max_runs else "Of the runs"
    return f"{allowed}, the chat reports {listed(told)}."


def plots(session: HistorySession) -> str:
    """Failures of plot.py."""
    turns = failed_plots(session) if task_of(session) else []
    if not turns:
        return ""
    return f"plot.py failed {times(len(turns))}{_last([last_error(turn.user) for turn in turns])}."


def _last(errors: Sequence[str]) -> str:
    """The last of these errors, if that is known."""
    which = "the last time: " if len(errors) > 1 else ""
    return f" ({which}“{shortened(errors[-1], 160)}”)" if errors[-1] else ""


def last_phase(session: HistorySession) -> str:
    """What AI-Scientist asked for at the end, if that was no longer an experiment."""
    if task_of(session) is None:
        return ""
    of = phases(session)
    phase = of[session.turns[-1].number]
    if phase is Phase.experiments:
        return ""
    turns = [number for number, other in of.items() if other is phase]
    what = {Phase.plots: "plotting", Phase.notes: "the notes", Phase.write_up: "the writing-up"}[phase]
    return f"The last phase was {what} ({numbers(turns, 'turn')})."


def has_failed_runs(session: HistorySession) -> bool:
    """Whether a run or plot.py is reported as failed."""
    return bool(failed_plots(session)) or any(report.outcome != "completed" for report in run_reports(session))


def unchanged_code(session: HistorySession) -> str:
    """Runs of the experiment on unchanged code, which could show nothing new."""
    reported = {report.turn.number for report in run_reports(session)}
    ran, repeats = False, list[int]()
    for turn in session.turns:
        if turn.number in reported:
            repeats += [turn.number] if ran else []
            ran = True
        if turn.has_edited or turn.refused:
            ran = False
    if not repeats:
        return ""
    return (
        f"{numbers(repeats)} report{'s' if len(repeats) == 1 else ''} {word(len(repeats))} more "
        f"{'run' if len(repeats) == 1 else 'runs'} of code that nothing had changed since the run before."
    )


def reports_without_reason(session: HistorySession) -> str:
    """Reports of a failed run that hold only progress bars."""
    failed = [report for report in run_reports(session) if report.outcome == "failed"]
    empty = [report.turn.number for report in failed if report.is_progress_alone]
    if not empty:
        return ""
    if len(empty) == len(failed) > 1:
        bars = "they hold progress bars alone"
        return f"None of the {word(len(failed))} reports of a failed run says why it failed: {bars}."
    return f"The report of a failed run in {numbers(empty, 'turn')} does not say why it failed."


def dead_baseline(session: HistorySession) -> str:
    """A baseline that was never trained or has no active feature."""
    task = task_of(session)
    text = task.baseline if task else ""
    signs = [_sign(found) for found in _UNTRAINED.finditer(text)]
    if any(sign.startswith("training_steps") for sign in signs):
        told = f"The baseline that the first message quotes was never trained ({listed(_unique(signs), '')})"
        return f"{told}: there was nothing to compare with."
    signs = [_sign(found) for found in _DEAD.finditer(text)]
    if any(sign.startswith("l0") for sign in signs):
        return (
            f"The baseline that the first message quotes is dead ({listed(_unique(signs), '')}): no feature is ever "
            "active, as before any training, so there was nothing to compare with."
        )
    return ""


def _unique(words: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(words))


def _sign(found: re.Match[str]) -> str:
    name, value = [group for group in found.groups() if group is not None]
    return f"{name} = {value}"
