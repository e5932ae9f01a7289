"""A session of many events, valid in every part: a real one is begun, and hundreds of runs are added to it.

The journal, the git repository (loose objects, as a session's are) and the run folders agree with each other. The next
thing that the session wants is a reply, and the scripted model has none, so that a resume starts, asks and ends.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from ai_sci.agent.journal.events import (
    AttemptFinished,
    AttemptStarted,
    CallFailed,
    EditApplied,
    Event,
    OutcomeCommitted,
    Replied,
    ReplyRejected,
    RunClosed,
    SessionEnded,
    SessionStarted,
    Told,
)
from ai_sci.agent.journal.journal import Entry, encode, read_journal
from ai_sci.agent.session.workspace import code_hash
from tests.end_to_end.command import ai_sci
from tests.end_to_end.templates import EXPERIMENT, good_session, make_template, write_script

PROSE = "The loss went down, as expected, but not by as much as the longer schedule would explain. " * 8
DIGEST = (
    "Traceback (most recent call last):\n" + '  File "experiment.py", line 18, in train\n    x -= rate * 2 * x\n' * 6
)


def make_long_session(folder: Path, events: int) -> Path:
    """A session with `events` lines in its journal, in `folder`, which is made. Returns the session's folder."""
    template = make_template(folder / "template")
    model = write_script(folder / "script", good_session()[:1])
    args = ("run", "--template", template, "--idea", "more_steps", "--session", "s", "--model", model)
    done = ai_sci(*args, "--max-runs", "1000000", cwd=folder, AI_SCI_CACHE=str(folder / "cache"))
    assert done.code == 3, done.err
    session = done.session
    entries = [
        entry
        for entry in read_journal(session / "journal.jsonl")
        if not isinstance(entry.event, (CallFailed, SessionEnded))
    ]
    turns = list(_turns(session, events - len(entries)))
    commits = _import_commits(session, [commit for _, commits in turns for commit in commits])
    at = entries[-1].at
    for turn, _ in turns:
        for event in turn:
            at += 0.5
            named = {
                name: commits[mark]
                for name in ("commit", "base_commit")
                if (mark := getattr(event, name, None)) in commits
            }
            entries.append(Entry(at, replace(event, **named) if named else event))
    (session / "journal.jsonl").write_bytes(b"".join(map(encode, entries)))
    return session


def _turns(session: Path, events: int) -> Iterator[tuple[list[Event], list[tuple[str, dict[str, str]]]]]:
    """What happened in each turn, and its commits: a mark and the files that changed."""
    first = read_journal(session / "journal.jsonl")[0].event
    assert isinstance(first, SessionStarted)
    run, attempt, value, left = 2, 1, 100, events
    while left > 0:
        value += 1
        code = EXPERIMENT.replace("STEPS = 10", f"STEPS = {value}")
        hashed = code_hash(session, ["experiment.py"], {"experiment.py": code})
        reply = Replied(_edit(value), PROSE, "stop", "scripted", 9000 + value, 300, 8800, 0.0, 0.01)
        if value % 4 == 0:
            refused: list[Event] = [reply, ReplyRejected("edit_refused", [PROSE[:200]]), Told("refused", PROSE)]
            left -= len(refused)
            yield refused, []
            continue
        fails = value % 4 == 1
        edit, outcome = f":edit{value}", f":outcome{value}"
        log = {f"attempts/run_{run}.{attempt}/output.log": f"loss {1 / value:.4f}\n"}
        verdict, reason = ("crashed", "exit code 1: ValueError: x") if fails else ("ok", "ended normally after 0.1 s")
        metrics = {} if fails else {"loss": 1 / value, "steps": float(value)}
        digest = DIGEST if fails else ""
        done: list[Event] = [
            reply,
            EditApplied(["experiment.py"], 1, edit, hashed, None),
            AttemptStarted(run, attempt, "full", hashed, edit, 2**22 + 1, 1, "an earlier boot"),
            AttemptFinished(run, attempt, "full", verdict, reason, digest, 0.1, metrics, hashed),
        ]
        if fails:
            done += [OutcomeCommitted(run, attempt, outcome), Told("failed", DIGEST + PROSE)]
            attempt += 1
            files = log
        else:
            done += [RunClosed(run, "ok", metrics, outcome, outcome, hashed), Told("result", PROSE)]
            files = {**log, f"run_{run}/final_info.json": json.dumps({"toy": {"means": metrics}})}
            run, attempt = run + 1, 1
        left -= len(done)
        yield done, [(edit, {"experiment.py": code}), (outcome, files)]


def _edit(value: int) -> str:
    return (
        f"{PROSE}\n\nexperiment.py\n```python\n<<<<<<< SEARCH\nSTEPS = {value - 1}\n=======\nSTEPS = {value}\n"
        f">>>>>>> REPLACE\n```\n"
    )


def _import_commits(session: Path, commits: list[tuple[str, dict[str, str]]]) -> dict[str, str]:
    """Adds the commits to the session's branch and checks the last one out. Returns each mark's hash."""
    stream: list[bytes] = []
    for number, (mark, files) in enumerate(commits, start=1):
        message = mark.encode()
        stream.append(b"commit refs/heads/main\nmark :%d\n" % number)
        stream.append(b"committer ai-sci <ai-sci@localhost> %d +0000\n" % (1_700_000_000 + number))
        stream.append(b"data %d\n%s\n" % (len(message), message))
        if number == 1:
            stream.append(b"from refs/heads/main^0\n")
        for name, text in files.items():
            stream.append(b"M 100644 inline %s\ndata %d\n%s\n" % (name.encode(), len(text.encode()), text.encode()))
    marks = session / ".git" / "marks"
    _git(session, "fast-import", "--quiet", f"--export-marks={marks}", given=b"".join(stream))
    for pack in (session / ".git" / "objects" / "pack").glob("*.pack"):
        content = pack.read_bytes()
        for part in pack.parent.glob(f"{pack.stem}.*"):
            part.unlink()
        _git(session, "unpack-objects", "-q", given=content)
    _git(session, "reset", "-q", "--hard", given=b"")
    hashes = dict(line.split() for line in marks.read_text().splitlines())
    marks.unlink()
    return {mark: hashes[f":{number}"] for number, (mark, _) in enumerate(commits, start=1)}


def _git(session: Path, *args: str, given: bytes) -> None:
    subprocess.run(["git", *args], cwd=session, input=given, check=True, capture_output=True)
