"""Chart data as JSON for the page's Plotly script: names and numbers, no layout.

Each chart is a dict with "kind" and "title":
- runs: {"x": [label], "y", "err": [number or null], "links": [id], "base", "base_err", "axis"}
- scatter: {"xlabel", "ylabel", "points": [{"name", "x", "y", "base", "link"}]}
- curves: {"xlabel", "lines": [{"name", "x", "y", "base"}]}
"""

from __future__ import annotations

from typing import Any

from ai_sci.agent.report.session_facts import RunFacts, SessionFacts

Chart = dict[str, Any]

_MOST_METRICS = 12  # charts of one kind; the table has every metric
MOST_LINES = 10  # runs in one chart of curves, besides the baseline
_VARIANCE = ("explained_variance", "frac_variance_explained", "variance_explained")
_SPARSITY = ("l0", "L0")


def session_charts(facts: SessionFacts) -> list[Chart]:
    """All charts of one session, in the order shown."""
    return [*_variance_charts(facts), *_metric_charts(facts), *_curve_charts(facts)]


def _metric_charts(facts: SessionFacts) -> list[Chart]:
    """One chart per metric over the runs, with the baseline as a line; the deciding metric comes first."""
    charts = []
    for name in facts.metric_names:
        runs = [run for run in facts.runs if run.accepted and name in run.measures]
        if runs and len(charts) < _MOST_METRICS and _varies(facts, name, runs):
            charts.append(_over_runs(facts, name, runs))
    return charts


def _varies(facts: SessionFacts, name: str, runs: list[RunFacts]) -> bool:
    """Whether a chart is worth drawing: a step count that never changes is not."""
    base = facts.baseline.measures.get(name) if facts.baseline else None
    values = {run.measures[name].value for run in runs} | ({base.value} if base else set())
    return name == facts.metric or len(values) > 1


def _over_runs(facts: SessionFacts, name: str, runs: list[RunFacts]) -> Chart:
    base = facts.baseline.measures.get(name) if facts.baseline else None
    direction = f" ({'higher' if facts.higher_is_better else 'lower'} is better)" if name == facts.metric else ""
    return {
        "kind": "runs",
        "title": name + direction,
        "axis": "run",
        "x": [str(run.number) for run in runs],
        "y": [run.measures[name].value for run in runs],
        "err": [run.measures[name].stderr for run in runs],
        "links": [f"{facts.name}--run-{run.number}" for run in runs],
        "base": base.value if base else None,
        "base_err": base.stderr if base else None,
    }


def _variance_charts(facts: SessionFacts) -> list[Chart]:
    """Explained variance against L0, where metrics have these names; one chart per dataset or layer."""
    names = facts.metric_names
    charts = []
    for variance in names:
        word = next((word for word in _VARIANCE if variance.endswith(word)), None)
        head = variance.removesuffix(word) if word else None
        sparsity = next((head + l0 for l0 in _SPARSITY if head + l0 in names), None) if head is not None else None
        if sparsity is None or (head and head[-1] not in "/_"):
            continue
        points = [
            {
                "name": f"run {run.number}" if run.number else "baseline",
                "x": run.measures[sparsity].value,
                "y": run.measures[variance].value,
                "base": run.number == 0,
                "link": f"{facts.name}--run-{run.number}",
            }
            for run in facts.every_run
            if (run.accepted or run is facts.baseline) and sparsity in run.measures and variance in run.measures
        ]
        if len(points) > 1:
            title = f"{variance} against {sparsity}: up and to the left is better"
            charts.append({"kind": "scatter", "title": title, "xlabel": sparsity, "ylabel": variance, "points": points})
    return charts[:_MOST_METRICS]


def _curve_charts(facts: SessionFacts) -> list[Chart]:
    """One chart per saved series, with a line each for the baseline and the best runs."""
    charts: dict[str, Chart] = {}
    for run in _curve_runs(facts):
        for curve in run.curves:
            chart = charts.setdefault(
                curve.name, {"kind": "curves", "title": curve.name, "xlabel": curve.axis, "lines": []}
            )
            name = f"run {run.number}" if run.number else "baseline"
            chart["lines"].append({"name": name, "x": curve.x, "y": curve.y, "base": run.number == 0})
    return list(charts.values())[:_MOST_METRICS]


def _curve_runs(facts: SessionFacts) -> list[RunFacts]:
    """The runs whose curves are drawn, by number."""
    metric, sign = facts.metric, -1 if facts.higher_is_better else 1
    runs = [run for run in facts.runs if run.curves and run.accepted]
    if metric and len(runs) > MOST_LINES:
        known = [run for run in runs if metric in run.measures]
        runs = sorted(known, key=lambda run: sign * run.measures[metric].value)[:MOST_LINES]
    baseline = [facts.baseline] if facts.baseline and facts.baseline.curves else []
    return [*baseline, *sorted(runs, key=lambda run: run.number)]
