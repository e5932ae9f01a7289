"""Messages to the model, rendered from the session's state and the files in prompts/."""

from __future__ import annotations

import json
from typing import Any

from ai_sci.agent.edits import edit_instructions
from ai_sci.agent.journal import ReplyRejected, RunClosed, Told, render
from ai_sci.agent.loop.outcome_texts import identical_run
from ai_sci.agent.session import NOTES, PLOT, Session, code_files, read_texts
from ai_sci.experiment.base import format_duration
from ai_sci.experiment.template import Template


def task(session: Session, template: Template) -> Told:
    """The start of every request. It never changes during a session, so that a rebuilt conversation can repeat it."""
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
        edit_format=edit_instructions(render),
        baseline_source=state.baseline.source,
        baseline=beside_baseline(state.baseline.metrics, {}),
    )
    return Told("task", text)


def code(session: Session) -> Told:
    """The second half of the first message. A rebuilt conversation drops it, because the code has changed by then."""
    return Told("code", render("code", files=_texts(session)))


def result(session: Session, closed: RunClosed) -> Told:
    """How a run ended, accepted or not, and what comes next."""
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
            replies=closed.format_failures,
            status=closed.status,
            base=base[-1] if base else 0,
            files=_texts(session),
            next_run=closed.run + 1,
            max_runs=state.max_runs,
        ),
    )


def failure(session: Session, verdict: str) -> Told:
    """Why the last step failed, and what to do about it."""
    state = session.state
    last = state.last
    match verdict:
        case "edit_refused":
            return Told("refused", render("refused", reasons=state.reasons))
        case "no_edit":
            remind = isinstance(last, ReplyRejected) and last.is_format_failure
            text = render("no_edit", reasons=state.reasons, phase=str(state.phase), run=state.run, remind=remind)
            return Told("no_edit", text)
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


def why_no_edit(case: str, **fields: Any) -> str:
    """Why a reply led to no attempt, in one sentence. The cases are listed in prompts/why_no_edit.md."""
    return render("why_no_edit", case=case, **fields)


def why_completed() -> Told:
    """Asks why the model is done before its first run."""
    return Told("why_completed", render("why_completed"))


def plots(session: Session) -> Told:
    """Asks for a plot.py that draws the accepted runs."""
    runs = [record.run for record in session.state.accepted]
    names = [name for name in (PLOT, NOTES) if name in session.all_editable]
    text = (session.folder / PLOT).read_text(encoding="utf-8", errors="replace")
    return Told("plots", render("plots", runs=runs, editable=names, plot=text))


def notes(session: Session) -> Told:
    """Asks for notes.txt."""
    text = read_texts(session.folder, [NOTES]).get(NOTES, "")
    return Told("notes", render("notes", plots=session.state.plots, notes=text))


def _texts(session: Session) -> dict[str, str]:
    return read_texts(session.folder, code_files(session.all_editable))


def beside_baseline(metrics: dict[str, float], baseline: dict[str, float]) -> str:
    """`l0 31.2 (40.1), …`, with baseline values in brackets; metrics equal to the baseline are left out."""
    parts = []
    for name, value in metrics.items():
        now, before = f"{value:.4g}", f"{baseline[name]:.4g}" if name in baseline else None
        if now != before:
            parts.append(f"{name} {now}" if before is None else f"{name} {now} ({before})")
    return render("metrics", changed=parts, others=len(parts) < len(metrics))
