"""Faults of the disk: full, read-only, or refusing half of a line."""

from __future__ import annotations

import os
import signal
import time

from tests.gauntlet.case import Case, Ends
from tests.gauntlet.machine import interrupted
from tests.gauntlet.machine_hooks import (
    cannot_mount,
    fill,
    filler,
    remount,
    resume_is_refused,
    runs_on_a_small_disk,
    signals,
    wait_for_output,
)
from tests.gauntlet.stage import Stage
from tests.gauntlet.story import SECOND, faulty_run, story
from tests.servers.answers import Answer
from tests.servers.loopback import Exchange
from tests.servers.openai_strict import StrictServer


def _fill_at_begun(stage: Stage) -> None:
    wait_for_output(stage, "begun")
    fill(stage)


def _fill_while_the_model_thinks(stage: Stage) -> None:
    assert stage.server is not None
    deadline = time.monotonic() + 30
    while len(stage.server.requests) < 2 and time.monotonic() < deadline:
        time.sleep(0.02)
    fill(stage)


def _thinks_for_three_seconds(exchange: Exchange) -> None:
    """Its reply is longer than the room that the last page of the journal can have left."""
    time.sleep(3)
    exchange.give(Answer("I think.\n" * 1_000 + SECOND))


def _empty_again(stage: Stage) -> None:
    filler(stage).unlink()


def _full_from_the_start(stage: Stage) -> None:
    runs_on_a_small_disk(stage)
    fill(stage)


def _nearly_full_from_the_start(stage: Stage) -> None:
    runs_on_a_small_disk(stage)
    fill(stage, leave=50_000_000)


# Root may write whatever a folder's mode says, and only root can mount a disk.
_IS_ROOT = os.geteuid() == 0


def _cannot_be_read_only() -> str:
    return cannot_mount() if _IS_ROOT else ""


def _read_only(stage: Stage) -> None:
    if _IS_ROOT:
        runs_on_a_small_disk(stage)
        remount(stage, "ro")
    else:
        stage.runs_dir.mkdir(mode=0o555)


def _refused_while_read_only(stage: Stage) -> None:
    remount(stage, "ro")
    resume_is_refused(stage, 2, r"cannot write in .*: Read-only file system")
    remount(stage, "rw")


def _limit_of_file_size(stage: Stage) -> None:
    """The journal grows past it with the second reply, and nothing else does."""
    stage.prefix = ["prlimit", "--fsize=100000:unlimited"]


def _no_limit(stage: Stage) -> None:
    stage.prefix = []


CASES = [
    interrupted(
        "disk full while an attempt runs",
        _fill_at_begun,
        prepare=runs_on_a_small_disk,
        mend=_empty_again,
        needs=cannot_mount,
        says=r"the disk that holds .* is full: only \S+ left; make room there",
    ),
    Case(
        "disk full while journalling",
        server=StrictServer,
        faults=[None, _thinks_for_three_seconds],
        status="interrupted",
        accepted=1,
        prepare=runs_on_a_small_disk,
        act=_fill_while_the_model_thinks,
        mend=_empty_again,
        resumed=Ends(),
        needs=cannot_mount,
        says=r"cannot write .*journal\.jsonl: No space left on device.*ai-sci resume",
    ),
    Case(
        "the experiment fills the disk of the machine",
        faulty_run("import time\n(out_dir / 'big').write_bytes(b'x' * 40_000_000)\ntime.sleep(5)"),
        ("out_of_disk",),
        prepare=runs_on_a_small_disk,
        needs=cannot_mount,
        says=r"the disk that holds .* is full: only \S+ left after the experiment wrote",
    ),
    Case(
        "disk full before the session",
        status=None,
        prepare=_full_from_the_start,
        needs=cannot_mount,
        says=r"cannot write .*: No space left on device\. Choose another --runs-dir",
    ),
    Case(
        "disk nearly full",
        status="interrupted",
        accepted=0,
        prepare=_nearly_full_from_the_start,
        mend=_empty_again,
        resumed=Ends(verdicts=("lost",)),
        needs=cannot_mount,
        says=r"the disk that holds .* is full: only \S+ left",
    ),
    Case(
        "the disk refuses half of a journal line",
        story("I think.\n" * 15_000 + SECOND, repair=None),
        status="interrupted",
        accepted=1,
        prepare=_limit_of_file_size,
        mend=_no_limit,
        resumed=Ends(),
        says=r"cannot write .*journal\.jsonl: File too large",
        quick=True,
    ),
    Case(
        "runs folder read-only",
        status=None,
        prepare=_read_only,
        needs=_cannot_be_read_only,
        says=r"cannot write in .*: (Read-only file system|Permission denied)\. Choose another --runs-dir",
        quick=True,
    ),
    interrupted(
        "session folder read-only at resume",
        signals(signal.SIGINT),
        prepare=runs_on_a_small_disk,
        mend=_refused_while_read_only,
        needs=cannot_mount,
    ),
]
