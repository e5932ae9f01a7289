"""Faults of the machine: its signals, its git, and the people who work on it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.end_to_end.command import ai_sci
from tests.gauntlet.case import Case, Ends, Hook
from tests.gauntlet.machine_hooks import (
    copy_template,
    own_cache,
    own_interpreter,
    path_without_git,
    resume_is_refused,
    signals,
    wait_for_output,
)
from tests.gauntlet.stage import Stage
from tests.gauntlet.story import faulty_run

# Time to do harm in the smoke attempt of run 2, which then goes well.
_BEGUN = "import time\nif os.environ.get('AI_SCI_SMOKE') == '1':\n    print('begun', flush=True)\n    time.sleep(4)\n"
SLOW = faulty_run(_BEGUN)
ALL_WELL = Ends(accepted=3)
REPEATED = Ends(accepted=3, verdicts=("lost",))


def interrupted(name: str, act: Hook | None, resumed: Ends | None = REPEATED, **more) -> Case:
    """Stopped in the smoke attempt of run 2; resume repeats that attempt and completes the session."""
    return Case(name, SLOW, status="interrupted", accepted=1, act=act, resumed=resumed, **more)


# --- signals ----------------------------------------------------------------------------------------------------------

_STOPPED = r"stopped by a signal"
TERMINAL = [sys.executable, "-m", "tests.gauntlet.terminal"]


def _in_a_terminal(stage: Stage) -> None:
    stage.prefix = TERMINAL


def _under_nohup(stage: Stage) -> None:
    stage.prefix = ["nohup"]


def _without_terminal(stage: Stage) -> None:
    stage.prefix = []


def _in_its_terminal(number: signal.Signals) -> Hook:
    def act(stage: Stage) -> None:
        wait_for_output(stage, "begun")
        assert stage.process is not None
        stage.process.send_signal(number)

    return act


def _before_the_session(stage: Stage) -> None:
    """Ctrl-C while the interpreter is asked for its version, which takes long here."""
    waiting = stage.folder / "asked"
    deadline = time.monotonic() + 30
    while not waiting.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert stage.process is not None
    os.killpg(stage.process.pid, signal.SIGINT)


def _slow_interpreter(stage: Stage) -> None:
    python = stage.folder / "slow-python"
    python.write_text(f"#!/bin/sh\ntouch {stage.folder}/asked\nexec sleep 5\n")
    python.chmod(0o755)
    stage.args += ("--python", str(python))


SIGNALS = [
    interrupted("Ctrl-C", signals(signal.SIGINT), says=_STOPPED, quick=True),
    interrupted("Ctrl-C twice", signals(signal.SIGINT, signal.SIGINT), says=_STOPPED),
    interrupted("Ctrl-C five times at once", signals(*[signal.SIGINT] * 5, pause=0.002), says=_STOPPED),
    interrupted("SIGTERM", signals(signal.SIGTERM), says=_STOPPED),
    interrupted("SIGHUP, then SIGTERM", signals(signal.SIGHUP, signal.SIGTERM), says=_STOPPED),
    interrupted("harness killed with SIGKILL", signals(signal.SIGKILL), code=-9, quick=True),
    interrupted(
        "harness killed with SIGKILL, without a sandbox",
        signals(signal.SIGKILL),
        code=-9,
        args=("--sandbox", "none", "--allow-unsandboxed"),
    ),
    interrupted(
        "Ctrl-C typed in a terminal",
        _in_its_terminal(signal.SIGUSR2),
        prepare=_in_a_terminal,
        mend=_without_terminal,
        says=_STOPPED,
    ),
    interrupted(
        "terminal closed",
        _in_its_terminal(signal.SIGUSR1),
        prepare=_in_a_terminal,
        mend=_without_terminal,
        says=_STOPPED,
        quick=True,
    ),
    Case("terminal closed under nohup", SLOW, accepted=3, prepare=_under_nohup, act=signals(signal.SIGHUP), quick=True),
    Case(
        "Ctrl-C before there is a session",
        status=None,
        prepare=_slow_interpreter,
        act=_before_the_session,
        says="interrupted before a session was open",
    ),
]

# --- git --------------------------------------------------------------------------------------------------------------


def _locks_of_a_dead_git(stage: Stage) -> None:
    for name in ("index.lock", "HEAD.lock", "refs/heads/main.lock", "config.lock"):
        (stage.session / ".git" / name).touch()


def _lock_at_begun(stage: Stage) -> None:
    wait_for_output(stage, "begun")
    (stage.session / ".git" / "index.lock").touch()


def _refused_without_git(stage: Stage) -> None:
    path = stage.env["PATH"]
    stage.env["PATH"] = path_without_git(stage)
    resume_is_refused(stage, 3, r"the session stopped: .*git.*[Ii]nstall git.*ai-sci resume")
    stage.env["PATH"] = path


GIT = [
    interrupted("git's lock files left behind", signals(signal.SIGKILL), code=-9, mend=_locks_of_a_dead_git),
    Case(
        "git's lock file appears during a session",
        SLOW,
        status="interrupted",
        accepted=1,
        act=_lock_at_begun,
        resumed=ALL_WELL,
        says=r"git \w+ failed in .*index\.lock': File exists",
    ),
    interrupted("git gone at resume", signals(signal.SIGINT), mend=_refused_without_git),
]

# --- people -----------------------------------------------------------------------------------------------------------


def _resume_beside(stage: Stage) -> None:
    wait_for_output(stage, "begun")
    resumed = ai_sci("resume", stage.session, cwd=stage.folder)
    assert (resumed.code, "another process is working on" in resumed.error) == (2, True), resumed.err


def _same_name_beside(stage: Stage) -> None:
    wait_for_output(stage, "begun")
    second = subprocess.run(stage.run_command(), env=stage.env, cwd=stage.folder, capture_output=True, text=True)
    assert second.returncode == 2 and "exists: take another --session" in second.stderr, second.stderr


def _template_changes(stage: Stage) -> None:
    wait_for_output(stage, "begun")
    template = Path(stage.template)
    (template / "experiment.py").write_text("raise SystemExit('another experiment')\n")
    (template / "plot.py").unlink()
    (template / "template.toml").write_text("[limits]\ntime = 0.001\n")


def _kill_and_delete_template(stage: Stage) -> None:
    signals(signal.SIGKILL)(stage)
    shutil.rmtree(stage.template)


def _move_session(stage: Stage) -> None:
    there = stage.folder / "another disk" / "kept"
    there.parent.mkdir()
    stage.session = stage.session.rename(there)


def _delete_session(stage: Stage) -> None:
    wait_for_output(stage, "begun")
    stage.session.rename(stage.folder / "trash")


PEOPLE = [
    Case("a second process on the session", SLOW, accepted=3, act=_resume_beside, quick=True),
    Case("a second session of the same name", SLOW, accepted=3, act=_same_name_beside),
    Case("template changed during the session", SLOW, accepted=3, prepare=copy_template, act=_template_changes),
    interrupted("template deleted before resume", _kill_and_delete_template, code=-9, prepare=copy_template),
    interrupted("session folder moved before resume", signals(signal.SIGINT), mend=_move_session, quick=True),
    Case(
        "session folder taken away during the session",
        SLOW,
        status=None,
        code=3,
        act=_delete_session,
        says=r"the session stopped: .*runs/s\S*: No such file or directory",
    ),
]

# --- experiment environment -------------------------------------------------------------------------------------------


def _with_own_interpreter(stage: Stage) -> None:
    stage.args += ("--python", str(own_interpreter(stage)))


def _interpreter_goes(stage: Stage) -> None:
    wait_for_output(stage, "begun")
    (stage.folder / "venv").rename(stage.folder / "venv.away")


def _interpreter_comes_back(stage: Stage) -> None:
    resume_is_refused(stage, 2, r"--python .*: there is no such interpreter")
    (stage.folder / "venv.away").rename(stage.folder / "venv")


def _environment_goes(stage: Stage) -> None:
    wait_for_output(stage, "begun")
    shutil.rmtree(Path(stage.env["AI_SCI_CACHE"], "envs"))


_DAMAGED = r"python is gone or cannot be executed: the experiment's environment is damaged.*ai-sci resume"
ENVIRONMENT = [
    Case(
        "interpreter of --python goes during the session",
        SLOW,
        status="interrupted",
        accepted=1,
        prepare=_with_own_interpreter,
        act=_interpreter_goes,
        mend=_interpreter_comes_back,
        resumed=ALL_WELL,
        says=_DAMAGED,
    ),
    Case(
        "experiment environment deleted, and rebuilt by resume",
        faulty_run(_BEGUN + "    (out_dir / 'final_info.json').write_text('{\"test_r2\": 0.5}')\n    os._exit(0)"),
        status="interrupted",
        accepted=1,
        prepare=own_cache,
        act=_environment_goes,
        resumed=ALL_WELL,
        says=_DAMAGED,
        seconds=180,
    ),
]

CASES = [*SIGNALS, *GIT, *PEOPLE, *ENVIRONMENT]
