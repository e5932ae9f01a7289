"""Sessions and batches that version 0.1 wrote (tests/fixtures/version_0_1), and what the command makes of them.

Everything goes through the command line and what it prints, so nothing here depends on how ai-sci is built.
"""

from __future__ import annotations

import json
import re
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.end_to_end.command import ROOT, Done, ai_sci, git_log, shown

FIXTURES = ROOT / "tests" / "fixtures" / "version_0_1"
ROOT_MARK = b"@ROOT@"  # in the archives, for the folder that they are unpacked in

# What `ai-sci resume` is given for each that stopped early; @ROOT@ as above.
RESUMED = {
    "interrupted": [],
    "sigkilled": [],
    "unavailable": ["--model", "scripted:@ROOT@/more"],
    "exhausted": ["--max-tokens", "1000000"],
    "batch_killed": [],
}
REPORTED = ("completed", "batch", *RESUMED)  # whole folders, each in an archive of its own
JOURNALS = ("rebuilt", "replayed", "branched", "job", "jobs")  # only the journals, in one archive


@dataclass(frozen=True)
class Unpacked:
    name: str
    root: Path

    @property
    def folder(self) -> Path:
        return self.root / "runs" / self.name

    def command(self, *args: str | Path) -> Done:
        cache, slots = str(self.root / "cache"), str(self.root / "slots")
        return ai_sci(*args, cwd=self.root, AI_SCI_CACHE=cache, AI_SCI_SLOTS=slots)

    def marked(self, text: str) -> str:
        """Without the place where it was unpacked."""
        return text.replace(str(self.root), ROOT_MARK.decode())

    def show(self, name: str = "") -> dict[str, Any]:
        """`show --json`."""
        return json.loads(self.marked(json.dumps(shown(self.root / "runs" / (name or self.name)))))

    def report(self) -> str:
        """`report --md`."""
        done = self.command("report", self.folder, "--md", "-o", self.root / "report.md")
        assert done.code == 0, done.err
        return self.marked((self.root / "report.md").read_text())

    def replay(self) -> dict[str, Any]:
        """`replay`: what it says last, and the new session."""
        done = self.command("replay", self.folder, "--session", "again")
        assert done.code == 0, done.err
        # The older version did not count replies without a usable edit apart.
        story = [
            re.sub(r", \d+ of them without a usable edit", "", line) for line in git_log(self.root / "runs" / "again")
        ]
        return {"said": done.err.splitlines()[-1], "show": timeless(self.show("again")), "log": story}


def unpack(name: str, place: Path) -> Unpacked:
    """The fixture in `place`, an empty folder; `runs/NAME` in it is the session or the batch."""
    archive = "journals" if name in JOURNALS else name
    with tarfile.open(FIXTURES / f"{archive}.tar.gz") as tar:
        tar.extractall(place, filter="tar")
    for file in place.rglob("*"):
        # What git keeps names no place.
        if ".git" not in file.parts and file.is_file() and ROOT_MARK in (data := file.read_bytes()):
            file.write_bytes(data.replace(ROOT_MARK, bytes(place)))
    return Unpacked(name, place)


def resumed(old: Unpacked) -> dict[str, Any]:
    """What has become of it after `ai-sci resume`, without what is never the same twice."""
    options = [option.replace(ROOT_MARK.decode(), str(old.root)) for option in RESUMED[old.name]]
    done = old.command("resume", old.folder, *options)
    assert done.code == 0, done.err
    assert done.session == old.folder
    repositories = sorted(path.parent for path in old.folder.glob("**/.git"))
    logs = {str(folder.relative_to(old.folder.parent)): git_log(folder) for folder in repositories}
    return {"show": timeless(old.show()), "logs": logs}


def timeless(shown: dict[str, Any]) -> dict[str, Any]:
    """`show --json` without times, hashes, the machine's sandbox and the length of prompts."""
    if "sessions" in shown:
        return {**_without(shown, "ended"), "sessions": [timeless(one) for one in shown["sessions"]]}
    runs = [{**_without(run, "commit"), "attempts": list(map(_attempt, run["attempts"]))} for run in shown["runs"]]
    kept = _without(shown, "started", "ended", "sandbox", "gpu_hours")
    return {**kept, "runs": runs, "llm": {"calls": shown["llm"]["calls"]}}


def _attempt(shown: dict[str, Any]) -> dict[str, Any]:
    return {**_without(shown, "seconds"), "reason": re.sub(r"[\d.]+ s\b", "… s", shown["reason"])}


def _without(values: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in values.items() if name not in names}


def expected(name: str) -> Any:
    """What version 0.1 made of it: `NAME.json`, `NAME.resumed.json`, …; the text of `NAME.md`."""
    file = FIXTURES / "expected" / name
    return file.read_text() if file.suffix == ".md" else json.loads(file.read_text())
