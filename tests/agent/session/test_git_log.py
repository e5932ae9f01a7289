"""The session's repository, with real git."""

from __future__ import annotations

import subprocess

import pytest

from ai_sci.agent.session.git_command import GitFailed
from ai_sci.agent.session.git_log import LARGEST_TRACKED, MOST_TRACKED, GitLog, split_artefacts


def git(folder, *args: str) -> str:
    return subprocess.run(["git", *args], cwd=folder, check=True, capture_output=True, text=True).stdout


@pytest.fixture
def repository(tmp_path):
    (tmp_path / "experiment.py").write_text("print(0)\n")
    log = GitLog(tmp_path)
    log.create(["experiment.py"], "template tiny: an idea")
    return log


def test_an_outcome_has_trailers_that_git_can_read(repository):
    repository.commit([], "run 1 attempt 1 (full): crashed", {"Run": 1, "Attempt": 1, "Verdict": "crashed"}, body="why")
    out = git(repository.folder, "log", "-1", "--format=%s|%b|%(trailers:key=Verdict,valueonly)")
    subject, body, verdict = out.split("|")
    assert subject == "run 1 attempt 1 (full): crashed"
    assert body.startswith("why")
    assert verdict.strip() == "crashed"


def test_the_user_s_own_git_configuration_has_no_say(tmp_path, monkeypatch):
    home = tmp_path / "home"
    home.mkdir()
    hook = home / "hooks" / "pre-commit"
    hook.parent.mkdir()
    hook.write_text("#!/bin/sh\nexit 1\n")
    hook.chmod(0o755)
    (home / ".gitconfig").write_text(
        f"[core]\n\thooksPath = {hook.parent}\n[commit]\n\tgpgsign = true\n[user]\n\tname=me\n"
    )
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("GIT_DIR", "/nowhere")
    folder = tmp_path / "session"
    folder.mkdir()
    (folder / "a.py").write_text("1\n")
    log = GitLog(folder)
    log.create(["a.py"], "first")
    monkeypatch.delenv("GIT_DIR", raising=False)
    assert git(folder, "log", "-1", "--format=%an <%ae>").strip() == "ai-sci <ai-sci@localhost>"


def test_restore_brings_back_and_removes(repository):
    first = repository.head()
    (repository.folder / "experiment.py").write_text("print(1)\n")
    (repository.folder / "notes.txt").write_text("new\n")
    repository.commit(["experiment.py", "notes.txt"], "edit")
    repository.restore(first, ["experiment.py", "notes.txt"])
    assert (repository.folder / "experiment.py").read_text() == "print(0)\n"
    assert not (repository.folder / "notes.txt").exists()


def test_rewind_drops_a_commit_that_was_never_journalled_but_keeps_results(repository):
    known = repository.head()
    run = repository.folder / "run_1"
    run.mkdir()
    (run / "final_info.json").write_text("{}")
    (repository.folder / "experiment.py").write_text("print(1)\n")
    repository.commit(["experiment.py", "run_1"], "run 1: ok")
    (repository.folder / ".git" / "index.lock").touch()
    repository.rewind(known, ["experiment.py"])
    assert repository.head() == known
    assert (repository.folder / "experiment.py").read_text() == "print(0)\n"
    assert (run / "final_info.json").exists()


def test_large_files_are_hashed_and_links_are_left_out(tmp_path):
    run = tmp_path / "run_1"
    run.mkdir()
    (run / "final_info.json").write_text("{}")
    (run / "weights.pt").write_bytes(b"0" * (LARGEST_TRACKED + 1))
    (run / "link").symlink_to("/etc/hostname")
    tracked, hashed = split_artefacts(tmp_path, run)
    assert tracked == ["run_1/final_info.json"]
    assert list(hashed) == ["run_1/weights.pt"]
    assert len(hashed["run_1/weights.pt"]) == 64


def test_git_s_refusal_is_one_line(repository):
    with pytest.raises(GitFailed, match="git reset failed") as caught:
        repository.rewind("0" * 40, ["experiment.py"])
    assert "\n" not in str(caught.value)


def test_a_run_of_many_files_and_a_long_message_are_committed(repository):
    """More than an argument list or one argument can hold."""
    run = repository.folder / "run_1"
    run.mkdir()
    for number in range(MOST_TRACKED + 200):
        (run / f"{'checkpoint_of_a_long_training' * 6}_{number}").write_text("x")
    tracked, hashed = split_artefacts(repository.folder, run)
    assert (len(tracked), len(hashed)) == (MOST_TRACKED, 200)
    repository.commit(tracked, "run 1: ok", {"Run": 1}, body="untracked\n" * 30_000)
    assert len(git(repository.folder, "ls-tree", "-r", "--name-only", "HEAD").splitlines()) == MOST_TRACKED + 1


def test_names_that_git_would_quote_or_take_for_patterns(repository):
    names = ["mod\u00e8le.py", "a*.py", ":(top)b.py"]
    for name in names:
        (repository.folder / name).write_text("1\n")
    commit = repository.commit(names, "edit")
    for name in names:
        (repository.folder / name).write_text("2\n")
    repository.restore(commit, names)
    assert [(repository.folder / name).read_text() for name in names] == ["1\n"] * 3


def test_a_removed_file_is_gone_from_the_commit_too(repository):
    (repository.folder / "helper.py").write_text("1\n")
    repository.commit(["helper.py"], "edit")
    (repository.folder / "helper.py").unlink()
    repository.commit(["helper.py", "never_there.py"], "run 1: closed")
    assert git(repository.folder, "ls-tree", "-r", "--name-only", "HEAD").split() == ["experiment.py"]
    assert git(repository.folder, "status", "--porcelain") == ""


def test_a_lock_that_a_killed_git_left_anywhere_is_removed(repository):
    (repository.folder / ".git" / "refs" / "heads" / "main.lock").touch()
    repository.rewind(repository.head(), ["experiment.py"])
    repository.commit([], "goes on")


def test_what_a_run_leaves_for_git_does_not_change_what_is_committed(repository):
    run = repository.folder / "run_1"
    (run / "checkpoints").mkdir(parents=True)
    for number in range(MOST_TRACKED + 5):
        (run / "checkpoints" / f"{number:05}").write_text("x")
    (run / "final_info.json").write_text('{"loss": 1}\r\n')
    (run / ".gitattributes").write_text("*.json working-tree-encoding=UTF-16LE-BOM\n*.json text\n")
    git(run, "init", "-q", ".")
    tracked, hashed = split_artefacts(repository.folder, run)
    assert tracked[0] == "run_1/final_info.json"
    commit = repository.commit(tracked, "run 1: ok")
    shown = subprocess.run(
        ["git", "show", f"{commit}:run_1/final_info.json"], cwd=repository.folder, capture_output=True
    )
    assert shown.stdout == b'{"loss": 1}\r\n'
    assert len(hashed) >= 5


def test_no_key_is_in_a_message(repository, monkeypatch):
    key = "sk-planted+0123/456=789"
    monkeypatch.setenv("OPENAI_API_KEY", key)
    repository.commit([], f"run 1 {key}", {"Metric": f"{key} 1"}, body=f"a '{key}'")
    assert git(repository.folder, "log", "-1", "--format=%B").split() == [
        *("run", "1", "OPENAI_API_KEY", "a", "'OPENAI_API_KEY'", "Metric:", "OPENAI_API_KEY", "1")
    ]
