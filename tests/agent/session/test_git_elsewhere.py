"""git as it is on people's machines: whatever is set there, a session's repository comes out the same."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from ai_sci.agent.report.commits import Commits
from ai_sci.agent.session.git_command import GitFailed, run_git
from ai_sci.agent.session.git_log import GitLog, try_git
from ai_sci.experiment.base import ConfigError
from tests.old_git import git_2_25, refusing_git

CRLF = b"x = 1\r\ny = 2\n"
PLAIN = {"PATH": os.environ["PATH"], "HOME": "/nonexistent"}


@dataclass
class Machine:
    """A home folder, variables, and a mark that any program makes which git should not have started."""

    folder: Path
    monkeypatch: pytest.MonkeyPatch

    @property
    def home(self) -> Path:
        return self.folder / "home"

    @property
    def mark(self) -> Path:
        return self.folder / "was started"

    def variables(self, **values: object) -> None:
        for name, value in values.items():
            self.monkeypatch.setenv(name, str(value))

    def config(self, text: str) -> Path:
        file = self.home / ".gitconfig"
        file.write_text(text)
        return file

    def program(self, name: str) -> Path:
        """Fails, and leaves a mark."""
        path = self.folder / "programs" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#!/bin/sh\ntouch '{self.mark}'\nexit 1\n")
        path.chmod(0o755)
        return path

    def hooks(self) -> Path:
        names = ("pre-commit", "commit-msg", "post-commit", "post-checkout", "reference-transaction")
        (self.folder / "programs" / "hooks").mkdir(parents=True)
        return [self.program(f"hooks/{name}").parent for name in names][0]


def _in_a_repository(machine: Machine) -> None:
    subprocess.run(["git", "init", "-q", machine.folder], check=True, env=PLAIN)


def _somebody_else_owns_it(machine: Machine) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give a folder away")
    machine.folder.chmod(0o777)
    for folder in (machine.folder / "session", machine.folder / "copy"):
        os.chown(folder, 12345, 12345)


def _broken(machine: Machine) -> None:
    machine.config("[user\nname = me")


def _fsmonitor(machine: Machine) -> None:
    machine.config(f"[core]\nfsmonitor = {machine.program('watch')}\nfsmonitorHookVersion = 2\n")


def _filters(machine: Machine) -> None:
    attributes = machine.folder / "attributes"
    attributes.write_text("* text eol=crlf filter=mine ident\n*.py working-tree-encoding=UTF-16\n")
    (machine.home / "ignore").write_text("*\n")
    machine.config(
        f"[core]\nexcludesFile = {machine.home / 'ignore'}\nattributesFile = {attributes}\n"
        f"autocrlf = true\neol = crlf\nsafecrlf = true\n"
        f'[filter "mine"]\nclean = {machine.program("clean")}\nrequired = true\n'
    )


def _signing(machine: Machine) -> None:
    program = machine.program("gpg")
    machine.config(f"[commit]\ngpgsign = true\n[tag]\ngpgsign = true\n[gpg]\nprogram = {program}\nformat = openpgp\n")


def _config_variables(machine: Machine) -> None:
    machine.variables(GIT_CONFIG_COUNT=1, GIT_CONFIG_KEY_0="core.hooksPath", GIT_CONFIG_VALUE_0=machine.hooks())


def _config_files(machine: Machine) -> None:
    _broken(machine)
    broken = machine.home / ".gitconfig"
    machine.variables(GIT_CONFIG=broken, GIT_CONFIG_GLOBAL=broken, GIT_CONFIG_SYSTEM=broken, GIT_CONFIG_PARAMETERS="'x")


def _xdg(machine: Machine) -> None:
    (machine.home / "git").mkdir()
    (machine.home / "git" / "config").write_text("nonsense")
    machine.variables(XDG_CONFIG_HOME=machine.home)


def _no_home(machine: Machine) -> None:
    for name in ("HOME", "XDG_CONFIG_HOME", "USER", "LOGNAME"):
        machine.monkeypatch.delenv(name, raising=False)


def _identity(machine: Machine) -> None:
    machine.config("[user]\nuseConfigOnly = true\n[commit]\ntemplate = /nowhere\nverbose = true\n")
    nobody = dict.fromkeys(("GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL"), "")
    machine.variables(**nobody, EMAIL="", GIT_AUTHOR_DATE="soon", GIT_COMMITTER_DATE="soon")


def _hooks(machine: Machine) -> None:
    hooks = machine.hooks()
    machine.config(f"[core]\nhooksPath = {hooks}\n[init]\ntemplateDir = {hooks.parent}\ndefaultBranch = trunk\n")


MACHINES: dict[str, Callable[[Machine], object]] = {
    "nothing special": lambda machine: None,
    "git 2.25": lambda machine: machine.variables(PATH=git_2_25(machine.folder / "old")),
    "git 2.25, a broken configuration": lambda machine: (_broken(machine), MACHINES["git 2.25"](machine)),
    "broken configuration below XDG_CONFIG_HOME": _xdg,
    "broken configuration in variables": _config_files,
    "no home": _no_home,
    "a home that is a file": lambda machine: machine.variables(HOME=machine.config("")),
    "no identity, impossible dates": _identity,
    "places": lambda machine: machine.variables(
        GIT_OBJECT_DIRECTORY="/nowhere", GIT_ALTERNATE_OBJECT_DIRECTORIES="/nowhere", GIT_NAMESPACE="mine"
    ),
    "inside a hook": lambda machine: machine.variables(
        GIT_DIR="/nowhere", GIT_WORK_TREE="/nowhere", GIT_INDEX_FILE="/nowhere/index", GIT_COMMON_DIR="/nowhere"
    ),
    "forms": lambda machine: machine.variables(
        **{
            "GIT_DEFAULT_HASH": "sha256",
            "GIT_DEFAULT_REF_FORMAT": "reftable",
            "LANGUAGE": "de",
            "LC_ALL": "de_DE.UTF-8",
        },
        **{"GIT_ICASE_PATHSPECS": 1, "GIT_GLOB_PATHSPECS": 1, "GIT_TRACE": 1, "GIT_TRACE_SETUP": 1},
    ),
    "programs": lambda machine: machine.variables(
        **dict.fromkeys(
            ("GIT_EDITOR", "GIT_PAGER", "GIT_EXTERNAL_DIFF", "GIT_SSH", "GIT_ASKPASS"), machine.program("x")
        )
    ),
    "protocols": lambda machine: machine.variables(GIT_ALLOW_PROTOCOL="https", GIT_PROTOCOL_FROM_USER=0),
    "hooks in variables": _config_variables,
    "a template in a variable": lambda machine: machine.variables(GIT_TEMPLATE_DIR=machine.hooks().parent),
    "hooks in the configuration": _hooks,
    "a file system monitor": _fsmonitor,
    "line ends, filters, encodings": _filters,
    "signatures": _signing,
    "a repository further up": _in_a_repository,
    "another owner": _somebody_else_owns_it,
}


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    machine = Machine(tmp_path, monkeypatch)
    for folder in (machine.home, tmp_path / "session", tmp_path / "copy"):
        folder.mkdir()
    machine.variables(HOME=machine.home)
    return machine


@pytest.mark.parametrize("named", MACHINES)
def test_a_session_s_repository_comes_out_the_same(machine: Machine, named: str) -> None:
    MACHINES[named](machine)
    variables = dict(os.environ)
    folder, copy = machine.folder / "session", machine.folder / "copy"
    (folder / "experiment.py").write_bytes(CRLF)
    session = GitLog(folder)
    first = session.create(["experiment.py"], "template: an idea\n# not a comment")
    (folder / "experiment.py").write_bytes(b"x = 2\r\n")
    (folder / "run_1").mkdir()
    (folder / "run_1" / "final_info.json").write_text("{}")
    second = session.commit(["experiment.py", "run_1"], "run 1: ok", {"Run": 1})
    session.restore(first, ["experiment.py"])
    assert (folder / "experiment.py").read_bytes() == CRLF
    session.rewind(second, ["experiment.py"])
    assert (folder / "experiment.py").read_bytes() == b"x = 2\r\n"

    GitLog(copy).adopt(folder, first)
    assert (copy / "experiment.py").read_bytes() == CRLF and not (copy / "run_1").exists()
    assert try_git(machine.folder)[0].isdigit()
    commits = Commits(folder)
    assert commits.files([f"{first}:experiment.py"]) == {f"{first}:experiment.py": CRLF}
    assert "+x = 2" in commits.diffs([(first, second)], ["experiment.py"])[first, second]

    # As a git sees it that nobody has touched.
    def plain(*args: str) -> str:
        place = ["--git-dir", str(folder / ".git"), "--work-tree", str(folder)]
        return subprocess.run(["git", *place, *args], env=PLAIN, check=True, capture_output=True, text=True).stdout

    assert plain("log", "--format=%H %an <%ae> %cn %G? %s", "main").splitlines() == [
        f"{second} ai-sci <ai-sci@localhost> ai-sci N run 1: ok",
        f"{first} ai-sci <ai-sci@localhost> ai-sci N template: an idea # not a comment",
    ]
    assert plain("status", "--porcelain") == plain("fsck", "--strict") == ""
    assert not machine.mark.exists()
    assert dict(os.environ) == variables  # a notebook's own git goes on as before


def test_what_an_attempt_writes_into_the_configuration_starts_nothing(machine: Machine) -> None:
    session = GitLog(machine.folder / "session")
    (session.folder / "experiment.py").touch()
    first, hooks = session.create(["experiment.py"], "first"), machine.hooks()
    with (session.folder / ".git" / "config").open("a") as config:
        config.write(f"[core]\nhooksPath = {hooks}\nfsmonitor = {machine.program('watch')}\n")
    (session.folder / ".git" / "hooks").symlink_to(hooks)
    session.commit([], "second")
    session.rewind(first, [])
    assert session.head() == first and not machine.mark.exists()


def test_a_repository_that_is_gone_is_not_looked_for_further_up(machine: Machine) -> None:
    _in_a_repository(machine)
    session = GitLog(machine.folder / "session")
    session.create([], "first")
    shutil.rmtree(session.folder / ".git")
    (session.folder / "experiment.py").touch()
    with pytest.raises(GitFailed, match="git add failed in .*session: fatal: not a git repository"):
        session.commit(["experiment.py"], "second")
    assert run_git(machine.folder, "ls-files") == b""


@pytest.mark.parametrize(
    ("command", "says"),
    [("init", "fatal: cannot copy '/usr/share/git-core/templates'"), ("commit", "error: unable to write")],
)
def test_git_s_own_line(machine: Machine, command: str, says: str) -> None:
    machine.variables(PATH=refusing_git(machine.folder / "bin", command, f"warning: so so\n{says}\nhint: try this"))
    with pytest.raises(GitFailed) as caught:
        GitLog(machine.folder / "session").create([], "first")
    assert str(caught.value) == f"git {command} failed in {machine.folder / 'session'}: {says}"


def test_a_git_that_is_not_there_or_does_not_start(machine: Machine) -> None:
    machine.variables(PATH=machine.folder / "empty")
    with pytest.raises(GitFailed, match="^git is not installed: install git.$"):
        try_git(machine.folder)
    (machine.folder / "empty").mkdir()
    (machine.folder / "empty" / "git").write_text("no program")
    (machine.folder / "empty" / "git").chmod(0o755)
    with pytest.raises(GitFailed, match="^git cannot be started: Exec format error.$"):
        try_git(machine.folder)
    with pytest.raises(ConfigError, match="^a report reads the session's commits: git cannot be started") as refused:
        Commits(machine.folder).files(["HEAD:experiment.py"])
    assert refused.value.exit_code == 2
