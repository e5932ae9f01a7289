"""Outcomes as text: for commits, for the end of a session, and to point out a run identical to an earlier one."""

from __future__ import annotations

from typing import Any

from ai_sci.agent.journal import AttemptFinished, BaselineMeasured, State
from ai_sci.experiment.template import Template


def trailers(state: State, finished: AttemptFinished) -> dict[str, Any]:
    """Git trailers of an outcome. `Cost` is what the session has spent so far, in USD."""
    return {
        "Run": finished.run,
        "Attempt": finished.attempt,
        "Verdict": finished.verdict,
        "Cost": f"{state.spent.cost:.6f}",
    }


def metric_trailer(template: Template, metrics: dict[str, float]) -> dict[str, Any]:
    """The `Metric` trailer; empty when the deciding metric was not measured."""
    name = _deciding(template, metrics)
    return {"Metric": f"{name}={metrics[name]:.6g}"} if name else {}


def headline(template: Template, metrics: dict[str, float], baseline: BaselineMeasured | None) -> str:
    """The deciding metric next to its baseline value, for a commit's subject."""
    name = _deciding(template, metrics)
    if name is None:
        return ""
    text = f", {name} {metrics[name]:.4g}"
    if baseline is not None and name in baseline.metrics:
        text += f" (baseline {baseline.metrics[name]:.4g})"
    return text


def _deciding(template: Template, metrics: dict[str, float]) -> str | None:
    """The template's metric, or the first one measured where the template names none (as in AI-Scientist)."""
    if template.metric is None:
        return next(iter(metrics), None)
    return template.metric if template.metric in metrics else None


def identical_run(state: State, run: int, metrics: dict[str, float]) -> str:
    """The earlier run with exactly these metrics, or "". Not a failure: an honest change may have no effect."""
    assert state.baseline is not None
    before = {0: state.baseline.metrics, **{one.run: one.closed.metrics for one in state.accepted if one.closed}}
    return next((f"run {number}" for number in before if number != run and before[number] == metrics), "")


def accepted(state: State) -> str:
    """The number of accepted runs, in words."""
    count = len(state.accepted)
    return f"{count} run{'s' if count != 1 else ''} accepted"
