"""Collects what is exported about each run, from the journal."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from ai_sci.agent.batch import is_batch, read_batch
from ai_sci.agent.export.base import ExportedRun
from ai_sci.agent.journal import (
    AttemptFinished,
    AttemptStarted,
    BaselineMeasured,
    EditApplied,
    JournalError,
    Replied,
    RunClosed,
    SandboxFound,
    SessionStarted,
    read_journal,
)
from ai_sci.agent.session import JOURNAL
from ai_sci.experiment.base import ConfigError, hash_of

LARGEST_FILE = 1024**2  # bytes
MOST_FILES = 100  # per run


def exported_runs(folder: Path) -> list[ExportedRun]:
    """The runs of a session, or of all started sessions of a batch. Raises ConfigError if `folder` is neither."""
    if not is_batch(folder):
        if not (folder / JOURNAL).is_file():
            raise ConfigError(f"{folder} is neither a session nor a batch: it holds no journal.")
        return list(_session_runs(folder, ""))
    runs: list[ExportedRun] = []
    for name in read_batch(folder).ideas:
        if not (folder / name / JOURNAL).is_file():
            continue  # not started yet
        try:
            runs += _session_runs(folder / name, folder.name)
        except JournalError as error:
            print(f"left out: {error}", file=sys.stderr)
    return runs


def _session_runs(folder: Path, batch: str) -> Iterator[ExportedRun]:
    entries = read_journal(folder / JOURNAL)
    if not entries or not isinstance(entries[0].event, SessionStarted):
        raise JournalError(f"{folder / JOURNAL} does not begin with a session.")
    started, began = entries[0].event, entries[0].at
    identity = (started.session, started.commit, began)
    params = {"idea": started.idea["Name"], "template": Path(started.template).name, **_settings(folder, started)}
    common = {"session": started.session, **({"batch": batch} if batch else {}), "ai_sci.version": started.version}
    model, cost, attempts = started.model, 0.0, []
    for entry in entries:
        match entry.event:
            case SandboxFound(tier=tier):
                common["sandbox"] = tier
            case Replied() as reply:
                model, cost = reply.model, cost + (reply.cost or 0.0)
            case AttemptStarted() | EditApplied() if began is None:
                began = entry.at
            case AttemptFinished() as finished:
                attempts.append(finished)
            case BaselineMeasured() | RunClosed() as outcome:
                run = outcome.run if isinstance(outcome, RunClosed) else 0
                verdict = outcome.status if isinstance(outcome, RunClosed) else outcome.verdict
                effort = {
                    "ai_sci/attempts": float(len(attempts)),
                    "ai_sci/attempt_seconds": sum(one.seconds for one in attempts),
                    "ai_sci/cost_usd": cost,
                }
                source = {"source": outcome.source} if isinstance(outcome, BaselineMeasured) else {}
                reasons = [one.reason for one in attempts if one.verdict != "ok"]
                yield ExportedRun(
                    key=hash_of(*identity, run)[:20],
                    name=f"{started.session} run {run}" if run else f"{started.session} baseline",
                    session=started.session,
                    accepted=verdict == "ok",
                    began=began if began is not None else entry.at,
                    ended=entry.at,
                    metrics={**outcome.metrics, **(effort if run else {})},
                    params={**params, "run": str(run), **({"model": model} if run else {})},
                    tags={**common, **source, "verdict": verdict, "commit": outcome.commit or ""},
                    description="\n\n".join([str(started.idea.get("Experiment", "")), *reasons[-1:]]),
                    files=_files(folder, run, attempts),
                )
                cost, attempts, began = 0.0, [], None


def _settings(folder: Path, started: SessionStarted) -> dict[str, str]:
    try:
        settings = json.loads((folder / "settings.json").read_text())
    except (OSError, ValueError):  # the template has none
        settings = started.overrides
    return {f"setting.{name}": str(value) for name, value in settings.items()}


def _files(folder: Path, run: int, attempts: list[AttemptFinished]) -> dict[str, Path]:
    """The small files of a run: its results, the logs of its attempts, the code of the last attempt."""
    files = dict(_small_files(folder / f"run_{run}", f"run_{run}"))
    for attempt in attempts:
        name = f"attempts/run_{run}.{attempt.attempt}"
        files |= {
            name: path for name, path in [(f"{name}/output.log", folder / name / "output.log")] if _is_small(path)
        }
    if attempts:
        code = f"attempts/run_{run}.{attempts[-1].attempt}/code"
        files |= {name: path for name, path in _small_files(folder / code, code) if name.endswith(".py")}
    return dict(list(files.items())[:MOST_FILES])


def _small_files(folder: Path, name: str) -> Iterator[tuple[str, Path]]:
    if folder.is_symlink():
        return
    for parent, folders, files in os.walk(folder):
        folders.sort()
        for file in sorted(files):
            path = Path(parent, file)
            if _is_small(path):
                yield f"{name}/{path.relative_to(folder)}", path


def _is_small(path: Path) -> bool:
    """Never a link: it could point at any of the user's files."""
    return not path.is_symlink() and path.is_file() and path.stat().st_size <= LARGEST_FILE
