"""A template is copied, never the world: what lies in its folder beside it stays there."""

from __future__ import annotations

import dataclasses
import os
import subprocess
from pathlib import Path

import pytest

from ai_sci.experiment.attempt.baseline import baseline_key, conditions_key
from ai_sci.experiment.base.errors import ConfigError
from ai_sci.experiment.environment.environment import Environment
from ai_sci.experiment.environment.requirements import content_of
from ai_sci.experiment.template.template import load_template
from tests.experiment.template.folders import make_template

ENVIRONMENT = Environment(Path("/usr/bin/python3"), "an-environment", ())

NO_PLOT = "The template has no plot.py, so plots are drawn only if the model writes one."


def fill(folder: Path, *names: str) -> Path:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{name}\n")
    return folder


def copied(folder: Path) -> set[str]:
    return set(map(str, load_template(str(folder)).files())) - {"experiment.py", "template.toml"}


def told(folder: Path) -> str:
    return "\n".join(line for line in load_template(str(folder)).start_notes() if line != NO_PLOT)


def refused(folder: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        load_template(str(folder)).start_notes()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def git(folder: Path, *args: str) -> None:
    subprocess.run(["git", "-C", folder, *args], check=True, capture_output=True)


# What programs leave


@pytest.mark.parametrize(
    "left",
    [
        ("runs/20260101_idea/journal.jsonl", "runs/20260101_idea/experiment.py", "runs/notes.log"),
        ("my/results/a/journal.jsonl", "my/results/a/attempts/run_1.1/code/experiment.py", "my/results/b.log"),
        ("runs/night/batch.jsonl", "runs/night/a/journal.jsonl", "runs/night/logs/a.log"),
        ("a_session/journal.jsonl", "a_session/model.pt"),
        ("runs.detached.log", "runs/job.detached.log"),
        ("nohup.out", "slurm-123.out", "slurm-123_4.out"),
        ("env/pyvenv.cfg", "env/bin/python", "env/lib/python3.11/site-packages/numpy/x.py"),
        ("tools/env/pyvenv.cfg", "tools/env/lib/x.py"),
        ("conda/conda-meta/history", "conda/lib/x.py"),
        ("old/bin/activate", "old/lib/x.py"),
        ("bin/activate", "bin/python3", "lib/python3.11/site-packages/numpy/x.py"),
        (".git/HEAD", ".venv/bin/python", ".pytest_cache/x", ".mypy_cache/x", ".ruff_cache/x"),
        (".ipynb_checkpoints/experiment-checkpoint.py", "lib/.ipynb_checkpoints/x.py", "__pycache__/x.pyc"),
        ("lib/__pycache__/x.cpython-311.pyc", "lib/x.pyc"),
        ("cache/CACHEDIR.TAG", "cache/0123/abc"),
        ("wandb/run-1/files/config.yaml", "wandb/debug.log", "lib/wandb/x"),
        ("mlruns/0/meta.yaml",),
    ],
)
def test_what_programs_leave_is_not_copied(tmp_path, left):
    folder = fill(make_template(tmp_path / "t"), "lib/model.py", "small.csv")
    before = load_template(str(folder))
    key = baseline_key(before, ENVIRONMENT, "a machine")
    fill(folder, *left)
    assert copied(folder) == {"lib/model.py", "small.csv"}
    assert baseline_key(load_template(str(folder)), ENVIRONMENT, "a machine") == key
    assert told(folder) == ""


@pytest.mark.parametrize(
    "kept", ["wandb/__init__.py", "runs/helper.py", "data/train.csv", "lib/env/maze.py", "outputs"]
)
def test_a_templates_own_folders_are_copied(tmp_path, kept):
    assert copied(fill(make_template(tmp_path / "t"), kept)) == {kept}


def test_the_key_of_a_baseline_is_the_one_it_has_always_been(tmp_path):
    """Otherwise everybody's baselines were measured again."""
    folder = make_template(tmp_path / "t", "[settings]\nrate = 0.1\n", plot_py="")
    fill(folder, "lib/data.csv").joinpath("lib/data.csv").write_text("1,2\n")
    for _ in range(2):
        template = load_template(str(folder))
        assert baseline_key(template, ENVIRONMENT, "a machine") == "dce3fd44d63ee427dfe4"
        assert conditions_key(template, ENVIRONMENT, "a machine") == "1d969c8a3e0f98ddb270"
        (folder / ".gitignore").write_text("*.tmp\n")
        fill(folder, "runs/a/journal.jsonl", "env/pyvenv.cfg", "lib/x.tmp", "wandb/x")


def test_files_that_come_after_a_template_was_read_are_not_its_own(tmp_path):
    template = load_template(str(make_template(tmp_path / "t")))
    first = template.files()
    fill(template.folder, "runs/unfinished/experiment.py", "later.py")
    assert template.files() == first


def test_a_package_in_the_templates_folder_is_the_same_package_after_a_run(tmp_path):
    folder = fill(make_template(tmp_path / "t", requirements_txt="-e ../t\n"), "setup.py", "lib/x.py", "README.md")
    (line, before) = content_of(folder / "requirements.txt", folder)
    fill(folder, "runs/a/journal.jsonl", "runs/a/experiment.py", "env/pyvenv.cfg", "wandb/run-1/x")
    assert content_of(folder / "requirements.txt", folder) == [line, before]
    fill(folder, "lib/y.py")
    assert content_of(folder / "requirements.txt", folder) != [line, before]


# .gitignore


def test_what_gitignore_names_is_not_copied_and_said(tmp_path):
    folder = fill(
        make_template(tmp_path / "t"),
        *(
            "big/a.npz",
            "big/b/c.npz",
            "out.log",
            "lib/keep.log",
            "lib/x.log",
            "lib/deep/y.tmp",
            "lib/deep/z.tmp",
            "a b.x",
        ),
    )
    (folder / ".gitignore").write_text("# data\n/big/\n*.log\n*.x\n")
    (folder / "lib" / ".gitignore").write_text("!keep.log\n*.tmp\n")
    (folder / "lib" / "deep" / ".gitignore").write_text("!z.tmp\n")
    assert copied(folder) == {"lib/keep.log", "lib/deep/z.tmp"}
    assert told(folder) == (
        "Not copied, because .gitignore names it: a b.x, big, out.log, lib/x.log, lib/deep/y.tmp. If the experiment "
        "needs it, name it in [experiment] copy in template.toml."
    )


def test_a_file_below_an_ignored_folder_cannot_be_included_again_as_in_git(tmp_path):
    folder = fill(make_template(tmp_path / "t"), "data/train.csv", "other/train.csv", "other/test.csv")
    (folder / ".gitignore").write_text("data/\n!data/train.csv\nother/*\n!other/train.csv\n")
    assert copied(folder) == {"other/train.csv"}


@pytest.mark.parametrize("rules", ["*\n", "*.py\n*.toml\n*.txt\n*.json\n", "/experiment.py\nlib\n"])
def test_what_a_template_cannot_do_without_is_copied_whatever_gitignore_says(tmp_path, rules):
    toml = '[experiment]\neditable = ["experiment.py", "lib/model.py"]\n[prepare]\ncommand = ["python", "prepare.py"]\n'
    folder = make_template(tmp_path / "t", toml, requirements_txt="", prompt_json="{}", prepare_py="", plot_py="")
    fill(folder, "lib/model.py", "run_0/final_info.json")
    (folder / ".gitignore").write_text(rules)
    assert copied(folder) >= {"lib/model.py", "prepare.py", "prompt.json", "requirements.txt", "plot.py"}
    template = load_template(str(folder))
    assert Path("experiment.py") in template.files() and template.brings_baseline


def test_copy_names_files_that_come_though_they_are_ignored_or_large(tmp_path):
    folder = make_template(tmp_path / "t", '[experiment]\ncopy = ["./data/*.npz", "weights/"]\n')
    fill(folder, "data/a.npz", "data/a.txt", "weights/w/x.pt", "rest/x")
    with (folder / "data" / "a.npz").open("wb") as file:
        file.truncate(200 * 1024**2)
    (folder / ".gitignore").write_text("data\nweights\nrest\n")
    assert copied(folder) == {"data/a.npz", "weights/w/x.pt"}
    assert told(folder).startswith("Not copied, because .gitignore names it: rest, data/a.txt.")


def test_only_the_templates_own_gitignore_counts(tmp_path, monkeypatch):
    """A file that a repository around it, or the user's own git, ignores has always been copied."""
    git(fill(tmp_path / "repo", "README.md"), "init", "-q")
    (tmp_path / "repo" / ".gitignore").write_text("*.csv\n")
    home = fill(tmp_path / "home", ".config/git/ignore")
    (home / ".config" / "git" / "ignore").write_text("*.txt\n")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "nowhere"))
    folder = fill(make_template(tmp_path / "repo" / "t"), "a.csv", "b.txt", "c.log")
    (folder / ".gitignore").write_text("*.log\n")
    assert copied(folder) == {"a.csv", "b.txt"}


def test_a_tracked_file_is_not_ignored_as_in_git(tmp_path):
    folder = fill(make_template(tmp_path / "repo" / "t"), "data/kept.csv", "data/rest.csv", "kept.bin", "rest.bin")
    (folder / ".gitignore").write_text("data/\n*.bin\n")
    git(tmp_path / "repo", "init", "-q")
    git(tmp_path / "repo", "add", "-f", "t/data/kept.csv", "t/kept.bin")
    assert copied(folder) == {"data/kept.csv", "kept.bin"}


def test_names_that_git_could_take_for_something_else(tmp_path):
    names = (":(top)x", "-n", "new\nline", "ü.csv", "star*.csv", "#x", "!x")
    folder = fill(make_template(tmp_path / "t"), *names, "gone.tmp")
    (folder / os.fsdecode(b"\xff.csv")).write_text("")
    (folder / ".gitignore").write_text("*.tmp\n")
    assert copied(folder) == {*names, os.fsdecode(b"\xff.csv")}


def test_without_git_it_is_said(tmp_path, monkeypatch):
    folder = make_template(tmp_path / "t")
    (folder / ".gitignore").write_text("*.tmp\n")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "install git" in refused(folder)


# Links and sizes


@pytest.mark.parametrize("rules", ["", "data\n", "*\n"])
def test_a_link_to_a_folder_is_said(tmp_path, rules):
    fill(tmp_path / "elsewhere", "train.csv")
    folder = make_template(tmp_path / "t")
    (folder / ".gitignore").write_text(rules)
    (folder / "data").symlink_to("../elsewhere")
    assert copied(folder) == set()
    line = told(folder)
    assert line.startswith(f"Not copied: data is a symbolic link to the folder {tmp_path / 'elsewhere'}. ")
    assert "absolute path" in line and "[prepare]" in line


def test_a_link_that_leads_nowhere_is_said_and_one_to_a_file_is_copied(tmp_path):
    fill(tmp_path, "table.csv")
    folder = make_template(tmp_path / "t")
    (folder / "data").symlink_to("/mnt/not/mounted")
    (folder / "table.csv").symlink_to("../table.csv")
    assert copied(folder) == {"table.csv"}
    assert told(folder) == "Not copied: data is a symbolic link to /mnt/not/mounted, which does not exist."


def test_a_link_to_sessions_is_no_data(tmp_path):
    fill(tmp_path / "scratch", "a/journal.jsonl")
    folder = make_template(tmp_path / "t")
    (folder / "runs").symlink_to(tmp_path / "scratch")
    assert (copied(folder), told(folder)) == (set(), "")


def test_a_large_file_is_refused_with_what_to_do(tmp_path):
    folder = fill(make_template(tmp_path / "t"), "weights/model.pt")
    with (folder / "weights" / "model.pt").open("wb") as file:
        file.truncate(100 * 1024**2)
    assert told(folder) == ""
    with (folder / "weights" / "model.pt").open("wb") as file:
        file.truncate(101 * 1024**2)
    line = refused(folder)
    assert line.startswith(
        f"{folder}/weights/model.pt is 101M, but every session copies the template, and no file in it may exceed 100M: "
    )
    assert "move large files out" in line and ".gitignore" in line and "[experiment] copy" in line
    (folder / ".gitignore").write_text("*.pt\n")
    assert "because .gitignore names it: weights/model.pt" in told(folder)


def test_a_large_file_among_the_results_is_refused_too(tmp_path):
    folder = fill(make_template(tmp_path / "t"), "run_0/checkpoints/last.ckpt")
    with (folder / "run_0" / "checkpoints" / "last.ckpt").open("wb") as file:
        file.truncate(5 * 1024**3)
    assert told(folder) == "", "without results it is no baseline, and not copied"
    (folder / "run_0" / "final_info.json").write_text('{"loss": 1}')
    line = refused(folder)
    assert line.startswith(f"{folder}/run_0/checkpoints/last.ckpt is 5G, but ") and ".gitignore" not in line
    (folder / "template.toml").write_text('[experiment]\ncopy = ["run_0/checkpoints/*"]\n')
    assert told(folder) == ""


def test_many_files_that_are_large_together_are_refused(tmp_path):
    folder = fill(make_template(tmp_path / "t"), *(f"shards/{number:02d}" for number in range(12)))
    for path in (folder / "shards").iterdir():
        with path.open("wb") as file:
            file.truncate(99 * 1024**2)
    assert "holds 13 files" in refused(folder) and "it may not exceed 1G" in refused(folder)


def test_other_peoples_records_are_no_session(tmp_path):
    folder = make_template(tmp_path / "t")
    for name in ("batch.jsonl", "data/batch.jsonl", "data/medline/journal.jsonl"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text('{"custom_id": "request-1", "method": "POST"}\n')
    assert copied(folder) == {"batch.jsonl", "data/batch.jsonl", "data/medline/journal.jsonl"}
    assert told(folder) == ""


def test_a_session_is_no_template(tmp_path):
    folder = fill(make_template(tmp_path / "t"), "journal.jsonl")
    assert refused(folder) == f"{folder} is a session, not a template: name the template that it began with"


@pytest.mark.parametrize(
    "toml, files, said",
    [
        ("", {}, True),
        ('[experiment]\neditable = ["experiment.py", "plot.py"]\n', {}, True),
        ('[experiment]\neditable = ["experiment.py"]\n', {}, False),
        ("", {"plot_py": ""}, False),
    ],
)
def test_a_template_without_plot_py_that_lists_it_is_told_so(tmp_path, toml, files, said):
    template = load_template(str(make_template(tmp_path / "t", toml, **files)))
    assert template.start_notes() == [NO_PLOT] * said
    assert dataclasses.replace(template, copied=()).start_notes() == [], "once: not when a session is resumed"
