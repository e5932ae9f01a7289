"""The prepare step: real commands, run once for what they depend on, and stopped when they must be."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ai_sci.experiment.base.errors import ConfigError, EnvironmentFailed
from ai_sci.experiment.environment.environment import Environment
from ai_sci.experiment.environment.prepare import data_folder, ensure_prepared
from ai_sci.experiment.template.template import load_template
from tests.experiment.template.folders import gone, make_template

ROOT = Path(__file__).parents[3]
ENVIRONMENT = Environment(Path(sys.executable), "some-key", ())

TOML = """
[prepare]
command = ["python", "prepare.py"]
time = "20s"
[settings]
layer = 12
seed = 0
"""
PREPARE = """
import json, os, pathlib
data = pathlib.Path(os.environ["AI_SCI_DATA"])
settings = json.loads(pathlib.Path(os.environ["AI_SCI_SETTINGS"]).read_text())
with open(data / "log", "a") as log:
    log.write(f"{settings['layer']} {settings['seed']}\\n")
print("prepared layer", settings["layer"])
"""


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("AI_SCI_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def make(folder: Path, prepare: str = PREPARE, toml: str = TOML):
    return load_template(str(make_template(folder, toml, prepare_py=prepare)))


def failure(template, told=None) -> str:
    with pytest.raises(EnvironmentFailed) as caught:
        ensure_prepared(template, ENVIRONMENT, (told if told is not None else []).append)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def log_of(data: Path | None) -> list[str]:
    assert data is not None
    return (data / "log").read_text().splitlines()


def test_a_template_without_a_step(tmp_path, cache):
    assert ensure_prepared(load_template(str(make_template(tmp_path / "t"))), ENVIRONMENT, print) is None
    assert not cache.exists()


def test_it_runs_once_for_what_it_depends_on(tmp_path, cache):
    told: list[str] = []
    template = make(tmp_path / "t")
    data = ensure_prepared(template, ENVIRONMENT, told.append)
    assert data == data_folder(template) == cache / "data" / "t"
    assert told[0] == f"preparing the data of t, once for these settings, in {data}"
    assert told[1] == "prepared layer 12"
    assert told[2].startswith("data ready after ")

    told.clear()
    assert ensure_prepared(template, ENVIRONMENT, told.append) == data
    assert told == [] and log_of(data) == ["12 0"]

    # other settings, and back
    for overrides in ({"layer": "5"}, {"layer": "5"}, {}):
        ensure_prepared(load_template(str(tmp_path / "t"), overrides), ENVIRONMENT, told.append)
    assert log_of(data) == ["12 0", "5 0"]

    # other code beside it (an editable file does not count), another environment
    (tmp_path / "t" / "experiment.py").write_text("changed")
    (tmp_path / "t" / "ideas.json").write_text("changed")
    ensure_prepared(load_template(str(tmp_path / "t")), ENVIRONMENT, told.append)
    assert len(log_of(data)) == 2
    (tmp_path / "t" / "helper.py").write_text("changed = 1")
    ensure_prepared(load_template(str(tmp_path / "t")), ENVIRONMENT, told.append)
    assert len(log_of(data)) == 3
    ensure_prepared(load_template(str(tmp_path / "t")), Environment(Path(sys.executable), "other", ()), told.append)
    assert len(log_of(data)) == 4


def test_only_the_settings_it_names_count_but_it_sees_all(tmp_path):
    toml = TOML.replace('time = "20s"', 'settings = ["layer"]')
    data = ensure_prepared(make(tmp_path / "t", toml=toml), ENVIRONMENT, print)
    for overrides in ({"seed": "7"}, {"layer": "5", "seed": "7"}):
        ensure_prepared(load_template(str(tmp_path / "t"), overrides), ENVIRONMENT, print)
    assert log_of(data) == ["12 0", "5 7"]


def test_a_copy_of_the_template_such_as_a_session_s_is_prepared_already(tmp_path):
    template = make(tmp_path / "t")
    data = ensure_prepared(template, ENVIRONMENT, print)
    copy = tmp_path / "session" / "t"
    copy.mkdir(parents=True)
    for file in template.files():
        (copy / file).write_bytes((template.folder / file).read_bytes())
    (copy / "settings.json").write_text(json.dumps(template.settings))
    assert ensure_prepared(load_template(str(copy)), ENVIRONMENT, pytest.fail) == data
    assert log_of(data) == ["12 0"]


def test_a_failed_step_is_told_in_one_line_and_tried_again(tmp_path):
    told: list[str] = []
    template = make(tmp_path / "t", "print('loading')\nraise OSError('hub not reachable')\n")
    message = failure(template, told)
    assert message.startswith("the prepare step of t failed (exit code 1): OSError: hub not reachable; full output: ")
    assert "loading" in Path(message.rpartition("full output: ")[2]).read_text()
    assert "loading" in told
    assert "failed (exit code 1)" in failure(template)
    (tmp_path / "t" / "prepare.py").write_text(PREPARE)
    assert log_of(ensure_prepared(load_template(str(tmp_path / "t")), ENVIRONMENT, print)) == ["12 0"]


def test_a_step_that_kills_itself_or_says_nothing(tmp_path):
    template = make(tmp_path / "t", "import os; os.kill(os.getpid(), 9)")
    assert "failed (killed by signal 9): no output" in failure(template)


def test_a_step_that_hangs_is_stopped_with_its_children(tmp_path):
    code = (
        "import pathlib, subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(300)'])\n"
        f"pathlib.Path({str(tmp_path / 'pid')!r}).write_text(str(child.pid))\n"
        "print('started', flush=True)\ntime.sleep(300)\n"
    )
    template = make(tmp_path / "t", code, TOML.replace('"20s"', "1.5"))
    began = time.monotonic()
    assert "took longer than 2s ([prepare] time in template.toml)" in failure(template)
    assert time.monotonic() - began < 100
    assert gone(int((tmp_path / "pid").read_text()))


@pytest.mark.parametrize("command", ["exec sleep 300", "exec yes noise"], ids=["quiet", "noisy"])
def test_a_daemon_that_keeps_the_output_open_holds_nobody_up(tmp_path, command):
    code = (
        "import pathlib, subprocess\n"
        f"child = subprocess.Popen(['sh', '-c', {command!r}], start_new_session=True)\n"
        f"pathlib.Path({str(tmp_path / 'pid')!r}).write_text(str(child.pid))\n"
        "print('last line', end='')\n"
    )
    told: list[str] = []
    try:
        ensure_prepared(make(tmp_path / "t", code), ENVIRONMENT, told.append)
        assert any("last line" in line for line in told)
    finally:
        with contextlib.suppress(ProcessLookupError):  # the noisy one ends when nobody listens
            os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)


def test_what_the_step_can_see(tmp_path, monkeypatch):
    for name in ("OPENAI_API_KEY", "DEEPSEEK_API_KEY", "GITHUB_TOKEN", "DB_PASSWORD", "PYTHONPATH"):
        monkeypatch.setenv(name, "hidden")
    allowed = ("HF_TOKEN", "HF_HOME", "HTTPS_PROXY", "https_proxy", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "HARMLESS")
    for name in allowed:
        monkeypatch.setenv(name, "allowed")
    code = (
        "import json, os\n"
        "with open(os.environ['AI_SCI_DATA'] + '/env', 'w') as file: json.dump([dict(os.environ), os.getcwd()], file)\n"
    )
    data = ensure_prepared(make(tmp_path / "t", code), ENVIRONMENT, print)
    assert data is not None
    env, folder = json.loads((data / "env").read_text())
    assert "hidden" not in env.values()
    assert all(env[name] == "allowed" for name in allowed)
    assert folder == str(tmp_path / "t")
    assert env["PATH"].startswith(str(Path(sys.executable).parent) + os.pathsep)
    assert not Path(env["AI_SCI_SETTINGS"]).exists()  # it was a copy for the step alone


def test_progress_bars_and_colours(tmp_path):
    code = (
        "import sys\n"
        "for i in range(2000): sys.stdout.write(f'\\r{i}/2000')\n"
        "sys.stdout.buffer.write(b'\\n\\x1b[31mred\\x1b[0m \\xff\\r\\nend\\n')\n"
    )
    told: list[str] = []
    ensure_prepared(make(tmp_path / "t", code), ENVIRONMENT, told.append)
    assert told[1:-1] == ["1999/2000", "red \ufffd", "end"]


def test_a_quiet_step_is_seen_to_be_alive(tmp_path, monkeypatch):
    monkeypatch.setattr("ai_sci.experiment.base.child._QUIET", 0.5)
    told: list[str] = []
    ensure_prepared(make(tmp_path / "t", "import time; print('fetching'); time.sleep(1.6)"), ENVIRONMENT, told.append)
    assert any(line.startswith("still working, ") and line.endswith("s: fetching") for line in told)


def test_other_programs_and_missing_ones(tmp_path):
    script = tmp_path / "t" / "fetch.sh"
    template = make(tmp_path / "t", toml='[prepare]\ncommand = ["./fetch.sh", "a b"]\n')
    with pytest.raises(ConfigError, match='the prepare command "./fetch.sh" cannot be run'):
        ensure_prepared(template, ENVIRONMENT, print)
    script.write_text('#!/bin/sh\necho "$1" > "$AI_SCI_DATA/log"\n')
    script.chmod(0o755)
    assert log_of(ensure_prepared(template, ENVIRONMENT, print)) == ["a b"]


def other_process(folder: Path) -> subprocess.Popen[str]:
    code = (
        "import sys\nfrom pathlib import Path\n"
        "from ai_sci.experiment.environment.environment import Environment\n"
        "from ai_sci.experiment.environment.prepare import ensure_prepared\n"
        "from ai_sci.experiment.template.template import load_template\n"
        "environment = Environment(Path(sys.executable), 'some-key', ())\n"
        "ensure_prepared(load_template(sys.argv[1]), environment, lambda line: print(line, flush=True))\n"
    )
    command = [sys.executable, "-c", code, str(folder)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def test_two_processes_at_once_prepare_once(tmp_path):
    template = make(tmp_path / "t", PREPARE + "import time; time.sleep(1)\n")
    both = [other_process(tmp_path / "t") for _ in range(2)]
    outputs = [process.communicate(timeout=60)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0], outputs
    assert sum("another ai-sci is preparing the data of t; waiting for it" in output for output in outputs) == 1
    assert log_of(data_folder(template)) == ["12 0"]


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT], ids=["killed", "interrupted"])
def test_a_step_dies_with_the_harness_and_runs_again(tmp_path, how):
    pid, fast = tmp_path / "pid", tmp_path / "fast"
    code = f"""
import os, pathlib, time
pathlib.Path({str(pid)!r}).write_text(str(os.getpid()))
print("started", flush=True)
time.sleep(0 if os.path.exists({str(fast)!r}) else 300)
"""
    template = make(tmp_path / "t", code + PREPARE)
    process = other_process(tmp_path / "t")
    assert process.stdout is not None
    while "started" not in process.stdout.readline():
        pass
    process.send_signal(how)
    process.wait(timeout=10)
    process.stdout.close()
    assert gone(int(pid.read_text()))
    fast.touch()
    assert log_of(ensure_prepared(template, ENVIRONMENT, print)) == ["12 0"]
