"""What must be the same in a session that was killed and resumed as in one that was left alone, and what may differ.

May differ, and is left out:
- lost attempts: their three records, their commit, their folder under `attempts/`. Later attempts of that run have
  higher numbers, which also stand in commit messages, folder names and in "the same as that of run 1, attempt 2";
- records of the resuming itself (`resumed`, `sandbox_found`), and the ones that say a request began or failed;
- clocks, seconds, pids, commit hashes (they hold dates), addresses in a dump of threads;
- tokens that the provider's cache held, which are more when a reply was lost and asked for again, and what is set
  aside for a call that nobody saw the end of;
- whether a baseline that was measured just before the kill is "measured" or "cached".
Everything else is compared byte for byte.
"""

from __future__ import annotations

import dataclasses
import re
import subprocess
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ai_sci.agent.journal.events import (
    AttemptFinished,
    AttemptStarted,
    CallFailed,
    CallStarted,
    Event,
    OutcomeCommitted,
    Replied,
    Resumed,
    SandboxFound,
    SessionStarted,
)
from ai_sci.agent.journal.journal import read_journal
from ai_sci.agent.views.show import as_json, read_state

_VOLATILE = {
    "commit",
    "base_commit",
    "pid",
    "process_started",
    "boot_id",
    "seconds",
    "waited",
    "attempt",
    "source",
    "cached_tokens",
}
_NUMBERS = [
    (re.compile(r"\battempt \d+"), "attempt N"),
    (re.compile(r"\brun_(\d+)\.\d+"), r"run_\1.N"),
    (re.compile(r"^Attempt: \d+$", re.MULTILINE), "Attempt: N"),
    (re.compile(r"\b\d+(\.\d+)? s\b"), "N s"),
    (re.compile(r"0x[0-9a-f]{8,}"), "0xN"),
    (re.compile(r"\b(measured|cached)\)"), "measured or cached)"),
]


@dataclass(frozen=True)
class Picture:
    """One finished session, without what may differ."""

    status: str
    story: list[tuple[str, dict[str, Any]]]  # the journal
    ledger: list[dict[str, Any]]  # `show --json`, runs
    counters: dict[str, Any]
    tree: dict[str, str]  # path -> blob, of the last commit, without attempts/
    history: list[str]  # each commit's message and what it changed outside attempts/
    logs: list[tuple[str, str]]  # what each attempt and drawing of plots printed, in order
    files: dict[str, bytes]  # run folders and plots on disk, what git does not track too


@dataclass(frozen=True)
class Session:
    picture: Picture
    replies: int
    lost: int
    resumed: int
    commits: int


def read_session(folder: Path) -> Session:
    """Reads and checks what holds for every session that has ended: the journal, git and the folder agree."""
    events = [entry.event for entry in read_journal(folder / "journal.jsonl")]
    state = read_state(folder)
    shown = as_json(folder, state)
    head = _git(folder, "rev-parse", "HEAD").strip()
    assert head == state.head, "HEAD is a commit that the journal does not know"
    assert int(_git(folder, "rev-list", "--count", "HEAD")) == state.commits, "a commit is not in the journal"
    assert _git(folder, "status", "--porcelain", "-uno") == "", "the folder is not what the last commit says"
    _git(folder, "fsck", "--strict", "--no-dangling", "--no-progress")
    lost = [event for event in events if isinstance(event, AttemptFinished) and event.verdict == "lost"]
    replies = [event for event in events if isinstance(event, Replied)]
    by_chance = ("cached_tokens", "unsettled_cost_usd", "unsettled_tokens")
    llm = {name: value for name, value in shown["llm"].items() if name not in by_chance}
    assert llm["calls"] == len(replies)
    assert llm["prompt_tokens"] == sum(reply.prompt_tokens for reply in replies)
    picture = Picture(
        status=shown["status"],
        story=_story(events),
        ledger=[_without_lost(run) for run in shown["runs"]],
        counters={
            "llm": llm,
            "edits": shown["edits"],
            "failures": state.failures,
            "barren runs": state.runs_without_attempt,
            "executed": sorted(state.executed),
            "plots": shown["plots"],
            "notes": shown["notes"],
            "commits": state.commits - len(lost),  # a lost attempt has a commit of its own
        },
        tree=_tree(folder),
        history=_history(folder),
        logs=_logs(folder, events),
        files=_files(folder),
    )
    resumed = sum(isinstance(event, Resumed) for event in events)
    return Session(picture, len(replies), len(lost), resumed, state.commits)


def differences(one: Picture, other: Picture) -> list[str]:
    """One line for each part that is not the same, with the first place where it is not."""
    return [
        f"{field.name}: {_first_difference(getattr(one, field.name), getattr(other, field.name))}"
        for field in dataclasses.fields(Picture)
        if getattr(one, field.name) != getattr(other, field.name)
    ]


def _first_difference(one: Any, other: Any) -> str:
    if isinstance(one, dict) and isinstance(other, dict):
        for key in [*one, *other]:
            if one.get(key) != other.get(key):
                return f"{key}: {_first_difference(one.get(key), other.get(key))}"
    if isinstance(one, (list, tuple)) and isinstance(other, (list, tuple)):
        for index in range(max(len(one), len(other))):
            ours, theirs = one[index : index + 1], other[index : index + 1]
            if ours != theirs:
                if not ours or not theirs:
                    return f"[{index}] {ours!r:.400} != {theirs!r:.400}"
                return f"[{index}] {_first_difference(ours[0], theirs[0])}"
    return f"{one!r:.400} != {other!r:.400}"


def plain(text: str) -> str:
    """Without the numbers that may differ."""
    for pattern, replacement in _NUMBERS:
        text = pattern.sub(replacement, text)
    return text


def _story(events: Sequence[Event]) -> list[tuple[str, dict[str, Any]]]:
    """Everything that the journal tells, without lost attempts and clocks."""
    lost = {(e.run, e.attempt) for e in events if isinstance(e, AttemptFinished) and e.verdict == "lost"}
    told = []
    for event in events:
        if isinstance(event, (Resumed, SandboxFound, CallStarted, CallFailed)):
            continue
        of_attempt = isinstance(event, (AttemptStarted, AttemptFinished, OutcomeCommitted))
        if of_attempt and (event.run, event.attempt) in lost:
            continue
        told.append((event.kind, _plain_fields(event)))
    return told


def _plain_fields(event: Event) -> dict[str, Any]:
    volatile = _VOLATILE | (
        {"template", "session", "model", "api_base"} if isinstance(event, SessionStarted) else set()
    )
    fields = {f.name: getattr(event, f.name) for f in dataclasses.fields(event) if f.name not in volatile}
    if isinstance(event, Replied):
        fields.pop("model")  # of a script: its folder
    return {name: plain(value) if isinstance(value, str) else _plain_list(value) for name, value in fields.items()}


def _plain_list(value: Any) -> Any:
    return [plain(one) if isinstance(one, str) else one for one in value] if isinstance(value, list) else value


def _without_lost(run: dict[str, Any]) -> dict[str, Any]:
    attempts = [
        (one["kind"], one["verdict"], plain(one["reason"])) for one in run["attempts"] if one["verdict"] != "lost"
    ]
    return {"run": run["run"], "status": run["status"], "metrics": run["metrics"], "attempts": attempts}


def _tree(folder: Path) -> dict[str, str]:
    lines = _git(folder, "ls-tree", "-r", "-z", "HEAD").split("\0")
    entries = [line.split("\t") for line in lines if line]
    return {path: what for what, path in entries if not path.startswith("attempts/")}


def _history(folder: Path) -> list[str]:
    """Lost attempts left out: they add nothing but their own log."""
    form = ("log", "--reverse", "--raw", "--no-abbrev", "--no-renames", "--root", "--format=%x00%B")
    commits = _git(folder, *form).split("\0")[1:]
    told = []
    for commit in commits:
        lines = [line for line in commit.splitlines() if not (line.startswith(":") and "\tattempts/" in line)]
        text = plain("\n".join(line for line in lines if line))
        if "\nVerdict: lost" in text:
            assert not any(line.startswith(":") for line in lines), f"a lost attempt changed the code:\n{commit}"
            continue
        told.append(text)
    return told


def _logs(folder: Path, events: Sequence[Event]) -> list[tuple[str, str]]:
    """The logs as they are committed, byte for byte but for addresses and times."""
    names = [
        (
            f"attempts/run_{event.run}.{event.attempt}/output.log",
            f"run {event.run} {event.attempt_kind} {event.verdict}",
        )
        for event in events
        if isinstance(event, AttemptFinished) and event.verdict != "lost"
    ]
    tracked = set(_git(folder, "ls-files", "-z").split("\0"))
    plots = sorted(name for name in tracked if re.fullmatch(r"attempts/plots\.\d+/output\.log", name))
    names += [(name, name) for name in plots]
    texts = [(title, plain((folder / name).read_text()) if name in tracked else "not tracked") for name, title in names]
    return [(title, text.replace(str(folder), "SESSION")) for title, text in texts]


def _files(folder: Path) -> dict[str, bytes]:
    """Run folders and plots as they lie there, and the names of whatever else is in the session's folder."""
    found = {
        str(path.relative_to(folder)): path.read_bytes()
        for top in sorted([*folder.glob("run_*"), folder / "plots"])
        for path in sorted(top.rglob("*"))
        if path.is_file()
    }
    return {**found, **{path.name: b"" for path in folder.iterdir()}}


def count_calls(file: Path) -> Counter[int]:
    """How often each turn was answered by the model."""
    return Counter(map(int, file.read_text().split())) if file.exists() else Counter()


def _git(folder: Path, *args: str) -> str:
    done = subprocess.run(["git", *args], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, f"git {args[0]}: {done.stderr}{done.stdout}"
    return done.stdout
