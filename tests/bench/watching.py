"""What one look of `ai-sci watch` at a large batch costs."""

from __future__ import annotations

import io
import tempfile
import time
from pathlib import Path

from rich.console import Console

from ai_sci.agent.batch.events import BatchStarted, IdeaAdded
from ai_sci.agent.batch.state import BATCH_JOURNAL
from ai_sci.agent.journal.events import RunClosed, SessionEnded, SessionStarted, Told
from ai_sci.agent.journal.journal import Entry, Record, encode
from ai_sci.agent.session.session import JOURNAL
from ai_sci.agent.views.follow import Watch
from ai_sci.agent.views.frame import frame

IDEAS = 200


def frame_seconds() -> float:
    """CPU seconds of looking again at a batch of IDEAS ideas and drawing it, as is done once a second; best of five."""
    with tempfile.TemporaryDirectory() as name:
        watched = Watch(make_batch(Path(name) / "night"))
        watched.look()
        return min(_draw_again(watched) for _ in range(5))


def _draw_again(watched: Watch) -> float:
    began = time.process_time()
    watched.look()
    console = Console(width=120, force_terminal=False, file=io.StringIO())
    console.print(frame(watched.picture(4e9), 120, 40))
    return time.process_time() - began


def make_batch(folder: Path) -> Path:
    """A batch of IDEAS ideas: 120 done, 10 failed, 20 running, the others waiting."""
    folder.mkdir()
    lines = [Record(1.0, BatchStarted("night", {}, "local", 8, [], {"cost": 10.0}, "0"))]
    lines += [Record(1.0, IdeaAdded(f"idea_{n}", {"Name": f"idea_{n}"}, "/t")) for n in range(IDEAS)]
    (folder / BATCH_JOURNAL).write_bytes(b"".join(map(encode, lines)))
    started = _started()
    for number in range(150):
        (folder / f"idea_{number}").mkdir()
        events = [started, Told("task", "go " * 2000)]
        if number < 120:
            events += [RunClosed(1, "ok", {"loss": 1.0}, "c", "c", "h"), SessionEnded("completed", "1 run accepted")]
        elif number < 130:
            events.append(SessionEnded("gave_up", "no use\x1b[31m"))
        (folder / f"idea_{number}" / JOURNAL).write_bytes(b"".join(encode(Entry(2.0, event)) for event in events))
    return folder


def _started() -> SessionStarted:
    fields = {"session": "s", "idea": {"Name": "i"}, "template": "/t", "files": [], "brings_baseline": False}
    fields |= {"overrides": {}, "model": "m", "api_base": None, "max_runs": 3, "max_failures": 4, "limits": {}}
    fields |= {"python": None, "sandbox_choice": "auto", "allow_unsandboxed": False, "max_cost": None}
    return SessionStarted(**fields, max_time=None, commit="c", code_hash="h", version="0")
