"""`ai-sci show` of a batch: where each of its ideas stands, for people and (as JSON, a contract) for scripts."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from ai_sci.agent.batch import BatchState, IdeaRecord, read_batch
from ai_sci.agent.journal import JournalError, State, Status
from ai_sci.agent.session import JOURNAL, read_state
from ai_sci.agent.views.session_view import as_json, clock, session_object
from ai_sci.agent.views.watch_frame import plain
from ai_sci.agent.views.watch_picture import Standing
from ai_sci.agent.views.watching import Watch
from ai_sci.experiment.base import ConfigError


def show_batch(folder: Path, as_object: bool) -> str:
    """What `ai-sci show` prints of a batch. Raises ConfigError when its journal is none, JournalError when spoiled."""
    batch = read_batch(folder)
    return json.dumps(batch_object(folder, batch), indent=2) if as_object else _text(folder, batch)


def batch_object(folder: Path, batch: BatchState) -> dict[str, Any]:
    """The object that DESIGN fixes for `show BATCH --json`."""
    return {
        "batch": str(folder),
        "status": batch.status.value,
        "reason": batch.ended.reason if batch.ended else None,
        "started": clock(batch.started_at),
        "ended": clock(batch.ended_at) if batch.ended_at is not None else None,
        "sessions": [_session(folder / name, record) for name, record in batch.ideas.items()],
    }


def _session(folder: Path, record: IdeaRecord) -> dict[str, Any]:
    """As `show SESSION --json`; one that cannot be read keeps nobody from seeing the others."""
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
    empty = session_object(folder, idea, Path(record.added.template).name, State())
    return {**empty, "status": status, "reason": reason}


def _text(folder: Path, batch: BatchState) -> str:
    """What `watch` shows, of all ideas, and why ideas ended as they did."""
    watched = Watch(folder)
    watched.look()
    picture = watched.picture(time.time())
    lines = [str(folder), plain(picture)]
    failed = [line for line in picture.lines if line.standing is Standing.failed]
    lines += [f"  {line.idea}: {line.status}: {line.doing}" for line in failed if line.doing]
    if batch.status.resumable and batch.status is not Status.running:
        lines.append(f"  go on with: ai-sci resume {folder}")
    return "\n".join(lines)
