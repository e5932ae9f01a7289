"""Kills a session at one point or more, resumes it each time, and holds the outcome against the uninterrupted one."""

from __future__ import annotations

import os
import random
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.crash.compare import Session, count_calls, differences, read_session
from tests.crash.deaths import MOMENTS, Death, read_counts
from tests.crash.launcher import Ended, Launcher
from tests.crash.stories import Story
from tests.end_to_end.templates import make_template, write_script
from tests.servers.loopback import Messages
from tests.servers.openai_strict import StrictServer

GRACE = 5.0  # seconds that the kernel and the reaper get to end what a killed harness leaves behind
MOST_RESUMES = 6

Kill = Death | float  # a place, or seconds after the start


@dataclass
class Stage:
    """A story, ready to be played any number of times. `server` counts the calls of a story over the wire."""

    story: Story
    folder: Path
    launcher: Launcher
    server: StrictServer | None
    played: int = 0
    deaths: int = 0  # in the last play
    path: str = os.environ["PATH"]

    def __post_init__(self) -> None:
        self.folder.mkdir(exist_ok=True)
        make_template(self.folder / "template", self.story.toml, **self.story.files)
        self.model = write_script(self.folder / "script", self.story.replies)
        self.folder.joinpath("tmp").mkdir()
        if not self.story.measured:
            self.play([])  # fills the cache of baselines
        self.whole, ended = self.play([])
        self.seconds = ended.seconds
        self.counts = read_counts(self.trial / "counts")
        assert self.whole.lost == self.whole.resumed == 0

    @property
    def trial(self) -> Path:
        return self.folder / f"trial{self.played}"

    def play(self, kills: Sequence[Kill]) -> tuple[Session, Ended]:
        """Plays the story; the n-th process is killed by the n-th of `kills`. Returns the session and its last end."""
        self.played += 1
        trial = self.trial
        trial.mkdir()
        session = trial / "runs" / "s"
        if self.server is not None:
            self.server.requests.clear()
        waiting = list(kills)
        self.deaths = 0
        for _ in range(MOST_RESUMES):
            kill = waiting.pop(0) if waiting else None
            args = ["resume", session] if session.exists() else self.opening()
            ended = self.launcher.run(
                args,
                trial,
                self._environment(),
                death=kill if isinstance(kill, Death) else None,
                kill_after=kill if isinstance(kill, float) else None,
            )
            assert not ended.hung, f"no end:\n{ended.err}"
            if not ended.killed:
                break
            self.deaths += 1
        assert not ended.killed and not waiting, f"{len(waiting)} kills never happened"
        # A place is there in every play; an instant may come after the end, and a later death after the last git.
        assert self.deaths or not isinstance(next(iter(kills), None), Death), "the kill never happened"
        assert "Traceback (most recent call last)" not in _of_the_harness(ended.err), ended.err
        assert ended.code in (0, 1), ended.err
        left = survivors(trial)
        assert not left, f"still alive: {left}"
        return read_session(session), ended

    def opening(self) -> list[str | Path]:
        model: list[str] = ["--model", self.model]
        if self.server is not None:
            model = ["--model", "openai/strict", "--api-base", self.server.url]
        return [
            *("run", "--template", self.folder / "template", "--idea", "more_steps", "--session", "s"),
            *(*model, *self.story.options),
        ]

    def _environment(self) -> dict[str, str]:
        cache = self.trial / "cache" if self.story.measured else self.folder / "cache"
        return {
            "AI_SCI_CACHE": str(cache),
            "AI_SCI_RETRY_WAIT": "0.02",
            "PATH": self.path,
            "TMPDIR": str(self.folder / "tmp"),
            "OPENAI_API_KEY": "sk-of-the-loopback-server",
        }

    def calls(self) -> int:
        if self.server is not None:
            return sum(request.status == 200 for request in self.server.requests)
        return count_calls(self.trial / "calls").total()

    # -- a trial --------------------------------------------------------------------------------------------------

    def compare(self, kills: Sequence[Kill]) -> list[str]:
        """What is different after these kills; empty when nothing is. A trial without a difference is removed."""
        try:
            session, _ = self.play(kills)
        except AssertionError as error:
            return [str(error)]
        found = differences(self.whole.picture, session.picture)
        extra = self.calls() - session.replies
        if not 0 <= extra <= sum(map(may_lose_a_reply, kills)):
            found.append(f"{self.calls()} calls for {session.replies} replies")
        if session.lost > len(kills):
            found.append(f"{session.lost} attempts were lost in {len(kills)} kills")
        found += self._litter()
        if not found:
            shutil.rmtree(self.trial)
        return found

    def _litter(self) -> list[str]:
        """Killed before its gate, an attempt without a sandbox leaves an empty temporary folder, and a harness that was
        trying its sandbox the folder for that: this is all."""
        left = list(self.folder.joinpath("tmp").iterdir())
        full = [path.name for path in left if not path.is_dir() or any(path.iterdir())]
        full = [name for name in full if not name.startswith("ai-sci-probe-")]
        for path in left:
            shutil.rmtree(path)
        return [f"left in the temporary folder: {full}"] if full else []

    # -- points ---------------------------------------------------------------------------------------------------

    def boundaries(self) -> list[list[Kill]]:
        """After every line of the journal."""
        return [[Death("record", nth, "after")] for nth in range(1, self.counts["record"] + 1)]

    def points(self) -> list[list[Kill]]:
        """Everything that can be counted, at every moment."""
        return [
            [Death(place, nth, moment)]
            for place, count in self.counts.items()
            for nth in range(1, count + 1)
            for moment in MOMENTS[place]
        ]

    def twice(self, rng: random.Random, count: int) -> list[list[Kill]]:
        """The resumed process dies too, early: while it rewinds, or soon after."""
        early: list[Callable[[], Death]] = [
            lambda: Death("git", rng.randint(1, 6), rng.choice(MOMENTS["git"])),
            lambda: Death("record", rng.randint(1, 5), rng.choice(MOMENTS["record"])),
        ]
        firsts = [death for [death] in self.points() if isinstance(death, Death)]
        firsts = [death for death in firsts if death.nth < 0.7 * self.counts[death.place] and death.nth > 2]
        return [[rng.choice(firsts), *(rng.choice(early)() for _ in range(rng.randint(1, 3)))] for _ in range(count)]

    def instants(self, rng: random.Random, count: int) -> list[list[Kill]]:
        """Any time, whatever the process is doing."""
        return [[rng.uniform(0.02, self.seconds * 0.95)] for _ in range(count)]


def may_lose_a_reply(kill: Kill) -> bool:
    """Whether this kill may fall between a reply and its record."""
    return not isinstance(kill, Death) or (kill.place == "record" and kill.moment == "torn")


def answer_by_turn(replies: Sequence[str]) -> Callable[[Messages], str]:
    """For a server that may be asked the same again: which reply is next can be seen from the request."""
    return lambda messages: replies[sum(message["role"] == "assistant" for message in messages)]


def survivors(folder: Path) -> list[str]:
    """Processes that work in `folder` or name it, once they have had a moment to end."""
    deadline = time.monotonic() + GRACE
    while (alive := _alive(folder)) and time.monotonic() < deadline:
        time.sleep(0.02)
    return alive


def _alive(folder: Path) -> list[str]:
    mark = str(folder).encode()
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            command = Path("/proc", pid, "cmdline").read_bytes()
            place = os.readlink(f"/proc/{pid}/cwd").encode()
        except OSError:  # ended, or somebody else's
            continue
        if mark in command or place.startswith(mark):
            found.append(f"{pid}: {command.replace(bytes(1), b' ').decode(errors='replace')}")
    return found


def _of_the_harness(err: str) -> str:
    """stderr without the experiments' own lines, which are indented."""
    return "\n".join(line for line in err.splitlines() if not line.startswith("    "))
