"""The data of the charts, as JSON that the page's script hands to Plotly: names and numbers, no layout.

Each chart is a dict with "kind" and "title":
- runs: {"x": [label], "y", "err": [number or null], "links": [id], "base", "base_err", "axis"}
- scatter: {"xlabel", "ylabel", "points": [{"name", "x", "y", "base", "link"}]}
- curves: {"xlabel", "lines": [{"name", "x", "y", "base"}]}
"""

from __future__ import annotations

from typing import Any

from ai_sci.agent.report.session_facts import RunFacts, SessionFacts

Chart = dict[str, Any]

MOST_METRICS = 12  # charts; the table has all
MOST_LINES = 10  # runs in one chart of curves, beside the baseline
_VARIANCE = ("explained_variance", "frac_variance_explained", "variance_explained")
_SPARSITY = ("l0", "L0")


def session_charts(facts: SessionFacts) -> list[Chart]:
    return [*variance_charts(facts), *metric_charts(facts), *curve_charts(facts)]


def metric_charts(facts: SessionFacts) -> list[Chart]:
    """One for each metric over the runs, the baseline as a line; the one that decides comes first."""
    charts = []
    for name in facts.metric_names:
        runs = [run for run in facts.runs if run.accepted and name in run.measures]
        if runs and len(charts) < MOST_METRICS and _varies(facts, name, runs):
            charts.append(_over_runs(facts, name, runs))
    return charts


def _varies(facts: SessionFacts, name: str, runs: list[RunFacts]) -> bool:
    """A count of steps that is the same everywhere needs no chart."""
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


def variance_charts(facts: SessionFacts) -> list[Chart]:
    """Explained variance against L0, where metrics have these names; one chart for each dataset or layer."""
    names = facts.metric_names
    charts = []
    for variance in names:
        word = next((word for word in _VARIANCE if variance.endswith(word)), None)
        head = variance.removesuffix(word) if word else None
        sparsity = next((head + l0 for l0 in _SPARSITY if head + l0 in names), None) if head is not None else None
        if sparsity is None or (head and head[-1] not in "/_"):
            continue
        every = [*([facts.baseline] if facts.baseline else []), *(run for run in facts.runs if run.accepted)]
        points = [
            {
                "name": f"run {run.number}" if run.number else "baseline",
                "x": run.measures[sparsity].value,
                "y": run.measures[variance].value,
                "base": run.number == 0,
                "link": f"{facts.name}--run-{run.number}",
            }
            for run in every
            if sparsity in run.measures and variance in run.measures
        ]
        if len(points) > 1:
            title = f"{variance} against {sparsity}: up and to the left is better"
            charts.append({"kind": "scatter", "title": title, "xlabel": sparsity, "ylabel": variance, "points": points})
    return charts[:MOST_METRICS]


def curve_charts(facts: SessionFacts) -> list[Chart]:
    """One for each series that runs saved, with a line for each: the baseline and the best runs."""
    chosen = curve_runs(facts)
    charts: dict[str, Chart] = {}
    for run in chosen:
        for curve in run.curves:
            chart = charts.setdefault(
                curve.name, {"kind": "curves", "title": curve.name, "xlabel": curve.axis, "lines": []}
            )
            name = f"run {run.number}" if run.number else "baseline"
            chart["lines"].append({"name": name, "x": curve.x, "y": curve.y, "base": run.number == 0})
    return list(charts.values())[:MOST_METRICS]


def curve_runs(facts: SessionFacts) -> list[RunFacts]:
    """Those whose curves are drawn, in the order of their numbers."""
    metric, sign = facts.metric, -1 if facts.higher_is_better else 1
    runs = [run for run in facts.runs if run.curves and run.accepted]
    if metric and len(runs) > MOST_LINES:
        known = [run for run in runs if metric in run.measures]
        runs = sorted(known, key=lambda run: sign * run.measures[metric].value)[:MOST_LINES]
    baseline = [facts.baseline] if facts.baseline and facts.baseline.curves else []
    return [*baseline, *sorted(runs, key=lambda run: run.number)]
