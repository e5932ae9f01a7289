"""The session's repository, with real git."""

from __future__ import annotations

import subprocess

import pytest

from agent.gitlog import LARGEST_TRACKED, GitFailed, GitLog, split_artefacts


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
