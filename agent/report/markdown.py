"""A short report in Markdown, for pasting into an issue: a table, and where time and money went."""

from __future__ import annotations

from ai_sci.agent.report.measures import duration, money
from ai_sci.agent.report.render import BatchFacts
from ai_sci.agent.report.session_facts import RunFacts, SessionFacts
from ai_sci.agent.report.time_breakdown import Night

_MOST_METRICS = 6
_MOST_RUNS = 50


def session_markdown(facts: SessionFacts) -> str:
    """The report of one session; a long one is truncated."""
    title = facts.started.idea.get("Title") or facts.started.idea.get("Name")
    metrics = facts.metric_names[:_MOST_METRICS]
    rows = [_row(run, metrics) for run in [*([facts.baseline] if facts.baseline else []), *facts.runs[:_MOST_RUNS]]]
    more = len(facts.runs) - _MOST_RUNS
    lines = [
        f"### {_plain(title)}",
        f"`{facts.name}`: {facts.status}, model `{_plain(facts.state.model.split('/')[-1])}`, "
        f"{facts.records} journal records",
        "",
        *_table(["run", "verdict", "commit", *metrics, "against the baseline"], rows),
        *([f"and {more} more runs"] if more > 0 else []),
        "",
        "± is one standard error over seeds; with one seed nothing is claimed.",
        _money_and_time(facts.state.spent.cost, facts.state.spent.calls, facts.night),
    ]
    return "\n".join(lines) + "\n"


def batch_markdown(batch: BatchFacts) -> str:
    """The report of a batch: one table per template."""
    lines = [f"### {_plain(batch.name)}: {batch.total} ideas", f"{batch.status}, {batch.engine}", ""]
    for group in batch.groups:
        rows = [
            [
                _plain(row.idea),
                row.status,
                f"{row.best.text} (run {row.best_run})" if row.best else "",
                f"{row.difference.text} {row.difference.word}" if row.difference else "",
                duration(row.facts.night.total) if row.facts else "",
                money(row.facts.state.spent.cost) if row.facts else "",
            ]
            for row in group.rows
        ]
        head = ["idea", "status", f"best {group.metric or ''}", "against its baseline", "time", "cost"]
        lines += [f"**{_plain(group.template)}**", "", *_table(head, rows), ""]
    return "\n".join([*lines, _money_and_time(batch.spent.cost, batch.spent.calls, batch.night)]) + "\n"


def _row(run: RunFacts, metrics: list[str]) -> list[str]:
    values = [run.measures[name].text if name in run.measures else "" for name in metrics]
    claim = f"{run.difference.text} {run.difference.word}" if run.difference else ""
    return [f"{run.number}" if run.number else "baseline", run.status, run.commit[:8], *values, claim]


def _table(head: list[str], rows: list[list[str]]) -> list[str]:
    return [_line([_plain(name) for name in head]), _line(["---"] * len(head)), *map(_line, rows)]


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _money_and_time(cost: float, calls: int, night: Night) -> str:
    shares = ", ".join(f"{share} {duration(took)}" for share, took in night.shares.items() if took)
    return f"{calls} calls, {money(cost)}; {duration(night.total)}: {shares or 'nothing yet'}."


def _plain(text: object) -> str:
    """One line, with Markdown and HTML escaped."""
    line = " ".join(str(text).split())
    return "".join(f"\\{letter}" if letter in "|\\`*_[]<>" else letter for letter in line)
