"""What the model is told, and how an outcome reads in the git log: texts made from the state and the prompt files."""

from __future__ import annotations

import json
from typing import Any

from ai_sci.agent.journal import AttemptFinished, BaselineMeasured, Replied, RunClosed, State, Told, render
from ai_sci.agent.session import NOTES, PLOT, Session, code_files, read_texts
from ai_sci.experiment.base import format_duration
from ai_sci.experiment.template import Template


def task(session: Session, template: Template) -> Told:
    """The beginning of every request: what holds for the whole session, so that it is repeated unchanged."""
    state, started = session.state, session.started
    assert state.baseline is not None
    text = render(
        "task",
        system=template.system,
        task_description=template.task_description,
        title=started.idea["Title"],
        experiment=started.idea["Experiment"],
        max_runs=state.max_runs,
        max_failures=started.max_failures,
        code=code_files(session.all_editable),
        metric=template.metric,
        direction="higher" if template.higher_is_better else "lower",
        settings=json.dumps(template.settings) if template.settings else "",
        checks=[str(check) for check in template.checks],
        smoke=template.smoke is not None,
        time_limit=format_duration(started.limits["time"] or 0),
        edit_format=render("edit_format"),
        baseline_note=" (as the template brought it, not measured here)" if state.baseline.source == "template" else "",
        baseline=beside_baseline(state.baseline.metrics, {}),
    )
    return Told("task", text)


def code(session: Session) -> Told:
    """The other half of the first message. It goes when the conversation is rebuilt: by then the code is another."""
    return Told("code", render("code", files=_texts(session)))


def result(session: Session, closed: RunClosed) -> Told:
    """A run is over, accepted or not, and what comes next."""
    state = session.state
    if closed.status == "ok":
        assert state.baseline is not None
        return Told(
            "result",
            render(
                "result",
                run=closed.run,
                table=beside_baseline(closed.metrics, state.baseline.metrics),
                identical_run=identical_run(state, closed.run, closed.metrics),
                next_run=closed.run + 1,
                max_runs=state.max_runs,
            ),
        )
    base = [record.run for record in state.accepted]
    return Told(
        "run_closed",
        render(
            "run_closed",
            run=closed.run,
            failures=session.started.max_failures,
            status=closed.status,
            base=f"run {base[-1]}, the last accepted one" if base else "the baseline",
            files=_texts(session),
            next_run=closed.run + 1,
            max_runs=state.max_runs,
        ),
    )


def identical_run(state: State, run: int, metrics: dict[str, float]) -> str:
    """The run before `run` with exactly these numbers, or "". No verdict: an honest change may have no effect."""
    assert state.baseline is not None
    before = {0: state.baseline.metrics, **{one.run: one.closed.metrics for one in state.accepted if one.closed}}
    return next((f"run {number}" for number in before if number != run and before[number] == metrics), "")


def failure(session: Session, verdict: str) -> Told:
    """Why the last reply led to nothing, and what to do about it."""
    state = session.state
    last = state.last
    match verdict:
        case "edit_refused":
            return Told("refused", render("refused", reasons=state.reasons))
        case "no_edit":
            return Told("no_edit", render("no_edit", reasons=state.reasons, phase=str(state.phase), run=state.run))
        case "lint_failed":
            return Told("lint", render("lint", report=state.lint))
    if last is state.plots_outcome and state.plots_outcome is not None:
        return Told("plots_failed", render("plots_failed", verdict=verdict, excerpt=state.plots_outcome.digest))
    attempt = state.last_attempt
    return Told(
        "failed",
        render(
            "failed",
            run=attempt.run,
            smoke=attempt.attempt_kind == "smoke",
            excerpt=attempt.digest,
            left=session.started.max_failures - state.failures,
        ),
    )


def why_completed() -> Told:
    return Told("why_completed", render("why_completed"))


def why_no_edit(reply: Replied, blocks: int) -> str:
    """A sentence for the journal and the model."""
    if blocks:
        return "Your edit leaves every file as it was."
    if reply.text.strip():
        return "Your reply holds no edit."
    if reply.finish_reason == "length":
        return "Your reply was empty: the output limit was reached before any text. Think less and answer shorter."
    return "Your reply was empty."


def plots(session: Session) -> Told:
    runs = ["run_0 (baseline)"] + [f"run_{record.run}" for record in session.state.accepted]
    names = [name for name in (PLOT, NOTES) if name in session.all_editable]
    text = (session.folder / PLOT).read_text(encoding="utf-8", errors="replace")
    return Told("plots", render("plots", runs=runs, editable=names, plot=text))


def notes(session: Session) -> Told:
    text = read_texts(session.folder, [NOTES]).get(NOTES, "")
    return Told("notes", render("notes", plots=session.state.plots, notes=text))


def says_more_than_completed(text: str) -> bool:
    """Whether there is a reason beside the marker."""
    return any(line.strip() and "ALL_COMPLETED" not in line for line in text.splitlines())


def accepted(state: State) -> str:
    count = len(state.accepted)
    return f"{count} run{'s' if count != 1 else ''} accepted"


def trailers(state: State, finished: AttemptFinished) -> dict[str, Any]:
    """Git trailers of an outcome. `Cost` is what the session has spent so far, in USD."""
    return {
        "Run": finished.run,
        "Attempt": finished.attempt,
        "Verdict": finished.verdict,
        "Cost": f"{state.spent.cost:.6f}",
    }


def metric_trailer(template: Template, metrics: dict[str, float]) -> dict[str, Any]:
    name = _deciding(template, metrics)
    return {"Metric": f"{name}={metrics[name]:.6g}"} if name else {}


def headline(template: Template, metrics: dict[str, float], baseline: BaselineMeasured | None) -> str:
    """The metric that decides, beside the baseline's, for the first line of a commit."""
    name = _deciding(template, metrics)
    if name is None:
        return ""
    text = f", {name} {metrics[name]:.4g}"
    if baseline is not None and name in baseline.metrics:
        text += f" (baseline {baseline.metrics[name]:.4g})"
    return text


def _deciding(template: Template, metrics: dict[str, float]) -> str | None:
    """The template's metric; where it names none (AI-Scientist's templates do not), the first one."""
    if template.metric is None:
        return next(iter(metrics), None)
    return template.metric if template.metric in metrics else None


def _texts(session: Session) -> dict[str, str]:
    return read_texts(session.folder, code_files(session.all_editable))


def beside_baseline(metrics: dict[str, float], baseline: dict[str, float]) -> str:
    """`l0 31.2 (40.1), …`, with the baseline's values in brackets; what equals the baseline is not repeated."""
    parts = []
    for name, value in metrics.items():
        now, before = f"{value:.4g}", f"{baseline[name]:.4g}" if name in baseline else None
        if now != before:
            parts.append(f"{name} {now}" if before is None else f"{name} {now} ({before})")
    if len(parts) < len(metrics):
        parts.append("the other metrics as in the baseline")
    return ", ".join(parts)
