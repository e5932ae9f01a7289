"""The sandbox: what an experiment can see, reach and write; and what a machine without one is told."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from ai_sci.experiment.attempt.clean_env import secret_folders
from ai_sci.experiment.attempt.process import run_process
from ai_sci.experiment.base.errors import ConfigError
from ai_sci.experiment.base.limits import Limits
from ai_sci.experiment.base.verdict import Verdict
from ai_sci.experiment.sandbox.find import find_sandbox
from tests.experiment.attempt.attempts import Attempts, make_attempts, sandbox_of

SECRET = "sk-very-secret-7d1b"
REPOSITORY = Path(__file__).resolve().parents[3]


@pytest.fixture
def attempts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Attempts:
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    return make_attempts(tmp_path / "runs" / "session", "bwrap")


def ask(attempts: Attempts, code: str, **more: object) -> object:
    """What the program prints as JSON; it has to end well."""
    values = {"hidden": [], "readable": [], **more}
    spec = attempts.spec(f"import json, os\ndef say(x): print(json.dumps(x))\n{code}", Limits(time=20))
    spec = replace(spec, hidden=values["hidden"], readable=[*spec.readable, *values["readable"]])  # pyright: ignore
    done = run_process(spec, attempts.pieces.append)
    assert done.verdict is Verdict.ok, done.tail
    return json.loads(done.tail)


def can(attempts: Attempts, statement: str, **more: object) -> bool:
    """Whether the statement runs without an OSError."""
    return bool(ask(attempts, f"try:\n    {statement}\n    say(True)\nexcept OSError: say(False)", **more))


# --- the environment --------------------------------------------------------------------------------------------------


def test_no_key_in_any_environment(attempts: Attempts) -> None:
    code = "say([open(f'/proc/{n}/environ').read() for n in os.listdir('/proc') if n.isdigit()])"
    seen = ask(attempts, code)
    assert isinstance(seen, list) and len(seen) >= 2  # its own and that of the namespace's first process
    assert SECRET not in str(seen)
    names = {part.split("=")[0] for text in seen for part in text.split("\0")}
    assert names <= {"PATH", "HOME", "TMPDIR", "PWD", "OLDPWD", "PYTHONFAULTHANDLER", "LC_CTYPE", ""}


def test_the_environment_is_clean_without_a_sandbox_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    attempts = make_attempts(tmp_path / "session", "none")
    environment = ask(attempts, "say(dict(os.environ))")
    assert isinstance(environment, dict)
    assert set(environment) <= {
        "PATH",
        "HOME",
        "TMPDIR",
        "PYTHONFAULTHANDLER",
        "AI_SCI_ATTEMPT",
        "LC_CTYPE",
        "PWD",
        "OLDPWD",
        "SHLVL",
        "_",
    }
    assert not Path(environment["HOME"]).exists()  # its own, and removed


def test_the_harness_s_processes_are_not_there(attempts: Attempts) -> None:
    assert ask(attempts, "say(sorted(int(n) for n in os.listdir('/proc') if n.isdigit()))") == [1, 2]
    assert ask(attempts, "say(os.getppid())") == 1


# --- files ------------------------------------------------------------------------------------------------------------


def test_only_the_out_folder_can_be_written(attempts: Attempts, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "x").write_text("1")
    own = attempts.folder / "experiment.py"
    own.write_text("1")
    for place in (
        attempts.folder,
        data,
        Path(sys.prefix),
        "/usr",
        "/etc",
        "/var/tmp",
        "/run",
        Path.home(),
        "/dev",
        "/",
    ):
        assert not can(attempts, f"open({str(place)!r} + '/written-by-test', 'w')", readable=[data]), place
    for statement in (
        f"open({str(own)!r}, 'a')",
        f"os.unlink({str(own)!r})",
        f"os.chmod({str(own)!r}, 0o777)",
        "os.rename('out', 'gone')",
        f"os.link({str(own)!r}, 'out/link')",
    ):
        assert not can(attempts, statement), statement
    for place in ("out", "/tmp", "/dev/shm", "/tmp/home", "/dev/null"):
        file = place if place == "/dev/null" else f"{place}/written-by-test"
        assert can(attempts, f"open({file!r}, 'w')"), place
    assert (attempts.out / "written-by-test").exists() and own.read_text() == "1"
    assert not Path("/tmp/written-by-test").exists()
    assert ask(attempts, f"say(open({str(data / 'x')!r}).read())", readable=[data]) == "1"


def test_home_is_hidden_and_what_it_needs_is_put_back(
    attempts: Attempts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    (home / ".ssh").mkdir(parents=True)
    (home / ".ssh" / "id_rsa").write_text(SECRET)
    (home / "cache" / "data").mkdir(parents=True)
    (home / "cache" / "data" / "x").write_text("data")
    (home / "short").symlink_to(home / "cache")
    monkeypatch.setenv("HOME", str(home))
    data = home / "short" / "data"
    assert ask(attempts, f"say(sorted(os.listdir({str(home)!r})))", readable=[data]) == ["cache", "short"]
    assert ask(attempts, f"say(open({str(data)!r} + '/x').read())", readable=[data]) == "data"
    assert ask(attempts, f"say(open({str(data.resolve())!r} + '/x').read())", readable=[data]) == "data"
    assert not can(attempts, f"open({str(home / '.bashrc')!r}, 'w')", readable=[data])
    assert ask(attempts, "say([os.environ['HOME'], os.listdir(os.environ['HOME'])])") == ["/tmp/home", []]


def test_a_home_that_would_have_to_be_shown_whole_is_refused(
    attempts: Attempts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "runs"))
    with pytest.raises(ConfigError, match="is a home folder, which the sandbox hides"):
        ask(attempts, "say(1)", readable=[tmp_path / "runs"])


def test_other_sessions_are_hidden(attempts: Attempts, tmp_path: Path) -> None:
    other = tmp_path / "runs" / "other"
    other.mkdir()
    (other / "journal.jsonl").write_text(SECRET)
    names = f"say(os.listdir({str(tmp_path / 'runs')!r}))"
    assert ask(attempts, names) == ["session"]  # below /tmp everything that is not needed is hidden anyway
    assert ask(attempts, names, hidden=[tmp_path / "runs"], readable=[tmp_path]) == ["session"]
    assert sorted(ask(attempts, names, readable=[tmp_path])) == ["other", "session"]  # pyright: ignore


def test_a_session_reached_through_a_symlink(tmp_path: Path) -> None:
    real = make_attempts(tmp_path / "real", "bwrap")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    attempts = Attempts(tmp_path / "link", real.sandbox)
    assert ask(attempts, "open('out/x', 'w').write('1')\nsay(os.getcwd())") == str(tmp_path / "real")
    assert (real.out / "x").read_text() == "1"


# --- the network and other ways out -----------------------------------------------------------------------------------


def test_there_is_no_network(attempts: Attempts, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket(socket.AF_UNIX) as abstract:
        abstract.bind("\0ai-sci-test")
        abstract.listen()
        accepted: list[object] = []
        threading.Thread(target=lambda: accepted.append(server.accept()), daemon=True).start()
        port = server.getsockname()[1]
        tries = f"""
import socket
def attempt(action):
    try: action(); return "reached"
    except OSError as error: return "refused"
udp = lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).connect(("192.0.2.1", 53))
unix = lambda: socket.socket(socket.AF_UNIX).connect("\\0ai-sci-test")
loopback = lambda: socket.create_connection(("127.0.0.1", {port}), 2)
tcp = lambda: socket.create_connection(("192.0.2.1", 80), 2)
say([attempt(action) for action in (loopback, tcp, udp, unix)])
"""
        assert ask(attempts, tries) == ["refused"] * 4
        assert not accepted
        # The server is really there:
        socket.create_connection(("127.0.0.1", port), 2).close()


def test_no_capabilities_and_no_namespaces_of_its_own(attempts: Attempts) -> None:
    code = "say([l.split()[1] for l in open('/proc/self/status') if l.startswith(('CapEff', 'CapBnd', 'NoNewPrivs'))])"
    assert ask(attempts, code) == ["0" * 16, "0" * 16, "1"]
    assert ask(attempts, "import ctypes\nsay(ctypes.CDLL(None, use_errno=True).unshare(0x10000000))") == -1


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become somebody else")
def test_it_works_for_an_ordinary_user(tmp_path: Path) -> None:
    sandbox_of("bwrap")
    for folder in (tmp_path, *tmp_path.parents):
        if folder.stat().st_uid == os.getuid() and str(folder).startswith("/tmp/"):
            folder.chmod(0o755)
    session = tmp_path / "session"
    (session / "out").mkdir(parents=True)
    os.chown(session / "out", 65534, 65534)
    python = "/usr/bin/python3"
    if not os.access(python, os.X_OK):
        pytest.skip("there is no /usr/bin/python3 that another user could run")
    launch = find_sandbox("bwrap").wrap(
        [python, "-c", "open('out/x', 'w').write('1'); print(open('/proc/1/environ').read().count('KEY'))"],
        session,
        [session / "out"],
        [session],
        {"PATH": os.defpath},
    )
    done = subprocess.run(
        launch.argv, env=launch.env, capture_output=True, text=True, user=65534, group=65534, extra_groups=[]
    )
    assert (done.returncode, done.stdout.strip()) == (0, "0"), done.stderr
    assert (session / "out" / "x").read_text() == "1"


def test_folders_that_the_environment_names_as_the_place_of_keys_are_hidden(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = tmp_path / "keys"
    keys.mkdir()
    (keys / "token").write_text("secret")
    monkeypatch.setenv("HF_HOME", str(keys))
    monkeypatch.setenv("NETRC", "/etc/netrc")  # the system's folders stay
    assert secret_folders() == [keys]
    work = tmp_path / "work"
    work.mkdir()
    command = ["/bin/sh", "-c", f"cat {keys}/token /etc/shadow; ls /etc/hostname"]
    launch = find_sandbox().wrap(command, work, [work], [work], {"PATH": os.defpath}, secret_folders())
    done = subprocess.run(launch.argv, env=launch.env, capture_output=True, text=True)
    assert "secret" not in done.stdout and "root:" not in done.stdout
    assert "/etc/hostname" in done.stdout
