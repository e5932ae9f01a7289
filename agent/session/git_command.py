"""How git is started: one environment and one configuration for every command, whatever the user's are."""

from __future__ import annotations

import logging
import os
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from ai_sci.experiment.base import AiSciError

# On the command line they win over every file, so neither the user's configuration nor a session's own, which an
# attempt without a sandbox may have edited, can add hooks, daemons, signing or line-ending rules.
_SETTINGS = (
    "user.name=ai-sci",
    "user.email=ai-sci@localhost",
    "commit.gpgSign=false",
    "core.hooksPath=/dev/null",
    "core.fsmonitor=",  # empty, since git before 2.36 takes "false" for a program
    "core.autocrlf=false",
    "core.fsync=committed",  # what the journal says is committed must survive a power cut
    "gc.auto=0",
    "maintenance.auto=false",
    "protocol.version=2",
)
_KEPT = "GIT_EXEC_PATH"  # where a relocated git has its parts

log = logging.getLogger(__name__)


class GitFailed(AiSciError):
    """git is missing or refused; the session is kept and can be resumed."""

    exit_code = 3


def run_git(folder: Path, *args: str, stdin: str | None = None, held: Sequence[int] = ()) -> bytes:
    """Runs git in the repository of `folder` and returns what it printed. Raises GitFailed with git's own line.

    Lists and messages go through `stdin`: an argument may be 128 KiB long, a list of files more. git inherits the
    descriptors in `held`.
    """
    # Named, so that git never looks for a repository further up, nor at who owns this one.
    place = () if args[0] == "init" else ("--git-dir=.git", "--work-tree=.")
    settings = [word for setting in _SETTINGS for word in ("-c", setting)]
    log.debug("git %s in %s", " ".join(args), folder)
    with tempfile.TemporaryFile() as given:
        given.write((stdin or "").encode("utf-8", "surrogateescape"))
        given.seek(0)
        try:
            process = subprocess.Popen(
                ["git", "-C", str(folder.absolute()), *place, *settings, *args],
                stdin=given,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=_environment(),
                pass_fds=held,
            )
        except FileNotFoundError as error:
            raise GitFailed("git is not installed: install git.") from error
        except OSError as error:
            raise GitFailed(f"git cannot be started: {error.strerror}.") from error
        out, err = process.communicate()
    if process.returncode != 0:
        said = err.decode("utf-8", "replace").strip()
        log.debug("git ended with %s: %s", process.returncode, said)
        raise GitFailed(f"git {args[0]} failed in {folder}: {_reason(said) or f'exit code {process.returncode}'}")
    return out


def _environment() -> dict[str, str]:
    """Ours without what steers git: inside a hook, GIT_DIR alone would make it commit to the wrong repository."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_") or name == _KEPT}
    no_files = {"HOME": os.devnull, "XDG_CONFIG_HOME": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", "GIT_ATTR_NOSYSTEM": "1"}
    return {**kept, **no_files, "GIT_LITERAL_PATHSPECS": "1", "LC_ALL": "C", "LANGUAGE": "C"}


def _reason(said: str) -> str:
    """The line that says why; warnings and hints may stand before and after it."""
    lines = said.splitlines()
    return next((line for line in lines if line.startswith(("fatal:", "error:"))), lines[0] if lines else "")
