"""What a recorded session holds, read without the code that replays it; and changes to it."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import subprocess
from collections.abc import Callable
from pathlib import Path

from ai_sci.agent.journal.conversation import wire_messages
from ai_sci.agent.journal.events import (
    Event,
    Replied,
)
from ai_sci.agent.journal.journal import Entry, encode, read_journal


def events(folder: Path) -> list[Event]:
    return [entry.event for entry in read_journal(folder / "journal.jsonl")]


def of(folder: Path, kind: type) -> list:
    return [event for event in events(folder) if isinstance(event, kind)]


def prompts(folder: Path) -> list[str]:
    """Every request as it went out, worked out here from the journal alone."""
    found, so_far = [], []
    for event in events(folder):
        if isinstance(event, Replied):
            found.append(json.dumps([[one.role, one.content] for one in wire_messages(so_far)]))
        so_far.append(event)
    return found


def fingerprint(folder: Path) -> dict[str, str]:
    """Every file of it, `.git` included, and its time of change."""
    return {
        str(path.relative_to(folder)): f"{path.lstat().st_mtime_ns} {hashlib.sha256(path.read_bytes()).hexdigest()}"
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.is_symlink()
    }


def doctor(folder: Path, change: Callable[[Event], Event]) -> None:
    entries = [Entry(entry.at, change(entry.event)) for entry in read_journal(folder / "journal.jsonl")]
    (folder / "journal.jsonl").write_bytes(b"".join(map(encode, entries)))


def hashed(folder: Path, value: str) -> None:
    doctor(folder, lambda event: dataclasses.replace(event, prompt_hash=value) if isinstance(event, Replied) else event)


def tree(folder: Path) -> list[str]:
    """The final tree without the logs, in which paths stand as the experiment printed them."""
    out = subprocess.run(["git", "ls-tree", "-r", "HEAD"], cwd=folder, check=True, capture_output=True, text=True)
    return [line for line in out.stdout.splitlines() if "\tattempts/" not in line]
