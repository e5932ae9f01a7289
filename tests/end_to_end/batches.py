"""A batch whose journal is written by hand, with sessions that the real command makes in it."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ai_sci.agent.batch.events import (
    BATCH_EVENT_TYPES,
    BatchEnded,
    BatchEvent,
    BatchStarted,
    IdeaAdded,
    SessionLaunched,
    SessionLeft,
)
from ai_sci.agent.batch.state import BATCH_JOURNAL
from ai_sci.agent.journal.journal import Records
from ai_sci.agent.session.session import locked
from ai_sci.experiment.base.process_tree import identify
from tests.end_to_end.command import ROOT, Done, ai_sci, argv, environment, shown
from tests.end_to_end.templates import IDEA


class HandMadeBatch:
    """`folder` is the batch's; sessions are folders below it, and have the idea's name."""

    def __init__(self, folder: Path, template: Path | str, cache: str, slots: int = 2, **budgets: float | None) -> None:
        folder.mkdir(parents=True)
        self.folder = folder
        self._template = template
        self._cache = cache
        self.journal: Records[BatchEvent] = Records(folder / BATCH_JOURNAL, BATCH_EVENT_TYPES)
        self.record(BatchStarted(folder.name, {}, "local", slots, [], budgets, "0"))

    def record(self, event: BatchEvent) -> None:
        self.journal.append(event)

    def add(self, *names: str, **more: Any) -> None:
        """Ideas that wait; `more` are further keys of the idea."""
        for name in names:
            idea = {**IDEA, "Name": name, **more}
            (self.folder / f"{name}.json").write_text(json.dumps(idea))
            self.record(IdeaAdded(name, idea, str(self._template)))

    def arguments(self, name: str, model: str | None = None, *options: str) -> list[str]:
        """Of `ai-sci` for this idea's session."""
        chosen = ["--model", model] if model else []
        idea = ["--idea", f"{self.folder / name}.json", "--template", str(self._template)]
        return ["run", *idea, "--runs-dir", str(self.folder), "--session", name, *chosen, *options]

    def launched(self, name: str, pid: int | None = None) -> None:
        process = identify(pid or os.getpid())
        self.record(SessionLaunched(name, process.pid, process.started, process.boot_id))

    def run(self, name: str, model: str | None = None, *options: str) -> Done:
        """The idea's session, to its end."""
        self.launched(name)
        done = ai_sci(*self.arguments(name, model, *options), cwd=self.folder, AI_SCI_CACHE=self._cache)
        self.left(name, done.code)
        return done

    def begin(self, name: str, model: str | None = None, *options: str) -> subprocess.Popen[bytes]:
        """The idea's session, left running; give its end to `left`."""
        process = subprocess.Popen(
            argv(*self.arguments(name, model, *options)),
            cwd=self.folder,
            env=environment(PYTHONPATH=str(ROOT), AI_SCI_CACHE=self._cache),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=(self.folder / f"{name}.err").open("wb"),
        )
        self.launched(name, process.pid)
        return process

    def left(self, name: str, code: int) -> None:
        opened = (self.folder / name).is_dir()
        at_end = shown(self.folder / name) if opened else {"status": "", "reason": "it could not be opened"}
        self.record(SessionLeft(name, at_end["status"], at_end["reason"] or "", code))

    def end(self, status: str = "completed") -> None:
        self.record(BatchEnded(status, ""))

    @contextmanager
    def driven(self) -> Iterator[None]:
        """As long as a process works on the batch, which holds its lock."""
        with locked(self.folder):
            yield
