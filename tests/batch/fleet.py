"""Many ideas for a batch: a template whose experiments sleep and note their clocks, and a model that thinks first."""

from __future__ import annotations

import json
import random
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.end_to_end.templates import block, write_script
from tests.servers.loopback import Recorded
from tests.servers.openai_strict import StrictServer

EXPERIMENT = """\
import json, os, sys, time
began = time.time()
out_dir = sys.argv[1].removeprefix("--out_dir=")
os.makedirs(out_dir, exist_ok=True)
SECONDS = 0.0
time.sleep(SECONDS)
gpus = os.environ.get("CUDA_VISIBLE_DEVICES", "")
with open(out_dir + "/final_info.json", "w") as file:
    json.dump({"score": 1 + SECONDS}, file)
with open(out_dir + "/clock.json", "w") as file:
    json.dump({"began": began, "ended": time.time(), "gpus": gpus, "cpus": sorted(os.sched_getaffinity(0))}, file)
"""
TOML = '[experiment]\neditable = ["experiment.py"]\nmetric = "score"\n[limits]\ntime = "60s"\nmemory = "512M"\n'


@dataclass(frozen=True)
class Work:
    """What one idea takes, run by run, in seconds."""

    thinking: tuple[float, ...]
    running: tuple[float, ...]

    @property
    def longest(self) -> float:
        return sum(self.thinking) + sum(self.running)


@dataclass(frozen=True)
class Fleet:
    template: Path
    works: dict[str, Work]  # by the idea's name

    def reply(self, messages: list[dict[str, str]]) -> str:
        """What the model says in this conversation."""
        name = re.search(r"idea_\d+", messages[0]["content"])
        assert name is not None
        turn = sum(message["role"] == "assistant" for message in messages)
        return edit(self.works[name[0]], turn)

    def thinking(self, messages: list[dict[str, str]]) -> float:
        """Seconds."""
        name = re.search(r"idea_\d+", messages[0]["content"])
        assert name is not None
        return self.works[name[0]].thinking[sum(message["role"] == "assistant" for message in messages)]

    def scripts(self, folder: Path) -> None:
        """The same replies as scripted sessions of the template, played at once."""
        for name, work in self.works.items():
            edits = [edit(work, turn) for turn in range(len(work.running))]
            write_script(folder / name, [*edits, "That is all.\n\nALL_COMPLETED\n"])


class Thinker(StrictServer):
    """A strict server whose model thinks as long as it is written before it answers; many may ask at once."""

    def __init__(self, fleet: Fleet) -> None:
        super().__init__(fleet.reply)
        self.fleet = fleet

    def think(self, request: Recorded) -> None:
        time.sleep(self.fleet.thinking(request.messages))


def edit(work: Work, turn: int) -> str:
    before = work.running[turn - 1] if turn else 0.0
    return f"Run {turn + 1}.\n\n" + block(f"SECONDS = {before}", f"SECONDS = {work.running[turn]}")


def make_fleet(
    folder: Path,
    ideas: int,
    runs: int,
    thinking: tuple[float, float] = (0.0, 0.0),
    running: tuple[float, float] = (0.0, 0.0),
    seed: int = 0,
    toml: str = TOML,
    name: str = "fleet",
) -> Fleet:
    """Ideas `idea_000` …, each with so many runs; times are uniform between these bounds."""
    chance = random.Random(seed)
    template = folder / name
    template.mkdir(parents=True)
    works = {}
    for index in range(ideas):
        times = [tuple(round(chance.uniform(*bounds), 3) for _ in range(runs)) for bounds in (thinking, running)]
        # An edit that changes nothing is none.
        works[f"idea_{index:03d}"] = Work(times[0], tuple(t + 0.0001 * (run + 1) for run, t in enumerate(times[1])))
    listed = [{"Name": one, "Title": one, "Experiment": f"Try {one}."} for one in works]
    (template / "experiment.py").write_text(EXPERIMENT)
    (template / "ideas.json").write_text(json.dumps(listed, indent=1))
    (template / "template.toml").write_text(toml)
    fleet = Fleet(template, works)
    fleet.scripts(template / "scripted")
    return fleet


@dataclass(frozen=True)
class Clock:
    """What an accepted run says of itself: seconds since the epoch."""

    session: str
    began: float
    ended: float
    gpus: str
    cpus: tuple[int, ...]


def clocks(batch: Path) -> Iterator[Clock]:
    """Of every execution: accepted runs, and those that were set aside."""
    for pattern in ("*/run_[1-9]*/clock.json", "*/attempts/*/out/clock.json"):
        for path in sorted(batch.glob(pattern)):
            said = json.loads(path.read_text())
            session = path.relative_to(batch).parts[0]
            yield Clock(session, said["began"], said["ended"], said["gpus"], tuple(said["cpus"]))


def overlaps(found: list[Clock]) -> list[tuple[Clock, Clock]]:
    """Pairs that were on the same GPU at the same time."""
    pairs = []
    for gpu in {gpu for clock in found for gpu in clock.gpus.split(",") if gpu}:
        there = sorted((clock for clock in found if gpu in clock.gpus.split(",")), key=lambda clock: clock.began)
        pairs += [(one, other) for one, other in zip(there, there[1:]) if other.began < one.ended]
    return pairs
