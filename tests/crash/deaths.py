"""Where a process kills itself: before, in the middle of, or after the n-th journal record, git command, rename, …

The product has no hook for this; the functions are wrapped here, in the process that is going to die, and SIGKILL is
what ends it: no `finally`, no `atexit`, no flush.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

# record: a line of the journal. commit: a `git commit`, git: any other command of git. rename: a file or folder put in
# place or set aside. gate: a gate of an attempt is opened, of the two that each has.
MOMENTS = {
    "record": ("torn", "unsynced", "after"),
    "commit": ("before", "during", "after"),
    "git": ("before", "during", "after"),
    "rename": ("before", "after"),
    "gate": ("before", "after"),
}


@dataclass(frozen=True)
class Death:
    """At the `nth` thing of this kind that the process does, counted from 1."""

    place: str
    nth: int
    moment: str

    def __str__(self) -> str:
        return f"{self.place} {self.nth} {self.moment}"


def die() -> NoReturn:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("still alive")


class Scene:
    """Counts what this process does, and dies where it was told to. `counts` is where the counts are written."""

    def __init__(self, death: Death | None, counts: Path) -> None:
        self.death = death
        self.counts = counts
        self.done = dict.fromkeys(MOMENTS, 0)

    def comes(self, place: str) -> str | None:
        """One more of its kind is about to happen: the moment to die at, if this is the one."""
        self.done[place] += 1
        if self.death is not None and (self.death.place, self.death.nth) == (place, self.done[place]):
            if self.death.moment == "before":
                die()
            return self.death.moment
        return None

    def write_counts(self) -> None:
        self.counts.write_text("".join(f"{place} {count}\n" for place, count in self.done.items()))


def read_counts(file: Path) -> dict[str, int]:
    return {place: int(count) for place, count in map(str.split, file.read_text().splitlines())}


def set_up(scene: Scene, calls: Path) -> None:
    """Wraps what is counted. Every reply that a model gives is noted in `calls` before anybody can use it."""
    _wrap_journal(scene)
    _wrap_git(scene)
    _wrap_renames(scene)
    _wrap_gates(scene)
    _note_calls(calls)


def _wrap_journal(scene: Scene) -> None:
    from ai_sci.agent.journal import journal

    append = journal.Journal.append

    def dying_append(self: Any, event: Any) -> Any:
        moment = scene.comes("record")
        if moment in ("torn", "unsynced"):
            line = journal.encode(journal.Entry(self._clock(), event))
            os.write(self._file.fileno(), line[: len(line) // 2] if moment == "torn" else line)
            die()
        entry = append(self, event)
        if moment == "after":
            die()
        return entry

    journal.Journal.append = dying_append  # type: ignore[method-assign]


def _wrap_git(scene: Scene) -> None:
    import subprocess

    from ai_sci.agent.session import git_log

    run_git, popen = git_log.run_git, subprocess.Popen

    def dying_git(folder: Path, *args: str, **kwargs: Any) -> bytes:
        moment = scene.comes("commit" if args[0] == "commit" else "git")
        if moment == "during":

            def dying_popen(*args: Any, **kwargs: Any) -> NoReturn:
                popen(*args, **kwargs)
                die()

            subprocess.Popen = dying_popen  # type: ignore[assignment,misc]
        result = run_git(folder, *args, **kwargs)
        if moment == "after":
            die()
        return result

    git_log.run_git = dying_git  # type: ignore[assignment]


def _wrap_renames(scene: Scene) -> None:
    def dying(rename: Callable[[Path, Any], Path]) -> Callable[[Path, Any], Path]:
        def wrapper(self: Path, target: Any) -> Path:
            moment = scene.comes("rename")
            result = rename(self, target)
            if moment == "after":
                die()
            return result

        return wrapper

    Path.rename = dying(Path.rename)  # type: ignore[method-assign]
    Path.replace = dying(Path.replace)  # type: ignore[method-assign]


def _wrap_gates(scene: Scene) -> None:
    from ai_sci.experiment.sandbox import gates

    go = gates.go

    def dying_go(gate: Any) -> None:
        moment = scene.comes("gate")
        go(gate)
        if moment == "after":
            die()

    gates.go = dying_go


def _note_calls(calls: Path) -> None:
    from ai_sci.agent.models import adapter

    for model_type in (adapter.ScriptedModel, adapter.LiveModel):
        model_type.complete = _noting(model_type.complete, calls)  # type: ignore[method-assign]


def _noting(complete: Callable[..., Any], calls: Path) -> Callable[..., Any]:
    def wrapper(self: Any, *args: Any, **kwargs: Any) -> Any:
        reply = complete(self, *args, **kwargs)
        with calls.open("ab", buffering=0) as file:
            file.write(b"%d\n" % kwargs["turn"])
        return reply

    return wrapper
