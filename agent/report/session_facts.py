"""What a report says about a session, computed only from its journal and commits.

The same records give the same page, even while the session is running.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ai_sci.agent.journal import Entry, SessionStarted, State, fold
from ai_sci.agent.report.commits import Commits
from ai_sci.agent.report.curves import is_curve_file
from ai_sci.agent.report.journal_facts import AppliedEdit, JournalFacts, RefusedReply, ReportedCall, read_journal_facts
from ai_sci.agent.report.run_facts import RunFacts, read_baseline, read_run
from ai_sci.agent.report.time_breakdown import Night, where_it_went
from ai_sci.agent.session import NOTES
from ai_sci.experiment.base import ConfigError
from ai_sci.experiment.results import RESULT_NAME

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # pyright: ignore[reportMissingImports]

_NOTES = 8000  # characters
_IMAGES = {".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".svg": "image/svg+xml"}
MOST_IMAGE_BYTES = 4 << 20  # for all plots of a session


@dataclass(frozen=True)
class Image:
    """A plot to embed. `kind` is its MIME type."""

    path: str
    kind: str
    data: bytes


@dataclass(frozen=True)
class SessionFacts:
    """Everything a report shows about one session."""

    name: str
    records: int
    last_at: float  # of the last record
    state: State
    started: SessionStarted
    metric: str | None
    higher_is_better: bool
    settings: dict[str, Any]
    requirements: dict[str, str]  # file -> sha256
    prepares_data: bool
    editable: list[str]
    plan: str
    plan_line: int
    notes: str  # notes.txt at the last commit
    baseline: RunFacts | None
    runs: list[RunFacts]
    later_edits: list[AppliedEdit]
    refusals: list[RefusedReply]
    calls: list[ReportedCall]
    night: Night
    images: list[Image]
    pictures_left_out: list[str]

    @property
    def every_run(self) -> list[RunFacts]:
        """The baseline, if there is one, and all runs."""
        return [*([self.baseline] if self.baseline else []), *self.runs]

    @property
    def best(self) -> RunFacts | None:
        """The accepted run with the best value of the deciding metric; the first of equals."""
        metric = self.metric
        if metric is None:
            return None
        with_it = [run for run in self.runs if run.accepted and metric in run.measures]
        sign = -1 if self.higher_is_better else 1
        return min(with_it, key=lambda run: sign * run.measures[metric].value, default=None)

    @property
    def status(self) -> str:
        """`unfinished` without a record of its end: the journal cannot tell whether a process is still running."""
        return "unfinished" if self.state.ended is None else self.state.status.value

    @property
    def metric_names(self) -> list[str]:
        """Metrics of the baseline and all runs, the deciding one first."""
        names = dict.fromkeys([self.metric] if self.metric else [])
        for run in self.every_run:
            names |= dict.fromkeys(run.measures)
        return list(names)

    @property
    def other_metrics(self) -> list[str]:
        """All metrics but the deciding one."""
        return [name for name in self.metric_names if name != self.metric]


def read_facts(folder: Path, entries: Sequence[Entry], name: str, image_bytes: int = MOST_IMAGE_BYTES) -> SessionFacts:
    """The session in `folder` as of these records, with at most `image_bytes` of plots.

    Raises ConfigError.
    """
    if not entries or not isinstance(entries[0].event, SessionStarted):
        raise ConfigError(f"{folder}: the journal does not begin with a session.")
    found, state, commits = read_journal_facts(entries), fold(entries), Commits(folder)
    started = entries[0].event
    trees = commits.names(
        [f"{tried.commit}:run_{tried.number}" for tried in found.closed]
        + ([f"{state.baseline.commit}:run_0"] if state.baseline else [])
    )
    files = commits.files(_wanted(found, state, started, trees))
    diffs = commits.diffs([(tried.base, tried.code) for tried in found.runs], found.edited)
    toml = tomllib.loads(files.get(f"{started.commit}:template.toml", b"").decode())
    metric, higher = _metric(toml, state, found)
    baseline = read_baseline(state.baseline, found.baseline_line, files, trees) if state.baseline else None
    runs = [read_run(tried, files, trees, diffs, baseline, metric, higher) for tried in found.runs]
    images, left_out = _images(state, files, image_bytes)
    return SessionFacts(
        name=name,
        records=len(entries),
        last_at=entries[-1].at,
        state=state,
        started=started,
        metric=metric,
        higher_is_better=higher,
        settings=_settings(files.get(f"{started.commit}:settings.json")),
        requirements=_requirements(started, files),
        prepares_data="prepare" in toml,
        editable=found.edited,
        plan=found.plan,
        plan_line=found.plan_line,
        notes=_notes(state, files),
        baseline=baseline,
        runs=runs,
        later_edits=found.later_edits,
        refusals=found.refusals,
        calls=found.calls,
        night=where_it_went(entries),
        images=images,
        pictures_left_out=left_out,
    )


def _wanted(found: JournalFacts, state: State, started: SessionStarted, trees: dict[str, list[str]]) -> list[str]:
    fixed = ["template.toml", "settings.json", *_requirement_files(started)]
    names = [f"{started.commit}:{name}" for name in fixed]
    for folder, there in trees.items():
        names += [f"{folder}/{name}" for name in there if name == RESULT_NAME or is_curve_file(name)]
    names += [
        f"{commit}:{one.log}" for tried in found.runs for one in tried.attempts if (commit := tried.log_commit(one))
    ]
    names.append(f"{state.head}:{NOTES}")
    plots = state.plots_outcome
    if plots is not None and plots.commit:
        names += [f"{plots.commit}:plots/{name}" for name in plots.files if Path(name).suffix.lower() in _IMAGES]
    return names


def _metric(toml: dict[str, Any], state: State, found: JournalFacts) -> tuple[str | None, bool]:
    """The deciding metric and whether higher is better, from the session's first commit."""
    table = toml.get("experiment", {})
    metric = table.get("metric")
    if not isinstance(metric, str):
        known = [state.baseline.metrics if state.baseline else {}, *(tried.metrics for tried in found.runs)]
        metric = next((name for metrics in known for name in metrics), None)
    return metric, table.get("direction", "higher") == "higher"


def _settings(content: bytes | None) -> dict[str, Any]:
    try:
        value = json.loads(content or b"{}")
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _notes(state: State, files: dict[str, bytes]) -> str:
    text = files.get(f"{state.head}:{NOTES}", b"").decode("utf-8", "replace").strip()
    return text if len(text) <= _NOTES else f"{text[:_NOTES].rsplit(None, 1)[0]} …"


def _images(state: State, files: dict[str, bytes], room: int) -> tuple[list[Image], list[str]]:
    """The plots to embed, and the paths of those left out (too large, or not an image)."""
    images: list[Image] = []
    left_out: list[str] = []
    plots = state.plots_outcome
    for name in plots.files if plots is not None else []:
        content = files.get(f"{plots.commit}:plots/{name}") if plots is not None else None
        if content is None or len(content) > room:
            left_out.append(f"plots/{name}")
            continue
        room -= len(content)
        images.append(Image(f"plots/{name}", _IMAGES[Path(name).suffix.lower()], content))
    return images, left_out


def _requirements(started: SessionStarted, files: dict[str, bytes]) -> dict[str, str]:
    """The sha256 of each requirement file in the session's first commit."""
    known = {name: files.get(f"{started.commit}:{name}") for name in _requirement_files(started)}
    return {name: hashlib.sha256(content).hexdigest() for name, content in known.items() if content is not None}


def _requirement_files(started: SessionStarted) -> list[str]:
    return [name for name in started.files if "requirements" in Path(name).name and name.endswith(".txt")]
