"""Runs the real command in a process of its own, as a user would, and reads what it left."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Done:
    code: int
    out: str
    err: str

    @property
    def session(self) -> Path:
        """The last line on stdout."""
        return Path(self.out.strip().splitlines()[-1])

    @property
    def error(self) -> str:
        """The one clear line that a failed command leaves on stderr, and nothing like a traceback beside it."""
        assert "Traceback" not in self.err, self.err
        lines = [line for line in self.err.splitlines() if line.startswith("ai-sci: ")]
        assert len(lines) == 1, self.err
        return lines[0]


def environment(**changes: str) -> dict[str, str]:
    """This process's environment without keys and settings that a developer may have and a user need not."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.endswith("_API_KEY") and name not in ("AI_SCI_MODEL", "GIT_DIR", "PYTHONUNBUFFERED")
    }
    return {**kept, **changes}


def argv(*args: str | Path) -> list[str]:
    return [sys.executable, "-m", "ai_sci", *map(str, args)]


def ai_sci(*args: str | Path, cwd: Path, timeout: float = 240, **env: str) -> Done:
    """The command in a child of a process that has imported everything, which saves up to two seconds of CPU."""
    from tests.crash.launcher import warm_process

    with tempfile.TemporaryDirectory() as streams:
        ended = warm_process().run(args, Path(streams), env, counted=False, patience=timeout, cwd=cwd)
    if ended.hung:
        raise subprocess.TimeoutExpired(argv(*args), timeout, ended.out, ended.err)
    return Done(ended.code, ended.out, ended.err)


def ai_sci_cold(*args: str | Path, cwd: Path, timeout: float = 240, **env: str) -> Done:
    """The command as a user starts it."""
    done = subprocess.run(
        argv(*args),
        cwd=cwd,
        env=environment(**{"PYTHONPATH": str(ROOT), **env}),
        capture_output=True,
        text=True,
        errors="replace",
        timeout=timeout,
        stdin=subprocess.DEVNULL,
    )
    return Done(done.returncode, done.stdout, done.stderr)


def shown(session: Path) -> dict[str, Any]:
    """`ai-sci show --json` of it."""
    done = ai_sci("show", session, "--json", cwd=session.parent)
    assert done.code == 0, done.err
    return json.loads(done.out)


def git_log(session: Path, form: str = "%s") -> list[str]:
    out = subprocess.run(
        ["git", "log", "--reverse", f"--format={form}"], cwd=session, check=True, capture_output=True, text=True
    )
    return out.stdout.splitlines()
