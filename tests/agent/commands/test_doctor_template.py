"""`ai-sci doctor --template` says what a run would say."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ai_sci.agent.commands.doctor import examine
from ai_sci.agent.commands.doctor_template import examine_template
from tests.end_to_end.templates import IDEA, make_template

RESULTS = {"toy": {"means": {"loss": 0.5, "steps": 10}}}


def findings(folder: Path) -> list[str]:
    return list(map(str, examine_template(str(folder))))


def of(folder: Path, word: str) -> str:
    return "\n".join(line for line in findings(folder) if word in line)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("AI_SCI_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def template(tmp_path):
    return make_template(tmp_path / "t")


def bring(template: Path, results: object) -> None:
    (template / "run_0").mkdir(exist_ok=True)
    (template / "run_0" / "final_info.json").write_text(json.dumps(results))


def test_a_template_that_runs(template):
    first, *rest = findings(template)
    assert first.startswith("[ ok ] template t")
    assert rest[0] == "[ ok ] files that a session copies: experiment.py, plot.py, template.toml"
    assert rest[1] == "[ ok ] ideas: more_steps"
    assert rest[2].startswith("[ ok ] baseline: a run measures it")
    assert rest[3].startswith("[ ok ] experiment environment: no requirement file, so /")


def test_what_a_session_would_not_copy(template):
    (template / "data").symlink_to("/mnt/none")
    (template / "plot.py").unlink()
    assert "[note] Not copied: data is a symbolic link to /mnt/none" in of(template, "data")
    assert "[note] The template has no plot.py" in of(template, "plot.py")
    with (template / "big.pt").open("wb") as file:
        file.truncate(1 << 30)
    assert of(template, "big.pt").startswith("[fix ] template t: ") and "move large files out" in of(template, "big.pt")


def test_ideas(template):
    (template / "ideas.json").write_text(json.dumps([IDEA, {**IDEA, "Experiment": "Other."}, {**IDEA, "Name": "b"}]))
    assert "[note] " in of(template, "is used already") and 'called "more_steps_2" here' in of(
        template, "is used already"
    )
    assert of(template, "ideas:") == "[ ok ] ideas: more_steps, more_steps_2, b"
    (template / "ideas.json").write_text('[{"Name": "a"}]')
    assert (
        of(template, "ideas.json")
        == f'[fix ] template t: {template}/ideas.json:1: the idea needs "Experiment", a non-empty string'
    )
    (template / "ideas.json").unlink()
    assert of(template, "ideas:").startswith("[note] ideas: the template has none")


def test_a_baseline_that_the_template_brings(template):
    bring(template, RESULTS)
    assert (
        of(template, "baseline")
        == "[ ok ] baseline: run_0/final_info.json, as the template brings it: loss 0.5, steps 10"
    )
    (template / "template.toml").write_text('[experiment]\nmetric = "toy/loss"\n')
    assert '[note] baseline: it has no "toy/loss"' in of(template, "baseline") and "only loss, steps" in of(
        template, "baseline"
    )
    (template / "template.toml").write_text('[checks]\nrules = ["loss > 1"]\n')
    assert "[fix ] baseline: loss is 0.5, must be > 1. A run would end as invalid_baseline" in of(template, "baseline")


@pytest.mark.parametrize(
    "results, why", [([1], "holds a list at the top"), ({"toy": {"means": {}}}, "holds no number")]
)
def test_a_baseline_that_cannot_be_read(template, results, why):
    bring(template, results)
    assert f"[fix ] baseline: run_0: final_info.json {why}" in of(template, "baseline")


@pytest.mark.parametrize(
    "text, why",
    [
        ("numpy==1.26.4\nnumpy=1.26.4=py311_0\n", "requirements.txt:2: "),
        ("# versions\n\nnumpy >\n", "requirements.txt:3: "),
        ("-r more.txt\n", "requirements.txt:1: there is no "),
        ("numpy @ file:///croot/numpy_17/work/dist/numpy.whl#sha256=1\n", "is not on this machine: name a version"),
        ("numpy \\\n  >=1.0 \\\n  ???\n", "requirements.txt:1: "),
    ],
)
def test_requirements_that_pip_would_refuse(template, text, why):
    (template / "requirements.txt").write_text(text)
    assert of(template, "requirements:").startswith("[fix ] requirements: ") and why in of(template, "requirements:")


def test_requirements_that_are_no_text(template):
    (template / "requirements.txt").write_bytes("numpy\n".encode("utf-16"))
    assert of(template, "requirements.txt:").endswith("requirements.txt:1: this is not UTF-8 text")


def test_requirements_that_pip_takes(template):
    (template / "more.txt").write_text("torch ; python_version < '3.13'  # why\n")
    (template / "requirements.txt").write_text(
        "--extra-index-url https://example.org/simple\n-r more.txt\n-c more.txt\nnumpy[a]~=1.2 ; os_name == 'posix'\n"
        "pandas==2.0 \\\n    --hash=sha256:00 \\\n    --hash=sha256:11\n-e ./lib\n./x.whl\ngit+https://example.org/x.git\n"
        "x @ https://example.org/x.whl\n"
    )
    assert of(template, "[fix ]") == ""
    assert of(template, "experiment environment").startswith("[note] experiment environment of t is not built yet")


def test_a_runs_folder_that_cannot_be_written(template, tmp_path):
    (tmp_path / "file").touch()
    found = [str(one) for one in examine(str(template), tmp_path / "file" / "runs")]
    assert (
        f"[note] runs folder {tmp_path}/file/runs: cannot write in {tmp_path}/file. Choose another --runs-dir" in found
    )
