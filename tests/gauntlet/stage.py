"""Plays a case: the real command on the template `tiny` in a folder of its own, then resume; and what was seen."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ai_sci.agent.journal.events import (
    AttemptFinished,
    CallFailed,
    Event,
    PlotsFinished,
    ReplyRejected,
    RunClosed,
    SessionEnded,
)
from ai_sci.agent.journal.journal import Entry, JournalError, read_journal
from tests.crash.launcher import warm_process
from tests.end_to_end.command import ROOT, ai_sci, argv, environment
from tests.end_to_end.templates import write_script
from tests.gauntlet.case import Case
from tests.gauntlet.leaks import KEY, VARIABLES, leaks
from tests.gauntlet.processes import Brood, brood
from tests.gauntlet.story import story
from tests.servers.anthropic_strict import AnthropicServer
from tests.servers.deepseek_strict import DeepSeekServer
from tests.servers.gemini_strict import GeminiServer
from tests.servers.loopback import LoopbackServer
from tests.servers.mistral_strict import MistralServer
from tests.servers.ollama_strict import OllamaServer
from tests.servers.responses_strict import ResponsesServer

# An attempt takes a tenth of a second, and the template's checks hold.
FAST = ("--set", "steps=60", "--set", "repeats=1")
IDEA = "weight_decay"
_MODELS: dict[type[LoopbackServer], str] = {
    AnthropicServer: "anthropic/claude-sonnet-4-5",
    DeepSeekServer: "deepseek/deepseek-reasoner",
    GeminiServer: "gemini/gemini-2.5-pro",
    MistralServer: "mistral/magistral-medium-latest",
    OllamaServer: "ollama_chat/llama3.1",
    ResponsesServer: "openai/gpt-5-codex",
}


@dataclass(frozen=True)
class Kept:
    """An accepted run as it lies on disk. `result` is the hash of its final_info.json, "" when it is gone."""

    commit: str
    result: str
    in_git: bool  # the commit is part of the history and holds that very file


@dataclass(frozen=True)
class Seen:
    """What one command (`run` or `resume`) did and left."""

    code: int | None  # None: it had to be killed
    out: str
    err: str
    shown: dict[str, Any] | None  # `show --json`; None when no session is there
    shown_wrong: str = ""  # why `show --json` is not what it must be
    verdicts: tuple[str, ...] = ()  # since the command began
    lines: tuple[str, ...] = ()  # that name a fault: reasons and failures
    kept: dict[int, Kept] | None = None
    left: tuple[str, ...] = ()  # processes
    git: tuple[str, ...] = ()  # what git status and git fsck complain about
    journal: bytes = b""
    bad_requests: int = 0
    leaks: tuple[str, ...] = ()  # files with a key in them

    @property
    def status(self) -> str | None:
        return self.shown["status"] if self.shown else None

    @property
    def accepted(self) -> int:
        return sum(run["status"] == "ok" for run in self.shown["runs"]) if self.shown else 0


@dataclass(frozen=True)
class Outcome:
    ran: Seen
    resumed: Seen | None
    seconds: float


class Stage:
    """The machine of one case; what a hook of a case works with."""

    def __init__(self, case: Case, folder: Path, cache: Path, brood: Brood) -> None:
        self.case = case
        self.folder = folder
        self.template: str | Path = "tiny"  # a hook may put a copy here
        self.args = case.args
        self.prefix: list[str] = []  # a command that starts ours
        self.at_the_end = contextlib.ExitStack()
        self.runs_dir = folder / "runs"
        self.session = self.runs_dir / "s"
        self.server: LoopbackServer | None = None
        self.process: subprocess.Popen[bytes] | None = None  # the command that is running
        keys = {name: f"{KEY}-{name[0]}" for name in VARIABLES}
        waits = {"AI_SCI_RETRY_WAIT": "0.02", "AI_SCI_STALL_TIMEOUT": "20"}
        self.env = environment(**{"PYTHONPATH": str(ROOT), "AI_SCI_CACHE": str(cache), **keys, **waits, **case.env})
        self._brood = brood

    # For hooks.

    def events(self) -> list[Event]:
        """The journal so far."""
        return [entry.event for entry in self._entries()]

    def wait_for(self, kind: type[Event], number: int = 1, seconds: float = 30.0) -> None:
        """Until the journal holds so many events of that kind."""
        deadline = time.monotonic() + seconds
        while sum(isinstance(event, kind) for event in self.events()) < number:
            if time.monotonic() > deadline or self.process is None or self.process.poll() is not None:
                raise AssertionError(f"{kind.__name__} number {number} did not come")
            time.sleep(0.02)

    def run_command(self) -> list[str]:
        model = self._model()
        base = ["--api-base", self.server.url] if self.server else []
        options = ["run", "--template", str(self.template), "--idea", IDEA, "--runs-dir", str(self.runs_dir)]
        return self.prefix + argv(*options, "--session", "s", "--model", model, *base, *FAST, *self.args)

    def resume_command(self) -> list[str]:
        return self.prefix + argv("resume", self.session, *self.case.resume_args)

    # The play.

    def play(self) -> Outcome:
        case, began = self.case, time.monotonic()
        with self.at_the_end, self._open_server() as self.server:
            if case.prepare:
                case.prepare(self)
            ran = self._see(self.run_command(), act=True)
            if case.mend:
                case.mend(self)
            resumed = self._see(self.resume_command()) if ran.shown is not None else None
        return Outcome(ran, resumed, time.monotonic() - began)

    def _see(self, command: Sequence[str], act: bool = False) -> Seen:
        before = len(self._entries())
        asked = len(self.server.bad_requests) if self.server else 0
        out, err = self.folder / "out", self.folder / "err"
        is_touched = self.prefix or (act and self.case.act)
        code = self._cold(command, out, err, act) if is_touched else self._warm(command)
        left = tuple(self._brood.left())
        shown, wrong = self._show()
        events = [entry.event for entry in self._entries()[before:]]
        return Seen(
            code=code,
            out=out.read_text(errors="replace"),
            err=err.read_text(errors="replace"),
            shown=shown,
            shown_wrong=wrong,
            verdicts=tuple(verdict for event in events if (verdict := _verdict(event))),
            lines=tuple(line for event in events for line in _lines(event)),
            kept=self._kept(),
            left=left,
            git=self._git_problems(),
            journal=(self.session / "journal.jsonl").read_bytes() if self._there else b"",
            bad_requests=len(self.server.bad_requests) - asked if self.server else 0,
            leaks=leaks(self.folder, self.env),
        )

    def _warm(self, command: Sequence[str]) -> int | None:
        """The command in a child of a process that has imported everything: two seconds of CPU less each time."""
        args = command[len(argv()) :]
        ended = warm_process().run(args, self.folder, self.env, counted=False, patience=self.case.seconds)
        return None if ended.hung else ended.code

    def _cold(self, command: Sequence[str], out: Path, err: Path, act: bool) -> int | None:
        """The command as a user starts it, and what the case does to it meanwhile."""
        # Files, not pipes: a child that holds one open holds nobody up, which is for the orphan check to find.
        with out.open("wb") as stdout, err.open("wb") as stderr:
            self.process = subprocess.Popen(
                command,
                cwd=self.folder,
                env=self.env,
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                start_new_session=True,  # a hook may signal its group
            )
            try:
                if act and self.case.act:
                    self.case.act(self)
                return self._wait()
            finally:
                if self.process.poll() is None:
                    self.process.kill()
                    self.process.wait()

    def _wait(self) -> int | None:
        assert self.process is not None
        try:
            return self.process.wait(self.case.seconds)
        except subprocess.TimeoutExpired:
            return None

    @property
    def _there(self) -> bool:
        return (self.session / "journal.jsonl").is_file()

    def _open_server(self) -> contextlib.AbstractContextManager[LoopbackServer | None]:
        if self.case.server is None:
            return contextlib.nullcontext()
        return self.case.server(self.case.replies or story(), self.case.faults)

    def _model(self) -> str:
        if self.case.server is not None:
            kinds = self.case.server.__mro__
            return next((_MODELS[kind] for kind in kinds if kind in _MODELS), "openai/strict-model")
        replies = self.case.replies or story()
        assert not callable(replies)
        script = self.folder / "script"
        return f"scripted:{script}" if script.exists() else write_script(script, [str(reply) for reply in replies])

    def _entries(self) -> list[Entry]:
        try:
            return read_journal(self.session / "journal.jsonl")
        except JournalError:  # not there yet
            return []

    def _show(self) -> tuple[dict[str, Any] | None, str]:
        if not self._there:
            return None, ""
        done = ai_sci("show", self.session, "--json", cwd=self.folder)
        try:
            return json.loads(done.out), "" if done.code == 0 else done.err.strip()
        except ValueError:
            return None, f"show --json: {(done.err or done.out).strip()[:200]}"

    def _kept(self) -> dict[int, Kept]:
        """The runs that the journal calls accepted."""
        return {
            event.run: self._run_on_disk(event)
            for event in self.events()
            if isinstance(event, RunClosed) and event.status == "ok"
        }

    def _run_on_disk(self, closed: RunClosed) -> Kept:
        name = f"run_{closed.run}/final_info.json"
        file = self.session / name
        content = file.read_bytes() if file.is_file() else b""
        committed = self._git("show", f"{closed.commit}:{name}").stdout
        known = self._git("merge-base", "--is-ancestor", closed.commit, "HEAD").returncode == 0
        digest = hashlib.sha256(content).hexdigest() if content else ""
        return Kept(closed.commit, digest, known and bool(content) and committed == content)

    def _git_problems(self) -> tuple[str, ...]:
        if not self._there:
            return ()
        status, fsck = (
            self._git("--no-optional-locks", "status", "--porcelain"),
            self._git("fsck", "--no-dangling", "--no-progress"),
        )
        wrong = [f"git status: {line}" for line in (status.stdout + status.stderr).decode().splitlines()]
        if fsck.returncode != 0:
            wrong += [f"git fsck: {line}" for line in (fsck.stdout + fsck.stderr).decode().splitlines()]
        return tuple(wrong)

    def _git(self, *args: str) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(["git", *args], cwd=self.session, capture_output=True)


def play(case: Case, folder: Path, cache: Path) -> Outcome:
    """Plays `case` in the new folder `folder`."""
    folder.mkdir(parents=True)
    warm_process()  # before the block, so that it is not taken for an orphan
    with brood() as births:
        return Stage(case, folder, cache, births).play()


def warm_up(folder: Path, cache: Path) -> None:
    """Builds the environment of `tiny` and measures its baseline, once for all cases."""
    outcome = play(Case("warm up", seconds=300), folder, cache)
    if outcome.ran.code != 0:
        raise SystemExit(f"the gauntlet cannot start: {outcome.ran.err}")


def cache_for(folder: Path) -> Path:
    """`$AI_SCI_CACHE` when it is set, else one below `folder`."""
    return Path(os.environ.get("AI_SCI_CACHE") or folder / "cache")


def _verdict(event: Event) -> str:
    match event:
        case CallFailed(failure=kind):
            return kind
        case ReplyRejected(verdict=verdict):
            return verdict
        case AttemptFinished(verdict=verdict) | PlotsFinished(verdict=verdict) if verdict != "ok":
            return verdict
    return ""


def _lines(event: Event) -> list[str]:
    match event:
        case CallFailed(message=message):
            return [message]
        case ReplyRejected(reasons=reasons):
            return list(reasons)
        case AttemptFinished(reason=reason) | PlotsFinished(reason=reason) | SessionEnded(reason=reason):
            return [reason]
    return []
