"""What unmodified code lacks in the sandbox, told to the user: a package, a file, a folder to write to."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from ai_sci.experiment.attempt.judging import READ_ONLY
from ai_sci.experiment.attempt.runner import AttemptOutcome, AttemptPlan, process_of
from ai_sci.experiment.base import TAIL_BYTES, Verdict, clean_output, last_error_line, trusted_environment
from ai_sci.experiment.results import error_chain
from ai_sci.experiment.sandbox import HOME

_PACKAGE = re.compile(
    r"No module named '?(?P<name>[A-Za-z_][\w.]*)|No package metadata was found for (?P<metadata>[\w.-]+)"
    r"|^(?:\w+\.)*ImportError: .*(?:pip install|not installed|not found in your environment)"
)
_FILE = re.compile(
    r"^(?:\w+\.)*(?:FileNotFoundError|NotADirectoryError|LocalEntryNotFoundError|OfflineModeIsEnabled)\b"
    r"|No such file or directory|cannot open shared object file|errno = 2\b|unable to open database file"
    r"|in the (?:cached files|disk cache|local cache)|Dataset not found"
)
_NAMES = re.compile(r"(?<!\w)'([^'\n]+)'|\"([^\"\n]+)\"|((?:~|\.{0,2})/[^\s'\"`,:;()\[\]<>]+)")
_FIND = (
    "import importlib.util, sys; spec = importlib.util.find_spec(sys.argv[1]); "
    "print(spec.origin or [*spec.submodule_search_locations][0])"
)
_HOME = re.compile(rf"(?:~|{HOME}|{re.escape(tempfile.gettempdir())}/ai-sci-\w+)/")  # as the code names it
_PATIENCE = 20.0  # seconds

_FOR_FILES = "copy it into the template's folder, or to $AI_SCI_DATA in a [prepare] step of template.toml"
_UNSANDBOXED = ", or name its full path and run with --sandbox none --allow-unsandboxed"
_FOR_PACKAGES = (
    "name it in the template's requirements.txt, pass --python PATH with an interpreter that has it, "
    "or copy it into the template's folder"
)


def what_is_missing(outcome: AttemptOutcome, plan: AttemptPlan, template: Path) -> str | None:
    """One or two sentences on what the code lacks here and how to bring it in; None for any other failure.

    `template` is the folder that the session was made from, where the code may have found its files.
    """
    if outcome.verdict is not Verdict.crashed:
        return None
    for error in _errors(outcome.log):
        if READ_ONLY.search(error):
            return "The code's own folder is read-only in a session"
        if package := _PACKAGE.search(error):
            what = _package(package["name"] or package["metadata"] or "", plan, template)
            return f"{what}. Bring it in: {_FOR_PACKAGES}"
        # Code that looks before it opens a file has words of its own for what it does not find.
        if what := _file(error, plan, template) if _FILE.search(error) else _named_file(error, plan, template):
            ways = _FOR_FILES + (_UNSANDBOXED if plan.sandbox.tier != "none" else "")
            return f"{what}. Bring it in: {ways}"
    return None


def _errors(log: Path) -> Iterator[str]:
    """The error that ended the program, and those that it says were the cause."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - TAIL_BYTES))
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return
    yield last_error_line(text)
    yield from error_chain(clean_output(text).lines)


def _package(name: str, plan: AttemptPlan, template: Path) -> str:
    python = plan.environment.python
    if not name:
        return f"{python} lacks a package"
    env = trusted_environment(PYTHONPATH=os.environ.get("PYTHONPATH", ""))
    command = [python, "-c", _FIND, name.partition(".")[0]]
    try:
        done = subprocess.run(command, cwd=template, env=env, capture_output=True, text=True, timeout=_PATIENCE)
    except (OSError, subprocess.TimeoutExpired):
        return f"{python} has no package {name}"
    found = Path(done.stdout.strip())
    if done.returncode != 0 or not found.is_absolute() or _is_seen(found, plan):
        return f"{python} has no package {name}"
    return f"{found} exists on this machine, but it is hidden in the sandbox"


def _file(error: str, plan: AttemptPlan, template: Path) -> str:
    names = _names(error)
    for name in names:
        if found := _found(name, plan, template):
            return found
    named = next((name for name in names if "/" in name), names[0] if names else "")
    if not named:
        return "A file that it needs is missing in the sandbox"
    if Path(named).is_absolute():
        return f"{named} does not exist on this machine"
    where = "The template's folder has no" if "/" in named else "Neither the template's folder nor the PATH has"
    return f"{where} {named}"


def _named_file(error: str, plan: AttemptPlan, template: Path) -> str:
    """What hides a path that the error names; "" if it names none that is hidden."""
    return next(filter(None, (_found(name, plan, template) for name in _names(error) if "/" in name)), "")


def _names(error: str) -> list[str]:
    found = (next(filter(None, groups)) for groups in _NAMES.findall(error))
    return [name.rstrip(".") for name in found if "://" not in name]


def _found(name: str, plan: AttemptPlan, template: Path) -> str:
    """Where the file is on this machine although the code did not find it; "" if it is nowhere."""
    if home := _HOME.match(name):
        there = Path.home() / name[home.end() :]
        return (
            f"{there} exists on this machine, but it is hidden: an experiment has a home of its own"
            if there.exists()
            else ""
        )
    plan = replace(plan, session=plan.session.resolve())
    path = Path((shutil.which(name) if "/" not in name else None) or name)
    folder = next((folder for folder in plan.code_folders if path.is_relative_to(folder)), None)
    path = path.relative_to(folder) if folder else path  # as the session names it, and the template did
    at, before = (Path(os.path.normpath(place / path)) for place in (plan.session, template))
    if at.exists() and not _is_seen(at, plan):
        return f"{at} exists on this machine, but it is hidden in the sandbox"
    moved = before.exists() and not path.is_absolute()
    return f"{before} exists on this machine, but not where a session looks for it" if moved else ""


def _is_seen(path: Path, plan: AttemptPlan) -> bool:
    """Whether it is there in the sandbox of an attempt: tried, not computed."""
    spec = process_of(plan)
    command = ["/bin/sh", "-c", 'test -e "$0"', str(path)]
    launch = spec.sandbox.wrap(command, spec.cwd, (), spec.readable, spec.env, spec.hidden, spec.beside)
    try:
        return subprocess.run(launch.argv, env=launch.env, capture_output=True, timeout=_PATIENCE).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False
    finally:
        if launch.scratch is not None:
            shutil.rmtree(launch.scratch, ignore_errors=True)
