"""Renders facts to HTML with the templates in `page/`; all text is escaped, Plotly is embedded once."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shlex
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ai_sci import __version__
from ai_sci.agent.journal import Spent
from ai_sci.agent.report.charts import MOST_LINES, session_charts
from ai_sci.agent.report.leaderboard import Group, board_charts
from ai_sci.agent.report.measures import duration, money
from ai_sci.agent.report.session_facts import Image, SessionFacts
from ai_sci.agent.report.time_breakdown import SHARES, Night
from ai_sci.agent.session import comparison
from ai_sci.experiment.base import AiSciError, format_duration, format_size

META = "ai-sci-report"
_MOST_DIFF_LINES = 400
_PAGE = Path(__file__).with_name("page")
_GOOD = ("ok", "completed", "better")
_BAD = (
    *("crashed", "timed_out", "out_of_memory", "out_of_disk", "too_many_processes", "no_result", "tampered", "worse"),
    *("bad_result", "no_run_accepted", "invalid_baseline", "gave_up", "model_unavailable"),
)
_WARN = ("degenerate", "mismatch", "edit_refused", "lint_failed", "no_edit", "budget_exhausted", "interrupted")


class LibraryMissing(AiSciError):
    """plotly is not installed, or without its script."""

    exit_code = 2


@dataclass(frozen=True)
class BatchFacts:
    """The head of a batch's page. `night` sums over sessions; `elapsed` is the batch's own time in milliseconds."""

    name: str
    status: str
    reason: str
    started_at: float
    engine: str
    places: str
    budgets: dict[str, float]
    total: int
    better: int
    accepted: int
    runs: int
    elapsed: int
    night: Night
    spent: Spent
    groups: list[Group]


@dataclass(frozen=True)
class Meta:
    """What `--check` needs to make the page again."""

    kind: str  # "session" or "batch"
    records: dict[str, int]  # session -> journal records read; "" is the folder's own journal
    links: str  # relative URL from the page to the session or batch

    def text(self) -> str:
        """As the content of the page's meta element."""
        return json.dumps({"format": 1, "kind": self.kind, "records": self.records, "links": self.links})


def render_page(meta: Meta, name: str, title: str, sessions: Sequence[SessionFacts], batch: BatchFacts | None) -> str:
    """The whole page. The same facts give the same text, byte for byte."""
    charts = {facts.name: session_charts(facts) for facts in sessions}
    board = board_charts(batch.groups) if batch else []
    script, library = _file("page.js"), plotly_script()
    environment = _environment()
    folders = {facts.name: meta.links + (f"{quote(facts.name)}/" if batch else "") for facts in sessions}
    data = [(f"charts-{facts.name}", _json_block(charts[facts.name])) for facts in sessions if charts[facts.name]]
    if board:
        data.append(("charts--batch", _json_block(board)))
    safe = environment.filters["safe"]
    return environment.get_template("page.html.jinja").render(
        link=lambda facts, path: folders[facts.name] + quote(path),
        charts_of=lambda facts: charts[facts.name],
        meta_name=META,
        meta=meta.text(),
        script_hashes=" ".join(f"'sha256-{_hash(text)}'" for text in (library, script)),
        title=f"{title} · ai-sci",
        name=name,
        sessions=sessions,
        batch=batch,
        board=board,
        shares=SHARES,
        most_lines=MOST_LINES,
        records=sum(meta.records.values()),
        version=__version__,
        style=safe(_file("style.css")),
        script=safe(script),
        library=safe(library),
        chart_data=data,
    )


@cache
def plotly_script() -> str:
    """plotly.min.js from the `plotly` package, without importing it."""
    try:
        path = metadata.distribution("plotly").locate_file("plotly/package_data/plotly.min.js")
        return Path(str(path)).read_text(encoding="utf-8")
    except (metadata.PackageNotFoundError, OSError) as error:
        raise LibraryMissing("the charts need the package plotly: `pip install plotly` beside ai-sci.") from error


@cache
def _file(name: str) -> str:
    return (_PAGE / name).read_text(encoding="utf-8")


@cache
def _hash(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _json_block(value: Any) -> Any:
    """JSON that cannot close its script element."""
    from markupsafe import Markup

    text = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return Markup(text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e"))


@cache
def _environment() -> Any:
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_PAGE),
        undefined=jinja2.StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    filters: dict[str, Any] = {
        "clock": lambda at: time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(at)),
        "comparison": comparison,
        "count_changes": _count_changes,
        "data_url": _data_url,
        "diff_lines": _diff_lines,
        "duration": duration,
        "file_name": lambda path: Path(path).name,
        "limit": _limit,
        "lines_left_out": _lines_left_out,
        "model_name": _model_name,
        "money": money,
        "percent": lambda part, whole: f"{100 * part / whole:.1f} %" if whole else "",
        "quoted": shlex.quote,
        "reflowed": _reflowed,
        "template_name": lambda facts: Path(facts.started.template).name,
        "tone": tone,
    }
    environment.filters.update(filters)
    return environment


def tone(word: str) -> str:
    """The colour class of a verdict, a status or a comparison word."""
    for name, words in (("good", _GOOD), ("bad", _BAD), ("warn", _WARN)):
        if word in words:
            return name
    return "calm"


def _model_name(name: str) -> str:
    """`scripted:/a/long/path/idea` as `scripted:idea`."""
    kind, colon, path = name.partition(":")
    return f"{kind}:{Path(path).name}" if colon and kind in ("scripted", "replay", "history") else name


def _limit(value: float, key: str) -> str:
    if key == "time":
        return format_duration(value)
    return format_size(int(value)) if key in ("memory", "disk") else f"{value:,.0f}"


def _reflowed(text: str) -> Any:
    """Joins hard-wrapped lines and renders Markdown's `code` and **bold**."""
    from markupsafe import Markup, escape

    whole = re.sub(r"(?<=[^\n])\n(?=[^\s\-*#>|\d])", " ", text)
    safe = re.sub(r"`([^`\n]+)`", r"<code>\1</code>", str(escape(whole)))
    return Markup(re.sub(r"\*\*([^*\n]+)\*\*", r"<b>\1</b>", safe))


def _diff_lines(diff: str) -> list[tuple[str, str]]:
    """The first lines of a diff, each with its tone, without git's file headers."""
    tones = {"+": "add", "-": "del", "@": "hunk", "d": "file"}
    return [(tones.get(line[:1], "same"), line) for line in _shown_lines(diff)[:_MOST_DIFF_LINES]]


def _lines_left_out(diff: str) -> int:
    return max(0, len(_shown_lines(diff)) - _MOST_DIFF_LINES)


def _shown_lines(diff: str) -> list[str]:
    return [line for line in diff.split("\n") if not line.startswith(("index ", "--- a/", "+++ b/"))]


def _count_changes(diff: str) -> str:
    added, gone = (sum(line.startswith(sign) for line in _shown_lines(diff)) for sign in "+-")
    return f"+{added} −{gone} lines"


def _data_url(image: Image) -> str:
    return f"data:{image.kind};base64,{base64.b64encode(image.data).decode()}"
