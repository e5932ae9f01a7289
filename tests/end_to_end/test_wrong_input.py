"""Wrong input: one clear line, exit 2 or 3, nothing left half-made."""

from __future__ import annotations

import json
import re

import pytest

from tests.end_to_end.command import ai_sci
from tests.end_to_end.templates import good_session, make_template, write_script
from tests.old_git import refusing_git


@pytest.fixture
def template(tmp_path):
    return make_template(tmp_path / "template")


@pytest.fixture
def refused(tmp_path, template):
    """Runs the command, expects a refusal with this exit code, and returns its line."""

    def run(*args, code: int = 2, **env) -> str:
        done = ai_sci("run", "--template", template, *args, cwd=tmp_path, AI_SCI_CACHE=str(tmp_path / "cache"), **env)
        assert done.code == code, done.err
        assert done.out == ""
        runs = tmp_path / "runs"
        assert not runs.exists() or list(runs.iterdir()) == []
        return done.error

    return run


def test_an_unknown_idea_shows_the_nearest(refused):
    assert "more_steps" in refused("--idea", "more_stps")


def test_an_unknown_template_shows_the_nearest(tmp_path):
    done = ai_sci("run", "--template", "tinny", "--idea", "x", cwd=tmp_path)
    assert done.code == 2
    assert "tiny" in done.error


def test_malformed_ideas_name_file_and_line(refused, template):
    (template / "ideas.json").write_text('[{"Name": "a",\n  "Title": }]')
    assert "ideas.json:2" in refused("--idea", "a")


def test_a_malformed_template_names_file_and_line(refused, template):
    (template / "template.toml").write_text('[limits]\ntime = "soon"\n')
    assert "template.toml:2" in refused("--idea", "more_steps")


def test_a_folder_without_experiment(refused, template):
    (template / "experiment.py").unlink()
    assert "experiment.py" in refused("--idea", "more_steps")


def test_a_runs_folder_that_cannot_be_written(tmp_path, template):
    (tmp_path / "file").touch()
    model = write_script(tmp_path / "script", good_session())
    done = ai_sci(
        *(
            "run",
            "--template",
            template,
            "--idea",
            "more_steps",
            "--model",
            model,
            "--runs-dir",
            tmp_path / "file" / "runs",
        ),
        cwd=tmp_path,
    )
    assert done.code == 2
    assert "--runs-dir" in done.error


def test_a_model_that_litellm_does_not_know(refused):
    assert "nonsense-9" in refused("--idea", "more_steps", "--model", "nonsense-9")


def test_no_key_names_the_variable(refused):
    assert "DEEPSEEK_API_KEY" in refused("--idea", "more_steps", "--model", "deepseek/deepseek-reasoner")


def test_no_model_and_no_script(refused):
    assert "--model" in refused("--idea", "more_steps")


def test_a_script_without_replies(refused, tmp_path):
    (tmp_path / "empty").mkdir()
    assert "empty" in refused("--idea", "more_steps", "--model", f"scripted:{tmp_path / 'empty'}")


def test_a_broken_requirement_file(refused, template, tmp_path):
    (template / "requirements.txt").write_text("no-such-package-for-ai-sci==1.0\n--no-index\n")
    model = write_script(tmp_path / "script", good_session())
    line = refused("--idea", "more_steps", "--model", model, code=3)
    assert "no-such-package-for-ai-sci" in line


def test_no_network_while_building_the_environment(refused, template, tmp_path):
    (template / "requirements.txt").write_text("some-package==1.0\n--index-url http://127.0.0.1:9/simple\n")
    model = write_script(tmp_path / "script", good_session())
    line = refused(
        *("--idea", "more_steps", "--model", model),
        code=3,
        PIP_RETRIES="0",
        PIP_CONFIG_FILE="/dev/null",
        PIP_EXTRA_INDEX_URL="",
        PIP_FIND_LINKS="",
    )
    assert "connection" in line or "network" in line


@pytest.mark.parametrize(
    "option, value", [("--max-cost", "nan"), ("--max-gpu-hours", "inf"), ("--max-disk", "0"), ("--max-time", "soon")]
)
def test_a_budget_that_is_no_quantity(refused, option, value):
    assert option in refused("--idea", "more_steps", option, value)


def test_a_max_cost_without_a_price(refused, tmp_path):
    line = refused(
        *(
            "--idea",
            "more_steps",
            "--model",
            "openai/home-made",
            "--api-base",
            "http://127.0.0.1:9/v1",
            "--max-cost",
            "1",
        )
    )
    assert "price" in line


@pytest.mark.parametrize(
    "option, value",
    [("--timeout", "soon"), ("--memory", "much"), ("--set", "nokey"), ("--max-runs", "0"), ("--sandbox", "cage")],
)
def test_options_with_wrong_values(refused, option, value, tmp_path):
    model = write_script(tmp_path / "script", good_session())
    assert option in refused("--idea", "more_steps", "--model", model, option, value)


def test_an_interpreter_that_is_none(refused, tmp_path):
    model = write_script(tmp_path / "script", good_session())
    assert "--python" in refused("--idea", "more_steps", "--model", model, "--python", "/dev/null")


def test_a_missing_option_is_one_line(tmp_path):
    done = ai_sci("run", cwd=tmp_path)
    assert done.code == 2
    assert "--idea" in done.error


def test_show_and_resume_of_what_is_no_session(tmp_path):
    for command in ("show", "resume"):
        done = ai_sci(command, tmp_path, cwd=tmp_path)
        assert done.code == 2
        assert "journal.jsonl" in done.error


def test_new_does_not_write_over_a_folder(tmp_path, template):
    done = ai_sci("new", template, cwd=tmp_path)
    assert done.code == 2
    assert "not empty" in done.error


def test_doctor_names_what_is_missing(tmp_path):
    done = ai_sci("doctor", "--template", "tiny", cwd=tmp_path, AI_SCI_CACHE=str(tmp_path / "cache"))
    assert done.code == 0, done.out
    assert "sandbox: bwrap" in done.out and "a trial commit works" in done.out
    done = ai_sci("doctor", "--template", "tiny", cwd=tmp_path, PATH="/nowhere", AI_SCI_CACHE=str(tmp_path / "cache"))
    assert done.code == 2
    assert "install git" in done.out
    path = refusing_git(tmp_path / "git", "commit", "fatal: not today")
    done = ai_sci("doctor", "--template", "tiny", cwd=tmp_path, PATH=path, AI_SCI_CACHE=str(tmp_path / "cache"))
    assert done.code == 2 and re.search(
        r"\[fix \] .*a trial commit does not work: git commit .*: fatal: not today", done.out
    )


def test_a_batch_whose_git_refuses_is_not_opened(tmp_path, template):
    path = refusing_git(tmp_path / "git", "init", "fatal: not today")
    model = write_script(tmp_path / "script", good_session())
    done = ai_sci("batch", "--ideas", "all", "--template", template, "--model", model, cwd=tmp_path, PATH=path)
    assert done.code == 2 and "no session can be opened: git init failed" in done.error
    assert not list((tmp_path / "runs").iterdir())


def test_show_json_of_a_session_is_valid_before_anything_happened(tmp_path, template):
    """A folder whose journal holds one line: the harness was killed right after."""
    model = write_script(tmp_path / "script", good_session())
    done = ai_sci("run", "--template", template, "--idea", "more_steps", "--model", model, cwd=tmp_path)
    assert done.code == 0, done.err
    journal = done.session / "journal.jsonl"
    journal.write_bytes(journal.read_bytes().splitlines(keepends=True)[0])
    state = json.loads(ai_sci("show", done.session, "--json", cwd=tmp_path).out)
    assert state["status"] == "interrupted"
    assert state["baseline"]["verdict"] is None
