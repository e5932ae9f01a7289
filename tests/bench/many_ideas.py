"""How long a batch of many ideas takes, against the lower bound and against one worker for each GPU.

python -m tests.bench.many_ideas [IDEAS [RUNS]]
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ai_sci.agent.journal.events import AttemptFinished, BaselineMeasured
from ai_sci.agent.journal.journal import read_journal
from tests.batch.fleet import Fleet, Thinker, clocks, make_fleet, overlaps
from tests.end_to_end.command import argv, environment

GPUS = 8
THINKING = (0.5, 3.0)  # seconds
RUNNING = (1.0, 5.0)


def main(ideas: int = 40, runs: int = 5) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        fleet = make_fleet(folder, ideas, runs, THINKING, RUNNING)
        os.environ |= {"AI_SCI_CACHE": str(folder / "cache"), "AI_SCI_SLOTS": str(folder / "slots")}
        batch, ours = _timed(folder, fleet, _as_batch)
        peers, theirs = _timed(folder, fleet, _one_worker_a_gpu)
        bound = lower_bound(fleet, batch)
        found = list(clocks(batch))
        print(f"many ideas    {ideas} ideas of {runs} runs on {GPUS} pretend GPUs: {ours:.1f} s, the lower bound is")
        print(f"              {bound:.1f} s: {ours / bound:.2f} of it (bound 1.10); in the same run one worker a GPU")
        print(f"              took {theirs:.1f} s, {theirs / bound:.2f} of it")
        print(f"              {len(found)} runs, {len(overlaps(found))} of them beside another on the same GPU; one")
        print(f"              worker a GPU: {len(list(clocks(peers)))} runs")


def lower_bound(fleet: Fleet, batch: Path) -> float:
    """Seconds: all experiments on all GPUs without a gap, or the longest session alone, whichever is more."""
    seconds = 0.0
    for journal in batch.glob("*/journal.jsonl"):
        events = [entry.event for entry in read_journal(journal)]
        seconds += sum(one.seconds for one in events if isinstance(one, (AttemptFinished, BaselineMeasured)))
    return max(seconds / GPUS, max(work.longest for work in fleet.works.values()))


def _timed(folder: Path, fleet: Fleet, drive) -> tuple[Path, float]:
    with Thinker(fleet) as server:
        options = ["--model", "openai/thinker", "--api-base", server.url, "--max-runs", str(_runs(fleet))]
        started = time.monotonic()
        batch = drive(folder, fleet, options)
        return batch, time.monotonic() - started


def _runs(fleet: Fleet) -> int:
    return len(next(iter(fleet.works.values())).running)


def _as_batch(folder: Path, fleet: Fleet, options: list[str]) -> Path:
    gpus = ",".join(map(str, range(GPUS)))
    command = ["batch", "--ideas", "all", "--template", str(fleet.template), "--gpus", gpus, "--session", "batch"]
    log = folder / "batch.log"
    with log.open("w") as file:
        subprocess.run(
            argv(*command, *options), cwd=folder, env=environment(OPENAI_API_KEY="k"), stderr=file, stdout=file
        )
    return folder / "runs" / "batch"


def _one_worker_a_gpu(folder: Path, fleet: Fleet, options: list[str]) -> Path:
    """As AI-Scientist does it: each worker takes the next idea when its last one has ended, and keeps its GPU."""
    from ai_sci.agent.batch.preload import preload

    preload()
    names = sorted(fleet.works)
    queue_read, queue_write = os.pipe()
    os.write(queue_write, bytes(range(len(names))))
    os.close(queue_write)
    with _children() as pids:
        for gpu in range(GPUS):
            pid = os.fork()
            if pid == 0:
                _work(folder, fleet, options, gpu, names, queue_read)
            pids.append(pid)
    os.close(queue_read)
    return folder / "runs" / "workers"


@contextmanager
def _children() -> Iterator[list[int]]:
    pids: list[int] = []
    yield pids
    for pid in pids:
        os.waitpid(pid, 0)


def _work(folder: Path, fleet: Fleet, options: list[str], gpu: int, names: list[str], queue: int) -> None:
    from ai_sci.agent.commands.start import RunOptions, run
    from ai_sci.agent.session.screen import PlainScreen

    os.environ |= {"CUDA_VISIBLE_DEVICES": str(gpu), "OPENAI_API_KEY": "k"}
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 2)
    code = 1
    try:
        while taken := os.read(queue, 1):
            idea = names[taken[0]]
            run(
                RunOptions(
                    idea=idea,
                    template=str(fleet.template),
                    model=options[1],
                    api_base=options[3],
                    max_runs=int(options[5]),
                    runs_dir=folder / "runs" / "workers",
                    session=idea,
                ),
                PlainScreen(),
            )
        code = 0
    finally:
        os._exit(code)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
