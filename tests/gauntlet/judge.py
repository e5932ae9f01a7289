"""What is wrong with the outcome of a case: pure, so that it can itself be tested."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

from tests.gauntlet.case import RESUMABLE, Case, Ends
from tests.gauntlet.stage import Outcome, Seen

_STATUSES = {*RESUMABLE, "completed", "no_run_accepted", "gave_up", "invalid_baseline"}
_KEYS = {
    *("session", "idea", "template", "status", "model", "started", "ended", "sandbox", "baseline", "runs"),
    *("llm", "edits", "commits", "plots", "notes"),
}
# At the start of a line: what an experiment prints is shown indented.
_UNCAUGHT = re.compile(r"^(Traceback|Exception (ignored )?in |Fatal Python error|\S+: \w*Warning: )", re.MULTILINE)
_LONGEST_LINE = 600


class Wrong(Enum):
    outcome = "another outcome"
    uncaught = "uncaught exception"
    orphan = "orphan process"
    lost = "finished run lost"
    leaked = "key written"


@dataclass(frozen=True)
class Problem:
    kind: Wrong
    what: str

    def __str__(self) -> str:
        return self.what


def problems(case: Case, outcome: Outcome) -> list[Problem]:
    """Everything that is not as `case` says or as every case must be; empty when all is well."""
    ran, resumed = outcome.ran, outcome.resumed
    found = [*_everywhere(ran), *_ended(ran, case.ends, case)]
    if case.says and not any(re.search(case.says, line) for line in _clear_lines(ran)):
        found.append(_other(f"no line says /{case.says}/: {_clear_lines(ran)}"))
    if case.check and (complaint := case.check(ran)):
        found.append(_other(complaint))
    if ran.bad_requests != case.refused_requests:
        found.append(_other(f"{ran.bad_requests} requests were refused for their form, not {case.refused_requests}"))
    if resumed is None:
        if case.resumed is not None:
            found.append(_other("there is no session to resume"))
        return found
    found += [Problem(problem.kind, f"after resume: {problem}") for problem in _after_resume(case, ran, resumed)]
    return found


def _after_resume(case: Case, ran: Seen, resumed: Seen) -> list[Problem]:
    found = [*_everywhere(resumed), *_lost(ran, resumed)]
    if case.resumed is not None:
        found += _ended(resumed, case.resumed, case)
        if not resumed.journal.startswith(ran.journal[: ran.journal.rfind(b"\n") + 1]):
            found.append(_other("the journal of before is not the beginning of the journal"))
        return found
    if resumed.journal != ran.journal:
        found.append(_other("there was nothing to resume, and the journal changed"))
    if resumed.code != case.ends.exit_code:
        found.append(_other(f"exit code {resumed.code}, not {case.ends.exit_code}"))
    return found


def _everywhere(seen: Seen) -> list[Problem]:
    """What no command may ever do."""
    found = [Problem(Wrong.orphan, f"left behind: {line}") for line in seen.left]
    found += [Problem(Wrong.leaked, f"holds a key: {path}") for path in seen.leaks]
    if match := _UNCAUGHT.search(seen.err):
        found.append(Problem(Wrong.uncaught, f"on stderr: {seen.err[match.start() :][:300]}"))
    if len(_said(seen)) > 1:
        found.append(_other(f"more than one line: {_said(seen)}"))
    for line in _clear_lines(seen):
        if len(line) > _LONGEST_LINE:
            found.append(_other(f"a line of {len(line)} characters: {line[:80]}…"))
    if seen.code is None:
        found.append(_other("it did not end in time"))
    if seen.shown_wrong:
        found.append(_other(seen.shown_wrong))
    if seen.shown is not None:
        if missing := _KEYS - set(seen.shown):
            found.append(_other(f"show --json without {sorted(missing)}"))
        for line in (seen.shown.get("reason") or "", *_reasons(seen)):
            if "\n" in line:
                found.append(_other(f"a reason of more than one line: {line[:80]!r}"))
    # What a stopped session has begun and not committed lies beside git's tree until resume.
    stopped = seen.status in RESUMABLE
    found += [_other(line) for line in seen.git if not (stopped and line.startswith("git status: ??"))]
    for run, kept in (seen.kept or {}).items():
        if not kept.result or not kept.in_git:
            where = "in git" if kept.result else "on disk"
            found.append(Problem(Wrong.lost, f"run {run} was accepted and its result is not {where}"))
    return found


def _ended(seen: Seen, ends: Ends, case: Case) -> list[Problem]:
    """Against what the case says of this command."""
    found = []
    if seen.code is not None and seen.code != ends.exit_code:
        found.append(_other(f"exit code {seen.code}, not {ends.exit_code}: {seen.err.strip()[-300:]}"))
    if ends.status is not None and seen.status not in _STATUSES:
        found.append(_other(f"the outcome has no name: {seen.status}"))
    elif seen.status != ends.status:
        reason = (seen.shown or {}).get("reason")
        found.append(_other(f"status {seen.status}, not {ends.status}: {reason}"))
    if seen.verdicts != ends.verdicts:
        found.append(_other(f"verdicts {told(seen.verdicts)}, not {told(ends.verdicts)}: {seen.lines}"))
    if ends.status is None:
        return found if _said(seen) else [*found, _other("refused without a line that says why")]
    if seen.accepted != ends.accepted:
        kind = Wrong.lost if seen.accepted < len(seen.kept or {}) else Wrong.outcome
        found.append(Problem(kind, f"{seen.accepted} runs accepted, not {ends.accepted}"))
    shown = seen.shown or {}
    if ends.status == "completed" and case.finished and not (shown.get("plots") and shown.get("notes")):
        found.append(_other(f"plots {shown.get('plots')}, notes {shown.get('notes')}"))
    if ends.status != "completed" and not shown.get("reason") and not _said(seen):
        found.append(_other("no reason is given for the end"))
    return found


def _lost(before: Seen, after: Seen) -> list[Problem]:
    """Runs that were finished before resume and are not what they were."""
    kept = after.kept or {}
    return [
        Problem(Wrong.lost, f"run {run} was {was}, is {kept.get(run)}")
        for run, was in (before.kept or {}).items()
        if kept.get(run) != was
    ]


def told(verdicts: tuple[str, ...]) -> str:
    """`cut ×8, edit_refused`; a dash for none."""
    parts: list[list] = []
    for verdict in verdicts:
        if parts and parts[-1][0] == verdict:
            parts[-1][1] += 1
        else:
            parts.append([verdict, 1])
    return ", ".join(name if count == 1 else f"{name} ×{count}" for name, count in parts) or "–"


def _said(seen: Seen) -> list[str]:
    return [line for line in seen.err.splitlines() if line.startswith("ai-sci: ")]


def _reasons(seen: Seen) -> list[str]:
    return [one["reason"] for run in (seen.shown or {}).get("runs", []) for one in run["attempts"]]


def _clear_lines(seen: Seen) -> list[str]:
    return [*_said(seen), *seen.lines]


def _other(what: str) -> Problem:
    return Problem(Wrong.outcome, what)
