"""The command line as a whole: help, version, completion, the debug log."""

from __future__ import annotations

import io
import logging
import re
import subprocess
import sys
from typing import Any

import pytest

from ai_sci.agent.cli.debug_log import WithoutKeys
from ai_sci.agent.cli.standard_streams import make_streams_usable
from tests.end_to_end.command import ai_sci, environment
from tests.end_to_end.templates import good_session, make_template, write_script
from tests.servers import faults
from tests.servers.openai_strict import StrictServer

COMMANDS = ("run", "batch", "resume", "replay", "show", "watch", "report", "export", "new", "doctor")
KEY = "planted-key-of-nobody"
NAMED = re.compile(r"^Log for a bug report: (.+)$", re.MULTILINE)


def test_version(tmp_path):
    done = ai_sci("--version", cwd=tmp_path)
    assert (done.code, done.err) == (0, "")
    assert re.fullmatch(r"ai-sci \d+\.\d+\.\d+\S*\n", done.out)


def test_help_names_every_command_and_imports_nothing_heavy(tmp_path):
    argv = [sys.executable, "-X", "importtime", "-m", "ai_sci", "--help"]
    done = subprocess.run(argv, cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=60)
    assert done.returncode == 0
    for name in COMMANDS:
        assert re.search(rf"^  {name} ", done.stdout, re.MULTILINE)
    ours = {line.split("|")[-1].strip() for line in done.stderr.splitlines() if "ai_sci." in line}
    assert "ai_sci.agent.cli.app" in ours
    assert {name for name in ours if not name.startswith(("ai_sci.agent.cli", "ai_sci.__main__"))} <= {
        "ai_sci.agent",
        "ai_sci.import_path",
        "ai_sci.keys",
    }


@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_a_command(tmp_path, name):
    done = ai_sci(name, "--help", cwd=tmp_path)
    assert done.code == 0 and done.out.startswith(f"Usage: ai-sci {name} ")
    assert "landlock" not in done.out  # it is refused
    assert ("history:FILE#N" in done.out) == (name in ("run", "batch", "resume", "replay"))


@pytest.mark.parametrize(
    "line, offered",
    [
        ("ai-sci re", {"resume", "replay", "report"}),
        ("ai-sci run --max-g", {"--max-gpu-hours"}),
        ("ai-sci run --template t", {"tiny"}),
        ("ai-sci run --template tiny --idea fou", {"fourier_features"}),
        ("ai-sci run --template nosuch --idea x", set()),
    ],
)
def test_completion(tmp_path, line, offered):
    asked = {"_AI_SCI_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": str(len(line.split()) - 1)}
    done = ai_sci(cwd=tmp_path, **asked)
    assert (set(done.out.split()), done.err) == (offered, "")


@pytest.fixture
def temporary(tmp_path):
    """The environment of a command whose temporary files are seen by nobody else."""
    (tmp_path / "tmp").mkdir()
    return {"TMPDIR": str(tmp_path / "tmp"), "AI_SCI_CACHE": str(tmp_path / "cache")}


def log_of(done) -> str:
    (name,) = NAMED.findall(done.err)
    with open(name) as file:
        return file.read()


def test_the_debug_log_of_a_session_holds_no_key(tmp_path, temporary):
    template = make_template(tmp_path / "template")
    refusal = faults.status(429, f"the key {KEY} is used too often", headers={"Retry-After": "0"})
    with StrictServer(good_session(), [refusal]) as server:
        done = ai_sci(
            *("--debug", "run", "--template", template, "--idea", "more_steps", "--session", "s"),
            *("--model", "openai/strict-model", "--api-base", server.url.replace("//", f"//me:{KEY}2@")),
            cwd=tmp_path,
            **temporary,
            OPENAI_API_KEY=KEY,
            AI_SCI_RETRY_WAIT="0.02",
        )
    assert done.code == 0, done.err
    log = log_of(done)
    assert KEY not in log and "too often" not in log
    for line in ("HTTP 429 from 127.0.0.1", "HTTP 200 from 127.0.0.1", "s: RunClosed", "git commit"):
        assert line in log
    assert re.search(r"process \d+ ended with 0 after", log)
    assert f"{tmp_path}/runs/s" in done.out


@pytest.mark.parametrize(
    "argument",
    [f"token={KEY}", f"--engine-option=Password={KEY}", f"http://localhost/v1?a=1&token={KEY}&b=2", f"{KEY}\r\n"],
)
def test_the_debug_log_holds_no_key_of_an_argument(tmp_path, temporary, argument):
    """The log shows arguments as a repr, which escapes the line end of the key in the environment."""
    kept: dict[str, Any] = {"SOME_API_KEY": f"{KEY}\r\n"} if argument.startswith(KEY) else {}
    log = log_of(ai_sci("--debug", "show", "nosuch", argument, cwd=tmp_path, **temporary, **kept))
    assert KEY not in log and ("SOME_API_KEY" if kept else "***") in log


def test_the_debug_log_of_a_batch_holds_its_sessions(tmp_path, temporary):
    template = make_template(tmp_path / "template")
    model = write_script(tmp_path / "script", good_session())
    log = tmp_path / "debug.log"
    options = ("--ideas", "all", "--template", template, "--slots", "1", "--session", "night", "--model", model)
    done = ai_sci("batch", *options, cwd=tmp_path, **temporary, AI_SCI_DEBUG=str(log))
    assert done.code == 0, done.err
    assert NAMED.findall(done.err) == [str(log)]
    pids = {line.split()[2] for line in log.read_text().splitlines() if re.match(r"\d{4}-", line)}
    assert len(pids) == 2 and "RunClosed" in log.read_text()


def test_an_error_is_still_one_line_and_the_log_tells_more(tmp_path, temporary):
    done = ai_sci("--debug", "show", "nosuch", cwd=tmp_path, **temporary, AI_SCI_DEBUG=str(tmp_path / "debug.log"))
    assert done.code == 2 and "nosuch" in done.error
    assert "ConfigError" in log_of(done) and "Traceback" in log_of(done)


def test_without_debug_there_is_no_log(tmp_path, temporary):
    done = ai_sci("show", "nosuch", cwd=tmp_path, **temporary)
    assert done.code == 2 and not NAMED.search(done.err)
    assert list((tmp_path / "tmp").iterdir()) == []


def test_a_bug_leaves_its_traceback_in_a_log(tmp_path, temporary):
    """A library that is broken stands for a bug: nothing of ours expects it."""
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "rich").mkdir()
    (broken / "rich" / "__init__.py").write_text("raise ZeroDivisionError('planted')")
    argv = [sys.executable, "-m", "ai_sci", "watch", str(tmp_path)]
    env = environment(**temporary, PYTHONPATH=str(broken))
    done = subprocess.run(argv, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=60)
    assert done.returncode == 3, done.stderr
    found = re.fullmatch(
        r"ai-sci: a bug in ai-sci: ZeroDivisionError: planted\. Please report it with (\S+)\.\n", done.stderr
    )
    assert found, done.stderr
    with open(found[1]) as file:
        assert "Traceback" in file.read()


@pytest.mark.parametrize("name", ["stdout", "stderr"])
def test_streams_print_no_key(name, monkeypatch):
    monkeypatch.setenv("SOME_TOKEN", f"{KEY}\r\n")
    bytes_ = io.BytesIO()
    monkeypatch.setattr(sys, name, io.TextIOWrapper(bytes_, "ascii"))
    make_streams_usable()
    print(f"a {KEY}", "é", file=getattr(sys, name), flush=True)
    assert bytes_.getvalue() == b"a SOME_TOKEN ?\n"


@pytest.mark.parametrize(
    "shown",
    [
        {"api_key": KEY},
        {"headers": {"Authorization": f"Bearer {KEY}"}},
        {"X-Api-Key": KEY.encode()},
        [("authorization", KEY)],
        f"Basic {KEY}",
        repr(repr({"client_secret": KEY})),
        f'{{"access_token": "{KEY}", "n": 1}}',
    ],
)
def test_the_debug_log_hides_keys_that_are_in_no_variable(tmp_path, shown):
    record = logging.LogRecord("ai_sci", logging.DEBUG, "file", 1, "got %s", (shown,), None)
    record.args = (shown,)
    text = WithoutKeys("%(message)s").format(record)
    assert KEY not in text and "***" in text
