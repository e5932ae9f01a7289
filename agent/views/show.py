"""`ai-sci show`: the state of a session or a batch, as text for people and JSON (a contract) for scripts."""

from __future__ import annotations

import dataclasses
import json
import time
from pathlib import Path
from typing import Any

from ai_sci.agent.batch import BatchState, IdeaRecord, read_batch
from ai_sci.agent.journal import JournalError, RunRecord, State, Status
from ai_sci.agent.session import JOURNAL, NOTES, comparison, metrics_line, read_state
from ai_sci.agent.views.follow import Watch
from ai_sci.agent.views.frame import plain
from ai_sci.agent.views.picture import Standing
from ai_sci.experiment.base import ConfigError, printable


def show_session(folder: Path, as_object: bool) -> str:
    """What `ai-sci show` prints for a session. Raises ConfigError and JournalError."""
    state = read_state(folder)
    return json.dumps(as_json(folder, state), indent=2) if as_object else printable(_as_text(folder, state))


def as_json(folder: Path, state: State) -> dict[str, Any]:
    """The object of `show SESSION --json`, a contract."""
    assert state.started is not None
    return _session_object(folder, state.started.idea["Name"], Path(state.started.template).name, state)


def _session_object(folder: Path, idea: str, template: str, state: State) -> dict[str, Any]:
    """Like `as_json`, also for a session that has not begun: its `state` is empty."""
    sandbox, baseline = state.sandbox, state.baseline
    return {
        "session": str(folder),
        "idea": idea,
        "template": template,
        "origin": _origin(state),
        "status": state.status.value,
        "reason": state.ended.reason if state.ended else None,
        "model": state.model,
        "started": _clock(state.started_at) if state.started else None,
        "ended": _clock(state.ended_at) if state.ended_at is not None else None,
        "sandbox": {
            "tier": sandbox.tier if sandbox else None,
            "backend": sandbox.backend if sandbox else None,
            "controls": sandbox.controls if sandbox else {},
        },
        "baseline": {
            "metrics": baseline.metrics if baseline else {},
            "verdict": baseline.verdict if baseline else None,
            "reasons": baseline.reasons if baseline else [],
            "source": baseline.source if baseline else None,
        },
        "runs": [_run(record) for _, record in sorted(state.runs.items())],
        "llm": {
            "calls": state.spent.calls,
            "prompt_tokens": state.spent.prompt_tokens,
            "completion_tokens": state.spent.completion_tokens,
            "cached_tokens": state.spent.cached_tokens,
            "cost_usd": round(state.spent.cost, 6),
            "unpriced_calls": state.spent.unpriced_calls,
            "unsettled_cost_usd": round(state.spent.unsettled_cost, 6),
            "unsettled_tokens": state.spent.unsettled_tokens,
        },
        "gpu_hours": round(state.spent.gpu_seconds / 3600, 6),
        "budgets": {name: value for name, value in state.budgets.by_option.items() if value is not None},
        "edits": {"applied": state.edits_applied, "refused": state.edits_refused},
        "commits": state.commits,
        "plots": [f"plots/{name}" for name in state.plots],
        "notes": NOTES if (folder / NOTES).is_file() else None,
    }


def _origin(state: State) -> dict[str, Any] | None:
    """Where a replay or a branch comes from; what was spent there is not counted in `llm`."""
    started, before, compared = state.started, state.spent_before, state.compared
    if started is None or not started.origin:
        return None
    return {
        "session": started.origin,
        "from_turn": started.from_turn or None,
        "reuse": started.reuse,
        "reused": sum(bool(one.reused) for record in state.runs.values() for one in record.attempts),
        "spent_before": {"calls": before.calls, "cost_usd": round(before.cost, 6)} if before else None,
        "compared": dataclasses.asdict(compared) if compared else None,
    }


def _run(record: RunRecord) -> dict[str, Any]:
    closed = record.closed
    attempts = [
        {
            "attempt": one.attempt,
            "kind": one.attempt_kind,
            "verdict": one.verdict,
            "seconds": one.seconds,
            "reason": one.reason,
        }
        for one in record.attempts
    ]
    return {
        "run": record.run,
        "status": closed.status if closed else "running",
        "metrics": closed.metrics if closed else {},
        "commit": closed.commit if closed else None,
        "attempts": attempts,
    }


def _as_text(folder: Path, state: State) -> str:
    """A page for a terminal."""
    started, baseline = state.started, state.baseline
    assert started is not None
    lines = [
        f"{folder}",
        f"  {started.idea.get('Title') or started.idea['Name']}",
        f"  status    {state.status}{f': {state.ended.reason}' if state.ended else ''}",
        f"  template  {Path(started.template).name}   model {state.model}",
        f"  sandbox   {f'{state.sandbox.tier} ({state.sandbox.backend})' if state.sandbox else 'not started yet'}",
    ]
    if started.origin and started.from_turn:
        lines.append(f"  origin    {started.origin}, its history up to turn {started.from_turn}")
    elif started.origin:
        lines.append(f"  origin    {started.origin}, replayed")
    if state.compared is not None:
        lines += [f"            {line.strip()}" for line in comparison(state.compared).splitlines()]
    if baseline is not None:
        lines.append(f"  run 0     baseline ({baseline.source}) {baseline.verdict}: {metrics_line(baseline.metrics)}")
        lines += [f"            {reason}" for reason in baseline.reasons]
    for number, record in sorted(state.runs.items()):
        closed = record.closed
        tries = ", ".join(f"{one.attempt_kind} {one.verdict}" for one in record.attempts)
        detail = metrics_line(closed.metrics) if closed and closed.metrics else ""
        lines.append(f"  run {number}     {closed.status if closed else 'running'} [{tries}] {detail}".rstrip())
    spent = state.spent
    lines.append(
        f"  spent     {spent.calls} calls, {spent.prompt_tokens} tokens sent, {spent.completion_tokens} received, "
        f"${spent.cost:.4f}" + (f" ({spent.unpriced_calls} calls of unknown price)" if spent.unpriced_calls else "")
    )
    if spent.unsettled_cost or spent.unsettled_tokens:
        lines.append(
            f"            and up to ${spent.unsettled_cost:.4f}, {spent.unsettled_tokens} tokens, of calls whose "
            "end was never recorded"
        )
    if spent.gpu_seconds:
        lines.append(f"            {spent.gpu_seconds / 3600:.3g} GPU-hours")
    if state.spent_before is not None:
        before = state.spent_before
        lines.append(f"            and before the branch, not counted here: {before.calls} calls, ${before.cost:.4f}")
    lines.append(
        f"  edits     {state.edits_applied} blocks applied, {state.edits_refused} replies refused, "
        f"{state.edits_missing} without an edit"
    )
    if state.plots:
        lines.append(f"  plots     {', '.join(state.plots)}")
    if state.status.resumable and state.status is not Status.running:
        lines.append(f"  continue with: ai-sci resume {folder}")
    lines.append(f"  as a web page: ai-sci report {folder}")
    return "\n".join(lines)


def show_batch(folder: Path, as_object: bool) -> str:
    """What `ai-sci show` prints for a batch. Raises ConfigError without a journal, JournalError for a corrupt one."""
    batch = read_batch(folder)
    return json.dumps(_batch_object(folder, batch), indent=2) if as_object else _batch_text(folder, batch)


def _batch_object(folder: Path, batch: BatchState) -> dict[str, Any]:
    """The object of `show BATCH --json`, a contract."""
    return {
        "batch": str(folder),
        "status": batch.status.value,
        "reason": batch.ended.reason if batch.ended else None,
        "started": _clock(batch.started_at),
        "ended": _clock(batch.ended_at) if batch.ended_at is not None else None,
        "sessions": [_session_of_batch(folder / name, record) for name, record in batch.ideas.items()],
    }


def _session_of_batch(folder: Path, record: IdeaRecord) -> dict[str, Any]:
    """Like `show SESSION --json`; an unreadable session does not hide the others."""
    if (folder / JOURNAL).is_file():
        try:
            return as_json(folder, read_state(folder))
        except (ConfigError, JournalError) as error:
            return _without_state(folder, record, "unreadable", str(error))
    if record.left is not None:
        return _without_state(folder, record, "not_opened", record.left.reason)
    return _without_state(folder, record, "waiting", None)


def _without_state(folder: Path, record: IdeaRecord, status: str, reason: str | None) -> dict[str, Any]:
    idea = str(record.added.idea.get("Name") or folder.name)
    empty = _session_object(folder, idea, Path(record.added.template).name, State())
    return {**empty, "status": status, "reason": reason}


def _batch_text(folder: Path, batch: BatchState) -> str:
    """What `watch` shows for all ideas, and why the failed ones failed."""
    watched = Watch(folder)
    watched.look()
    picture = watched.picture(time.time())
    lines = [str(folder), plain(picture)]
    failed = [line for line in picture.lines if line.standing is Standing.failed]
    lines += [f"  {line.idea}: {line.status}: {line.doing}" for line in failed if line.doing]
    if batch.status.resumable and batch.status is not Status.running:
        lines.append(f"  continue with: ai-sci resume {folder}")
    return "\n".join(lines)


def _clock(at: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))
