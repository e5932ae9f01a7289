"""Runs as a report tells them: the journal's numbers and what the commits hold."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

from ai_sci.agent.journal import BaselineMeasured
from ai_sci.agent.report.curves import Curve, read_curves
from ai_sci.agent.report.journal_facts import AppliedEdit, Attempt, TriedRun
from ai_sci.agent.report.measures import Difference, Measure, against, measured
from ai_sci.experiment.base import clean_output
from ai_sci.experiment.results import RESULT_NAME, ResultError, Results, parse_results

_LOG_LINES = 25
_LOG_END = 32_000  # bytes read from the end of a log for them


@dataclass(frozen=True)
class AttemptFacts:
    """An attempt and the end of its committed log."""

    attempt: Attempt
    log: str  # path in the session
    log_commit: str  # "" when the log is in no commit
    tail: list[str]


@dataclass(frozen=True)
class RunFacts:
    """A run; `number` 0 is the baseline. `difference` is in the deciding metric, None without one."""

    number: int
    status: str
    line: int  # of the journal
    commit: str
    measures: dict[str, Measure]
    difference: Difference | None = None
    differences: dict[str, Difference] = field(default_factory=dict)
    attempts: list[AttemptFacts] = field(default_factory=list)
    said: str = ""
    edits: list[AppliedEdit] = field(default_factory=list)
    base: str = ""  # the commit whose code it builds on
    code: str = ""  # the commit of the code that ran last
    diff: str = ""
    curves: list[Curve] = field(default_factory=list)
    digest: str = ""  # sha256 of the committed result
    mismatch: str = ""  # how the committed result differs from the journal; "" when it does not
    key: str = ""
    source: str = ""  # of a baseline

    @property
    def accepted(self) -> bool:
        """Whether its verdict is `ok`."""
        return self.status == "ok"

    @property
    def result(self) -> str:
        """Path of its result file in the session."""
        return f"run_{self.number}/{RESULT_NAME}"


def read_baseline(event: BaselineMeasured, line: int, files: dict[str, bytes], trees: dict[str, list[str]]) -> RunFacts:
    """`files` maps COMMIT:PATH to content, `trees` COMMIT:FOLDER to names, as `Commits` returns them."""
    commit = event.commit or ""
    results, mismatch = _results(files, f"{commit}:run_0", event.metrics)
    return RunFacts(
        number=0,
        status=event.verdict,
        line=line,
        commit=commit,
        measures=measured(event.metrics, results.stderrs if results else {}),
        curves=_curves(files, trees, f"{commit}:run_0"),
        digest=_digest(files, f"{commit}:run_0"),
        said="; ".join(event.reasons),
        mismatch=mismatch,
        key=event.key,
        source=event.source,
    )


def read_run(
    tried: TriedRun,
    files: dict[str, bytes],
    trees: dict[str, list[str]],
    diffs: dict[tuple[str, str], str],
    baseline: RunFacts | None,
    metric: str | None,
    higher: bool,
) -> RunFacts:
    """Like `read_baseline`; `diffs` are by pairs of commits, `metric` decides, `higher`: more of it is better."""
    folder = f"{tried.commit}:run_{tried.number}"
    results, mismatch = _results(files, folder, tried.metrics)
    measures = measured(tried.metrics, results.stderrs if results else {})
    base = baseline.measures if baseline else {}
    differences = {
        name: against(measure, base[name], higher if name == metric else None)
        for name, measure in measures.items()
        if name in base
    }
    attempts = [
        AttemptFacts(one, one.log, tried.log_commit(one), _tail(files.get(f"{tried.log_commit(one)}:{one.log}")))
        for one in tried.attempts
    ]
    return RunFacts(
        number=tried.number,
        status=tried.status,
        line=tried.line,
        commit=tried.commit,
        measures=measures,
        difference=differences.get(metric) if metric else None,
        differences=differences,
        attempts=attempts,
        said=tried.said,
        edits=tried.edits,
        base=tried.base,
        code=tried.code,
        diff=diffs.get((tried.base, tried.code), ""),
        curves=_curves(files, trees, folder),
        digest=_digest(files, folder),
        mismatch=mismatch,
        key=next((one.key for one in reversed(tried.attempts) if one.key), ""),
    )


def _results(files: dict[str, bytes], folder: str, metrics: dict[str, float]) -> tuple[Results | None, str]:
    """The committed result, and how it differs from the journal."""
    content = files.get(f"{folder}/{RESULT_NAME}")
    if content is None:
        return None, f"{RESULT_NAME} is not in the commit" if metrics else ""
    try:
        results = parse_results(content)
    except ResultError as error:
        return None, f"the commit holds another result than the journal: {error.reason}"
    wrong = [name for name in {**metrics, **results.metrics} if metrics.get(name) != results.metrics.get(name)]
    if not wrong:
        return results, ""
    name = wrong[0]
    said = f"{name} is {results.metrics.get(name)} in the commit and {metrics.get(name)} in the journal"
    return results, said + (f", and {len(wrong) - 1} more differ" if len(wrong) > 1 else "")


def _digest(files: dict[str, bytes], folder: str) -> str:
    content = files.get(f"{folder}/{RESULT_NAME}")
    return "" if content is None else hashlib.sha256(content).hexdigest()


def _curves(files: dict[str, bytes], trees: dict[str, list[str]], folder: str) -> list[Curve]:
    saved = {name: files[f"{folder}/{name}"] for name in trees.get(folder, []) if f"{folder}/{name}" in files}
    final_info = saved.pop(RESULT_NAME, None)
    return read_curves(saved, final_info)


def _tail(log: bytes | None) -> list[str]:
    if log is None:
        return []
    return clean_output(log[-_LOG_END:].decode("utf-8", "replace")).lines[-_LOG_LINES:]
