"""A batch as a process of its own, as a user starts one, and what it leaves."""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from ai_sci.agent.batch.state import BatchState, read_batch
from ai_sci.agent.journal.events import AttemptFinished, RunClosed
from ai_sci.agent.journal.journal import read_journal
from ai_sci.agent.session.reading import read_state
from tests.end_to_end.command import Done, argv, environment

PATIENCE = 900.0  # seconds


class Batch:
    """`folder` is the batch's; `AI_SCI_SLOTS` is the test's own unless it says otherwise."""

    def __init__(self, place: Path, *args: str | Path, **env: str) -> None:
        self.folder = place / "runs" / "night"
        env = {"AI_SCI_SLOTS": str(place / "slots"), "OPENAI_API_KEY": "k", "AI_SCI_RETRY_WAIT": "0.02", **env}
        from tests.end_to_end.command import ROOT

        self._err = open(place / f"err.{time.monotonic_ns()}", "w+")  # noqa: SIM115  read when it has ended
        self.process = subprocess.Popen(
            argv(*args),
            cwd=place,
            env=environment(PYTHONPATH=str(ROOT), **env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self._err,
            text=True,
            start_new_session=True,
        )

    def ended(self) -> Done:
        out, _ = self.process.communicate(timeout=PATIENCE)
        self._err.seek(0)
        return Done(self.process.returncode, out, self._err.read())

    def until(self, holds: Callable[[BatchState], bool]) -> None:
        """Waits for something in the batch's state."""
        deadline = time.monotonic() + PATIENCE
        while not ((self.folder / "batch.jsonl").exists() and holds(read_batch(self.folder))):
            assert self.process.poll() is None and time.monotonic() < deadline, self.ended().err
            time.sleep(0.02)

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def children(self) -> list[int]:
        """Pids of the sessions at work."""
        return [one.pid for one in psutil.Process(self.process.pid).children()]

    def tree(self) -> list[psutil.Process]:
        return [psutil.Process(self.process.pid), *psutil.Process(self.process.pid).children(recursive=True)]


def gone(processes: list[psutil.Process], patience: float = 20.0) -> bool:
    return not psutil.wait_procs(processes, timeout=patience)[1]


def ledger(batch: Path) -> dict[str, Any]:
    """What came of each idea, as far as it must not depend on what happened to the processes."""
    found = {}
    for name in read_batch(batch).ideas:
        folder = batch / name
        if not (folder / "journal.jsonl").exists():
            found[name] = None
            continue
        state = read_state(folder)
        events = [entry.event for entry in read_journal(folder / "journal.jsonl")]
        attempts = [
            (one.run, one.attempt_kind, one.verdict, one.metrics)
            for one in events
            if isinstance(one, AttemptFinished) and one.verdict != "lost"
        ]
        closed = [(one.run, one.status, one.metrics) for one in events if isinstance(one, RunClosed)]
        spent = dataclasses.asdict(state.spent)
        spent = {key: spent[key] for key in ("calls", "prompt_tokens", "completion_tokens", "cost")}
        found[name] = (state.status.value, attempts, closed, spent)
    return found


def environment_of(pid: int) -> dict[str, str]:
    return dict(item.split("=", 1) for item in Path(f"/proc/{pid}/environ").read_text().split("\0") if "=" in item)


def is_alive(pid: int) -> bool:
    return os.path.exists(f"/proc/{pid}")
