"""Stand-ins for the git on other people's machines, to be put first on the PATH."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

# git 2.25 knows none of these options and commands, nor the variables.
_GIT_2_25 = """\
unset GIT_CONFIG_GLOBAL GIT_CONFIG_SYSTEM GIT_CONFIG_COUNT
command=
take=
for word in "$@"; do
  if [ -n "$take" ]; then take=; continue; fi
  case "$command $word" in
    " -C"|" -c") take=1;;
    " --config-env"*|" --attr-source"*) refused=$word;;
    " -"*) ;;
    " maintenance"|" for-each-repo") echo "git: '$word' is not a git command. See 'git --help'." >&2; exit 1;;
    " "*) command=$word;;
    "init -b"|"init --initial-branch"*|"init --object-format"*|"init --ref-format"*) refused=$word;;
    "fetch --no-write-fetch-head"|"fetch --refetch"|"commit --trailer"*|"cat-file -z"|"cat-file --batch-command"*) \
refused=$word;;
    "rm --pathspec-from-file"*|"rev-parse --path-format"*|"merge-tree --write-tree") refused=$word;;
  esac
done
if [ -n "$refused" ]; then echo "error: unknown option \\`${refused#--}'" >&2; exit 129; fi
"""


def a_git(folder: Path, script: str) -> str:
    """A PATH with a git that runs `script` (sh) first; then the real one, unless the script has ended."""
    folder.mkdir(parents=True)
    program = folder / "git"
    program.write_text(f'#!/bin/sh\n{script}exec {shutil.which("git")} "$@"\n')
    program.chmod(0o755)
    return f"{folder}{os.pathsep}{os.environ['PATH']}"


def git_2_25(folder: Path) -> str:
    """A PATH with a git that refuses what came after 2.25."""
    return a_git(folder, _GIT_2_25)


def refusing_git(folder: Path, command: str, says: str) -> str:
    """A PATH with a git that refuses one of its commands with this line."""
    return a_git(folder, f'case " $* " in *" {command} "*) echo "{says}" >&2; exit 128;; esac\n')
