"""The leaderboard of a batch: ideas by their best value, those without a number last."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ai_sci.agent.report.measures import Difference, Measure
from ai_sci.agent.report.session_facts import SessionFacts


@dataclass(frozen=True)
class Row:
    """One idea; `facts` is None while its session has not begun."""

    name: str
    idea: str
    status: str
    facts: SessionFacts | None
    best: Measure | None = None
    best_run: int = 0
    difference: Difference | None = None
    reason: str = ""  # why there is no session


@dataclass(frozen=True)
class Group:
    """The ideas of one template, best first by its metric."""

    template: str
    metric: str | None
    higher_is_better: bool
    rows: list[Row]


@dataclass(frozen=True)
class Waiting:
    """An idea of the batch whose session has no journal yet."""

    name: str
    idea: str
    template: str
    status: str
    reason: str


def leaderboard(sessions: list[SessionFacts], waiting: list[Waiting]) -> list[Group]:
    """One group per template, in the order of their first ideas."""
    groups: dict[str, list[Row]] = {}
    deciding: dict[str, tuple[str | None, bool]] = {}
    for facts in sessions:
        template = Path(facts.started.template).name
        groups.setdefault(template, []).append(_row(facts))
        if deciding.get(template, (None,))[0] is None:
            deciding[template] = facts.metric, facts.higher_is_better
    for one in waiting:
        groups.setdefault(one.template, []).append(Row(one.name, one.idea, one.status, None, reason=one.reason))
    return [
        Group(template, *deciding.get(template, (None, True)), ordered(rows, deciding.get(template, (None, True))[1]))
        for template, rows in groups.items()
    ]


def _row(facts: SessionFacts) -> Row:
    best = facts.best
    measure = best.measures[facts.metric] if best and facts.metric else None
    return Row(
        name=facts.name,
        idea=str(facts.started.idea.get("Title") or facts.started.idea.get("Name")),
        status=facts.status,
        facts=facts,
        best=measure,
        best_run=best.number if best else 0,
        difference=best.difference if best else None,
    )


def ordered(rows: list[Row], higher_is_better: bool) -> list[Row]:
    """Best first; ideas without a number, or with NaN, come last."""
    sign = -1 if higher_is_better else 1

    def place(row: Row) -> tuple[bool, float]:
        if row.best is None or math.isnan(row.best.value):
            return True, 0.0
        return False, sign * row.best.value

    return sorted(rows, key=place)


def board_charts(groups: list[Group]) -> list[dict[str, Any]]:
    """One chart per template: each idea's best value and the baseline's."""
    charts = []
    for group in groups:
        rows = [row for row in group.rows if row.best is not None]
        if len(rows) < 2 or group.metric is None:
            continue
        first = next((row.facts.baseline for row in rows if row.facts and row.facts.baseline), None)
        base = first.measures.get(group.metric) if first else None
        charts.append(
            {
                "kind": "runs",
                "title": f"best {group.metric} of each idea ({group.template})",
                "axis": "idea",
                "x": [row.name for row in rows],
                "y": [row.best.value for row in rows if row.best],
                "err": [row.best.stderr for row in rows if row.best],
                "links": [f"idea-{row.name}" for row in rows],
                "base": base.value if base else None,
                "base_err": base.stderr if base else None,
            }
        )
    return charts
