"""How long a user waits: for the first request of `ai-sci run`, and for the first experiment of `ai-sci batch`.

python -m tests.bench.start [TIMES]

The template has its baseline, as on every run but the first of a template; the server answers at once. Wall seconds
depend on what else the machine does, so the CPU seconds of the command and of its children stand beside them.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

from ai_sci.agent.journal import AttemptStarted, read_journal
from tests.end_to_end.command import argv, environment
from tests.end_to_end.templates import good_session, make_template
from tests.servers.openai_strict import StrictServer

BASELINE = '{"toy": {"means": {"loss": 0.288, "steps": 10}}}'
PROMISED = {"run": 1.0, "batch": 2.0}  # seconds


@dataclass(frozen=True)
class Start:
    """Seconds from the start of the process; `cpu` is the command's and its children's until the first request."""

    request: float
    experiment: float
    cpu: float


def main(times: int = 5) -> None:
    for command, what in (("run", "request"), ("batch", "experiment")):
        starts = [measure(command) for _ in range(times)]
        best = min(starts, key=lambda start: getattr(start, what))
        name, cpu = f"{command} starts", min(start.cpu for start in starts)
        print(f"{name:13} the first {what} after {getattr(best, what):.2f} s wall (bound {PROMISED[command]:.2f}),")
        print(f"              best of {times}; {cpu:.2f} s CPU until the first request")


def measure(command: str) -> Start:
    """`run` or `batch`, with a live model whose server is here."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        template = make_template(folder / "template")
        (template / "run_0").mkdir()
        (template / "run_0" / "final_info.json").write_text(BASELINE)
        idea = ("--idea", "more_steps") if command == "run" else ("--ideas", "all", "--slots", "2")
        model = ("--model", "openai/strict", "--max-runs", "1", "--session", "s")
        seen: list[tuple[float, float]] = []
        replies = good_session()

        def answer(messages: list) -> str:
            seen.append((time.monotonic(), _cpu(process)))
            return replies[sum(message["role"] == "assistant" for message in messages)]

        with StrictServer(answer) as server:
            args = argv(command, *idea, "--template", template, *model, "--api-base", server.url)
            # Each place of its own: a lock or a cached answer of another process changes the figure.
            own = {"AI_SCI_CACHE": f"{name}/cache", "AI_SCI_SLOTS": f"{name}/slots", "OPENAI_API_KEY": "k"}
            wall, began = time.time(), time.monotonic()
            process = psutil.Popen(
                args, cwd=folder, env=environment(**own), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
            )
            _, err = process.communicate()
        if process.returncode != 0:
            sys.exit(err.decode())
        started = [
            entry.at
            for journal in (folder / "runs").glob("**/journal.jsonl")
            for entry in read_journal(journal)
            if isinstance(entry.event, AttemptStarted)
        ]
        return Start(seen[0][0] - began, min(started) - wall, seen[0][1])


def _cpu(process: psutil.Process) -> float:
    """Of the process, of its children that have ended, and of those at work."""
    times = process.cpu_times()
    cpu = times.user + times.system + times.children_user + times.children_system
    for child in process.children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            of_child = child.cpu_times()
            cpu += of_child.user + of_child.system
    return cpu


if __name__ == "__main__":
    os.environ.pop("AI_SCI_MODEL", None)
    main(*map(int, sys.argv[1:]))
