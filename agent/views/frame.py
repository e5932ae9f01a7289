"""Draws one frame of `ai-sci watch` within the terminal's width and height."""

from __future__ import annotations

import io
import time

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from ai_sci.agent.views.picture import IdeaLine, Picture, Standing
from ai_sci.experiment.base import format_duration

_WIDE = 100  # columns
_STYLES = {Standing.running: "cyan", Standing.failed: "red", Standing.waiting: "dim", Standing.done: "green"}
_COLOURS = {True: "green", False: "red", None: ""}  # by whether the difference is better
_NUMBERS = (3, 4, 6, 7, 8, 9)  # right-aligned columns of the table of ideas


def frame(picture: Picture, width: int, height: int | None) -> RenderableType:
    """At most `height` lines of `width` columns; everything when `height` is None."""
    above = [_title(picture), *_totals(picture, width)]
    below = [_line(f"! {trouble}", "red") for trouble in picture.troubles[:2]]
    if height is not None:
        below = below[: max(0, height // 3)]
    room = None if height is None else max(1, height - len(above) - len(below) - 1)
    return Group(*above, _line(""), *_middle(picture, width, room), *below)


def plain(picture: Picture, width: int = 160) -> str:
    """The whole picture as text without control codes, for a file or a pipe."""
    out = io.StringIO()
    Console(file=out, width=width, highlight=False, force_terminal=False).print(frame(picture, width, None))
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines())


def _middle(picture: Picture, width: int, room: int | None) -> list[RenderableType]:
    if picture.batch:
        return _ideas(picture, width, room)
    runs = _runs(picture, room)
    said = [_line(f"{time.strftime('%H:%M:%S', time.localtime(at))} {text}", "dim") for at, text in picture.story]
    left = len(said) if room is None else max(0, room - len(picture.runs) - 5)  # two headings, an idea, two blanks
    return [*_ideas(picture, width, None), _line(""), runs, _line(""), *said[max(0, len(said) - left) :]]


def _title(picture: Picture) -> Text:
    kind = "batch" if picture.batch else "session"
    reason = f": {picture.reason}" if picture.reason else ""
    return _line(f"{kind} {picture.folder.name}: {picture.status}{reason}", "bold")


def _totals(picture: Picture, width: int) -> list[Text]:
    spent, counts = picture.spent, picture.counts
    tokens = spent.prompt_tokens + spent.completion_tokens
    parts = [
        f"{counts[one]} {one.value}" for one in (Standing.done, Standing.running, Standing.waiting, Standing.failed)
    ]
    first = [*parts, _slots(picture)] if picture.batch else []
    cost = _money(spent.cost) + (f" + {spent.unpriced_calls} calls of unknown price" if spent.unpriced_calls else "")
    second = [f"{cost}", f"{spent.calls} calls, {_count(tokens)} tokens", f"elapsed {format_duration(picture.elapsed)}"]
    if picture.budgets:
        second.append("left " + ", ".join(_budget(name, left) for name, left in picture.budgets.items()))
    rows = [first, second] if first else [second]
    if width >= _WIDE + 40 and first:
        rows = [first + second]
    return [_line("  ".join(row)) for row in rows]


def _slots(picture: Picture) -> str:
    of = f" of {picture.slots}" if picture.slots else ""
    where = ", ".join(place for place in picture.places if place)
    return f"slots in use {len(picture.places)}{of}" + (f": {where}" if where else "")


def _budget(name: str, left: float) -> str:
    if name == "cost":
        return _money(left)
    return format_duration(left) if name == "time" else f"{_count(left)} {name}"


def _ideas(picture: Picture, width: int, room: int | None) -> list[RenderableType]:
    """The table of ideas, with counts by standing of those that do not fit."""
    shown, hidden = picture.lines, []
    if room is not None and len(shown) + 1 > room:
        shown, hidden = shown[: max(0, room - 2)], shown[max(0, room - 2) :]
    metrics = {line.metric for line in picture.lines if line.metric}
    metric = metrics.pop() if len(metrics) == 1 else None
    rows = [_cells(line, picture.at, metric) for line in shown]
    heads = ["idea", "status", "doing", "for", "run", "last", f"best {metric}" if metric else "best", "baseline"]
    heads += ["difference", "cost"]
    columns = range(len(heads))
    if width < _WIDE:
        heads[6], heads[8] = "best", "diff"
        columns = [0, 1, 4, 5, 6, 8, 9]
        rows = [[row[0], _shortest(line, row[1]), *row[2:]] for line, row in zip(shown, rows)]
    gap = 2 if width >= _WIDE else 1
    table = Table(box=None, padding=(0, gap, 0, 0), header_style="dim")
    widths = {column: max([len(heads[column]), *(row[column].cell_len for row in rows)]) for column in columns}
    flexible = 2 if width >= _WIDE else 0  # this column gets the remaining width
    widths[0] = min(widths[0], width // 3)
    rest = sum(widths.values()) + gap * len(widths) - widths[flexible]
    widths[flexible] = min(widths[flexible], max(10, width - rest))
    for column in columns:
        justify = "right" if column in _NUMBERS else "left"
        table.add_column(heads[column], no_wrap=True, overflow="ellipsis", justify=justify, max_width=widths[column])
    for row in rows:
        table.add_row(*(row[column] for column in columns))
    if not hidden:
        return [table]
    kinds = [(one, sum(line.standing is one for line in hidden)) for one in Standing]
    return [table, _line("… and " + ", ".join(f"{count} {one.value}" for one, count in kinds if count), "dim")]


def _cells(line: IdeaLine, at: float, metric: str | None) -> list[Text]:
    """`metric` is the one all ideas share; when None, each row names its own."""
    own = f"{line.metric} " if metric is None and line.metric and line.best is not None else ""
    return [
        Text(line.idea),
        Text(line.status, _STYLES[line.standing]),
        Text(line.doing),
        Text(_duration(line, at)),
        Text(f"{line.run}/{line.runs}" if line.runs else ""),
        Text(line.verdict),
        Text(own + _number(line.best)),
        Text(_number(line.baseline)),
        Text(_difference(line.best, line.baseline), _COLOURS[line.better]),
        Text(_money(line.cost) if line.runs else ""),
    ]


def _shortest(line: IdeaLine, status: Text) -> Text:
    """For narrow screens: what a running session is doing says more than its phase."""
    running = line.standing is Standing.running and line.doing
    return Text(line.doing, status.style) if running else status


def _duration(line: IdeaLine, at: float) -> str:
    if line.since is None:
        return ""
    return format_duration(at - line.since) + (f" of {format_duration(line.limit)}" if line.limit else "")


def _runs(picture: Picture, room: int | None) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for name in ("run", "status", "attempts"):
        table.add_column(name, no_wrap=True, overflow="ellipsis")
    table.add_column(picture.lines[0].metric or "metric", no_wrap=True, justify="right", overflow="ellipsis")
    table.add_column("difference", no_wrap=True, justify="right")
    last = picture.runs if room is None else picture.runs[-max(1, room - 6) :]
    for run in last:
        difference = _difference(run.value, picture.lines[0].baseline) if run.run else ""
        row = (str(run.run), run.status, run.attempts, _number(run.value))
        table.add_row(*map(Text, row), Text(difference, _COLOURS[run.better]))
    return table


def _line(text: str, style: str = "") -> Text:
    return Text(text, style, no_wrap=True, overflow="ellipsis")


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"


def _difference(value: float | None, baseline: float | None) -> str:
    return "" if value is None or baseline is None else f"{value - baseline:+.3g}"


def _money(usd: float) -> str:
    return f"${usd:.3f}" if 0 < usd < 1 else f"${usd:.2f}"


def _count(number: float) -> str:
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= size:
            return f"{number / size:.1f}{unit}"
    return f"{number:.0f}"
