"""Experiment environments: real venvs and a real pip, with packages made here, so that no network is needed."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ai_sci.experiment.base.cache import cache_root, hash_of, locked
from ai_sci.experiment.base.errors import ConfigError, EnvironmentFailed
from ai_sci.experiment.environment.environment import ensure_environment, is_ready
from ai_sci.experiment.environment.interpreters import find_interpreter
from ai_sci.experiment.environment.pip_errors import explain
from ai_sci.experiment.sandbox.find import find_sandbox
from ai_sci.experiment.template.template import load_template
from tests.experiment.template.folders import gone, make_source_package, make_template, make_wheel

ROOT = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("AI_SCI_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def template_with(folder: Path, *requirements: str):
    make_template(folder, requirements_txt="--no-index\n" + "".join(f"{line}\n" for line in requirements))
    return load_template(str(folder))


def output_of(python: Path, code: str) -> str:
    return subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def in_other_process(folder: Path, go: Path, told: Path) -> subprocess.Popen[str]:
    """Builds the environment of the template in `folder`, as soon as `go` exists."""
    code = (
        "import sys, time\nfrom pathlib import Path\n"
        "from ai_sci.experiment.environment.environment import ensure_environment\n"
        "from ai_sci.experiment.template.template import load_template\n"
        "folder, go, told = map(Path, sys.argv[1:])\n"
        "while not go.exists(): time.sleep(0.01)\n"
        "def tell(line):\n    with open(told, 'a') as file: file.write(line + '\\n')\n"
        "print(ensure_environment(load_template(str(folder)), None, tell).python)\n"
    )
    command = [sys.executable, "-c", code, str(folder), str(go), str(told)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for(path: Path, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not path.exists():
        assert time.monotonic() < deadline, f"{path} did not appear"
        time.sleep(0.02)


def left_in(cache: Path) -> list[str]:
    """The folders of environments, whole or not."""
    envs = cache / "envs"
    return sorted(path.name for path in envs.iterdir() if path.is_dir()) if envs.exists() else []


def test_it_is_built_once_and_holds_what_the_files_ask_for(tmp_path, cache):
    make_wheel(tmp_path / "t", "tinypkg", "1.0", "answer = 42")
    # needs something that cannot be found: only --no-deps installs it
    needy = make_wheel(tmp_path / "t", "needy", "2.0", "import tinypkg")
    make_template(
        tmp_path / "t",
        '[environment]\nrequirements = ["base.txt"]\nrequirements_no_deps = ["late.txt"]\n',
        base_txt="--no-index\n./tinypkg-1.0-py3-none-any.whl\n",
        late_txt=f"--no-index\n./{needy.name}\n",
    )
    template = load_template(str(tmp_path / "t"))
    told: list[str] = []
    assert not is_ready(template)
    environment = ensure_environment(template, None, told.append)
    assert is_ready(template)
    assert output_of(environment.python, "import needy, tinypkg; print(tinypkg.answer)") == "42"
    assert told[0].startswith("building the experiment environment of t from base.txt, late.txt, once, in ")
    assert any("Successfully installed tinypkg-1.0" in line for line in told)
    assert told[-1].startswith("experiment environment ready after ")
    # nothing of the harness is in it
    code = "import importlib.util as u; print(u.find_spec('pytest'), u.find_spec('litellm'))"
    assert output_of(environment.python, code) == "None None"
    home = (environment.python.parents[1] / "pyvenv.cfg").read_text().partition("home = ")[2].splitlines()[0]
    assert sys.prefix == sys.base_prefix or not Path(home).is_relative_to(sys.prefix)
    # the sandbox is told where it lives
    prefixes = output_of(environment.python, "import sys; print(sys.prefix); print(sys.base_prefix)").split("\n")
    for prefix in prefixes:
        assert any(Path(prefix).is_relative_to(root) for root in environment.roots)

    told.clear()
    assert ensure_environment(template, None, told.append) == environment
    assert told == []
    assert left_in(cache) == [environment.key]

    # other contents, another environment; comments do not count
    (tmp_path / "t" / "base.txt").write_text("--no-index\n# a comment\n\n./tinypkg-1.0-py3-none-any.whl\n")
    assert is_ready(load_template(str(tmp_path / "t")))
    make_wheel(tmp_path / "t", "tinypkg", "1.0", "answer = 43")
    assert not is_ready(load_template(str(tmp_path / "t")))

    # a copy of the template elsewhere, such as a session's, has the same one
    make_wheel(tmp_path / "t", "tinypkg", "1.0", "answer = 42")
    shutil.copytree(tmp_path / "t", tmp_path / "copy")
    assert is_ready(load_template(str(tmp_path / "copy")))


def test_included_files_and_local_sources_count(tmp_path):
    template = template_with(tmp_path / "t", "-r more.txt", "./local")
    (tmp_path / "t" / "more.txt").write_text("# nothing\n")
    local = make_source_package(tmp_path / "t" / "local", "local", "")
    keys = {_key(template)}
    (tmp_path / "t" / "more.txt").write_text("tinypkg==1.0\n")
    keys.add(_key(template))
    (local / "extra.py").write_text("x = 1")
    keys.add(_key(template))
    assert len(keys) == 3
    (local / "__pycache__").mkdir()
    (local / "__pycache__" / "extra.pyc").write_text("")
    assert _key(template) in keys


def _key(template) -> str:
    from ai_sci.experiment.environment.environment import _planned

    return _planned(template).key


def test_two_processes_at_once_build_it_once(tmp_path, cache):
    builds = tmp_path / "builds"
    make_source_package(
        tmp_path / "t" / "slow", "slow", f"import os, time\nopen({str(builds)!r}, 'a').write('build\\n')\ntime.sleep(1)"
    )
    template_with(tmp_path / "t", "./slow")
    go = tmp_path / "go"
    both = [in_other_process(tmp_path / "t", go, tmp_path / f"told{number}") for number in (1, 2)]
    go.touch()
    outputs = [process.communicate(timeout=120) for process in both]
    assert [process.returncode for process in both] == [0, 0], outputs
    assert outputs[0][0] == outputs[1][0]
    assert output_of(Path(outputs[0][0].strip()), "import slow; print(slow.answer)") == "42"
    assert builds.read_text() == "build\n"
    told = (tmp_path / "told1").read_text() + (tmp_path / "told2").read_text()
    assert told.count("building the experiment environment") == 1
    assert told.count("another ai-sci is building this experiment environment; waiting") == 1
    assert len(left_in(cache)) == 1


@pytest.mark.parametrize(
    "how",
    [
        pytest.param(signal.SIGKILL, id="killed"),
        pytest.param(signal.SIGINT, id="interrupted", marks=pytest.mark.slow),
    ],
)
def test_a_build_that_was_stopped_in_the_middle_is_built_again(tmp_path, cache, how):
    started, fast = tmp_path / "started", tmp_path / "fast"
    make_source_package(
        tmp_path / "t" / "slow",
        "slow",
        f"import os, time\nopen({str(started)!r}, 'w').write(str(os.getpid()))\n"
        f"time.sleep(0 if os.path.exists({str(fast)!r}) else 300)",
    )
    template = template_with(tmp_path / "t", "./slow")
    go = tmp_path / "go"
    go.touch()
    process = in_other_process(tmp_path / "t", go, tmp_path / "told")
    wait_for(started)
    time.sleep(0.2)
    process.send_signal(how)
    process.communicate(timeout=10)
    assert gone(int(started.read_text()))  # the build itself, a grandchild
    assert not is_ready(template)
    assert len(left_in(cache)) == (1 if how is signal.SIGKILL else 0)

    fast.touch()
    began = time.monotonic()
    told: list[str] = []
    environment = ensure_environment(template, None, told.append)
    assert output_of(environment.python, "import slow; print(slow.answer)") == "42"
    assert time.monotonic() - began < 200
    assert left_in(cache) == [environment.key]


def test_an_environment_whose_marker_is_missing_is_built_again(tmp_path):
    make_wheel(tmp_path / "t", "tinypkg", "1.0", "answer = 42")
    template = template_with(tmp_path / "t", "./tinypkg-1.0-py3-none-any.whl")
    environment = ensure_environment(template, None, lambda line: None)
    folder = environment.python.parents[1]
    (folder / ".complete").unlink()
    (folder / "litter").touch()
    assert ensure_environment(template, None, lambda line: None) == environment
    assert not (folder / "litter").exists()


@pytest.mark.parametrize(
    "requirement, words",
    [
        ("nosuch-package==1.0", "No matching distribution found for nosuch-package==1.0"),
        ("./broken", "building ./broken failed: RuntimeError: no compiler here"),
    ],
)
def test_a_broken_requirement(tmp_path, cache, requirement, words):
    make_source_package(tmp_path / "t" / "broken", "broken", "raise RuntimeError('no compiler here')")
    template = template_with(tmp_path / "t", requirement)
    with pytest.raises(EnvironmentFailed) as caught:
        ensure_environment(template, None, lambda line: None)
    message = str(caught.value)
    assert message.startswith(f"could not install {tmp_path}/t/requirements.txt: ")
    assert words in message and "network" not in message and "\n" not in message
    assert left_in(cache) == []
    log = Path(message.rpartition("full output: ")[2])
    assert words.rpartition(": ")[2] in log.read_text()


def test_no_network(tmp_path, cache, monkeypatch):
    monkeypatch.setenv("PIP_RETRIES", "1")
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", "")
    make_template(tmp_path / "t", requirements_txt="--index-url http://127.0.0.1:9/simple\nnosuch-package==1.0\n")
    with pytest.raises(EnvironmentFailed) as caught:
        ensure_environment(load_template(str(tmp_path / "t")), None, lambda line: None)
    message = str(caught.value)
    assert "no connection to the package index: " in message and "Connection refused" in message
    assert "check the network" in message and "repeat the command" in message
    assert left_in(cache) == []


def test_pip_errors_of_other_versions():
    def reason(*lines: str) -> tuple[str, bool]:
        failure = explain(lines)
        return failure.reason, failure.network

    conflict = "Cannot install a==1 and a==2 because these package versions have conflicting dependencies."
    assert reason(f"ERROR: {conflict}", "ERROR: ResolutionImpossible: for help visit x") == (conflict, False)
    assert reason("ERROR: Exception:", "Traceback", "x.ReadTimeoutError: Read timed out.")[1]
    no_space = "Could not install packages due to an OSError: [Errno 28] No space left on device"
    assert reason(f"ERROR: {no_space}") == (no_space, False)
    retry = (
        "WARNING: Retrying (Retry(total=4, connect=None)) after connection broken by 'ProxyError('Cannot connect to "
        "proxy.', OSError('Tunnel connection failed: 403 Forbidden'))': /simple/numpy/"
    )
    found, network = reason(retry, "ERROR: No matching distribution found for numpy")
    assert network and "Tunnel connection failed: 403 Forbidden" in found and "/simple/numpy/" in found
    # a hiccup that pip got over is not the reason
    assert reason(retry, "ERROR: Invalid requirement: 'x y'") == ("Invalid requirement: 'x y'", False)
    missing = "Could not open requirements file: [Errno 2] No such file or directory: 'missing.txt'"
    assert reason(f"ERROR: {missing}", "[notice] A new release of pip is available") == (missing, False)
    assert reason() == ("it said nothing", False)


def test_keys_are_hidden_from_the_packages_that_are_built(tmp_path, monkeypatch):
    for name in ("OPENAI_API_KEY", "AWS_SECRET_ACCESS_KEY", "MY_PASSWORD"):
        monkeypatch.setenv(name, "secret-value")
    monkeypatch.setenv("HF_TOKEN", "allowed")
    seen = tmp_path / "seen"
    make_source_package(
        tmp_path / "t" / "nosy", "nosy", f"import os\nopen({str(seen)!r}, 'w').write(str(dict(os.environ)))"
    )
    ensure_environment(template_with(tmp_path / "t", "./nosy"), None, lambda line: None)
    assert "secret-value" not in seen.read_text() and "allowed" in seen.read_text()


# Without requirement files, and with --python


def fake_python(folder: Path, script: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "python3"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def test_without_requirement_files_the_first_python3_that_starts(tmp_path, monkeypatch):
    template = load_template(str(make_template(tmp_path / "t")))
    base = Path(sys.base_prefix, "bin", f"python3.{sys.version_info.minor}")
    broken = fake_python(tmp_path / "broken", "exit 1")
    working = fake_python(tmp_path / "working", f'exec {base} "$@"')  # as the launchers of pyenv and conda do
    own = Path(sys.executable).parent
    monkeypatch.setenv("PATH", os.pathsep.join(map(str, [tmp_path / "none", broken.parent, own, working.parent])))
    environment = ensure_environment(template, None, lambda line: None)
    assert Path(environment.python).resolve() == Path(base).resolve()
    assert environment.key.startswith("python-")
    monkeypatch.setenv("PATH", str(broken.parent))
    with pytest.raises(ConfigError, match="no python3 on the PATH: pass --python PATH"):
        ensure_environment(template, None, lambda line: None)
    assert not cache_root().exists()


@pytest.mark.skipif(sys.prefix == sys.base_prefix, reason="the tests do not run in a venv")
def test_the_harness_s_own_venv_is_never_taken(tmp_path, monkeypatch):
    template = load_template(str(make_template(tmp_path / "t")))
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent))
    with pytest.raises(ConfigError, match="no python3"):
        ensure_environment(template, None, lambda line: None)


def test_an_interpreter_that_the_user_has(tmp_path):
    template = template_with(tmp_path / "t", "nosuch-package==1.0")  # would fail, but --python goes first
    environment = ensure_environment(template, Path(sys.executable), lambda line: None)
    assert environment.python == Path(sys.executable)  # not resolved: that would leave the venv
    assert ensure_environment(template, Path(sys.prefix), lambda line: None) == environment
    assert any(Path(sys.prefix).is_relative_to(root) for root in environment.roots)
    assert any(Path(sys.base_prefix).is_relative_to(root) for root in environment.roots)


def test_an_interpreter_that_other_links_lead_to_starts_in_the_sandbox(tmp_path):
    """As in a venv that Python 3.10 made from a venv; the sandbox hides the folder of the other one."""
    links = [tmp_path / "first" / "python", tmp_path / "second" / "python"]
    aim = Path(sys.base_prefix, "bin", "python3").resolve()
    for link in links:
        link.parent.mkdir()
        link.symlink_to(aim)
        aim = link
    (tmp_path / "first" / "key").write_text("secret")
    environment = ensure_environment(template_with(tmp_path / "t", ""), links[-1], lambda line: None)
    (work := tmp_path / "work").mkdir()
    command = [str(environment.python), "-c", "import os, sys; print(os.listdir(sys.argv[1]))", str(links[0].parent)]
    launch = find_sandbox("bwrap").wrap(command, work, [work], environment.roots, {"PATH": os.defpath})
    done = subprocess.run(launch.argv, env=launch.env, capture_output=True, text=True)
    assert done.stdout == "['python']\n", done.stderr


def test_an_interpreter_that_is_none(tmp_path):
    template = load_template(str(make_template(tmp_path / "t")))
    for path, words in [
        (tmp_path / "none", "there is no such interpreter"),
        (tmp_path, "there is no such interpreter"),
        (fake_python(tmp_path / "a", "echo hello"), "not a Python interpreter that starts"),
        (tmp_path / "t" / "experiment.py", "not a Python interpreter that starts"),
    ]:
        with pytest.raises(ConfigError, match=words):
            ensure_environment(template, path, lambda line: None)


# The cache


def test_where_the_cache_is(monkeypatch):
    monkeypatch.setenv("HOME", "/home/somebody")
    monkeypatch.setenv("AI_SCI_CACHE", "~/mine")
    assert cache_root() == Path("/home/somebody/mine")
    monkeypatch.delenv("AI_SCI_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/xdg")
    assert cache_root() == Path("/xdg/ai-sci")
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert cache_root() == Path("/home/somebody/.cache/ai-sci")


def test_a_cache_that_cannot_be_made(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("AI_SCI_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(ConfigError, match="cannot make the cache folder .*: set AI_SCI_CACHE"):
        ensure_environment(template_with(tmp_path / "t", "x"), None, lambda line: None)


def test_a_lock_is_freed_by_the_death_of_its_holder(tmp_path):
    code = (
        "import sys, time\nfrom pathlib import Path\nfrom ai_sci.experiment.base.cache import locked\n"
        "with locked(Path(sys.argv[1])):\n    Path(sys.argv[2]).touch()\n    time.sleep(300)\n"
    )
    held = tmp_path / "held"
    holder = subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "lock"), str(held)], cwd=ROOT)
    wait_for(held)
    waited: list[str] = []

    def waiting() -> None:
        waited.append("once")
        holder.kill()

    with locked(tmp_path / "lock", waiting):
        assert waited == ["once"]
    holder.wait()
    with locked(tmp_path / "lock", lambda: pytest.fail("nobody holds it")):
        pass


def test_a_child_that_outlives_the_work_does_not_keep_the_lock(tmp_path):
    with locked(tmp_path / "lock") as descriptor:
        child = subprocess.Popen(["sleep", "300"], pass_fds=(descriptor,))
    try:
        with locked(tmp_path / "lock", lambda: pytest.fail("it is still held")):
            pass
    finally:
        child.kill()
        child.wait()


def test_hashes_tell_parts_apart():
    parts = [("ab", "c"), ("a", "bc"), ("abc",), (b"ab", "c"), ({"a": 1},), ({"a": 1.0},), ([1, None],), ([1], None)]
    assert len({hash_of(*part) for part in parts}) == len(parts)
    assert hash_of({"a": 1, "b": 2}) == hash_of({"b": 2, "a": 1})


def test_a_template_that_asks_for_another_python_gets_one_from_the_path(tmp_path):
    own = find_interpreter(None)
    assert find_interpreter(">=3.10") == own
    with pytest.raises(ConfigError, match="needs Python ==3.5.\\*"):
        find_interpreter("==3.5.*")
    for minor in (10, 11, 12):
        try:
            found = find_interpreter(f"==3.{minor}.*")
        except ConfigError:
            continue  # this machine has not got it
        assert found.number.startswith(f"3.{minor}.")


def test_versions_of_python_are_read_from_the_template(tmp_path):
    template = make_template(tmp_path / "t", template_toml='[environment]\npython = "3.11"\n')
    with pytest.raises(ConfigError, match="template.toml:2"):
        load_template(str(template))
    (template / "template.toml").write_text('[environment]\npython = ">=3.11,<3.13"\n')
    assert load_template(str(template)).python == ">=3.11,<3.13"
