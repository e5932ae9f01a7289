"""Packages outside an interpreter's own folders, which an experiment must see in the sandbox too."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from ai_sci.experiment.attempt.clean_env import experiment_env
from ai_sci.experiment.base import Allocation
from ai_sci.experiment.environment.environment import Environment, ensure_environment
from ai_sci.experiment.environment.linked_packages import linked_paths
from ai_sci.experiment.template.template import load_template
from tests.experiment.attempt.attempts import sandbox_of
from tests.experiment.template.folders import make_template

# As setuptools writes it for a project whose packages are not all below one folder.
FINDER = """\
from __future__ import annotations
import sys
from importlib.util import spec_from_file_location

MAPPING: dict[str, str] = {mapping!r}
NAMESPACES: dict[str, list[str]] = {namespaces!r}


class _EditableFinder:
    @classmethod
    def find_spec(cls, fullname, path=None, target=None):
        if fullname in MAPPING:
            return spec_from_file_location(fullname, MAPPING[fullname] + "/__init__.py")


def install():
    sys.meta_path.append(_EditableFinder)
"""


@pytest.fixture
def template(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AI_SCI_CACHE", str(tmp_path / "cache"))
    return load_template(str(make_template(tmp_path / "template")))


def make_package(folder: Path) -> Path:
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("ANSWER = 42\n")
    return folder


def said_inside(environment: Environment, code: str, folder: Path) -> str:
    """What Python prints in the sandbox of an attempt; tmp_path is hidden there, as a home folder is."""
    env = {**experiment_env(environment.python, None, False, Allocation()), **environment.variables}
    command = [str(environment.python), "-c", code]
    launch = sandbox_of("bwrap").wrap(command, folder, (), [folder, *environment.roots], env)
    done = subprocess.run(launch.argv, env=launch.env, capture_output=True, text=True)
    return done.stdout.strip() + done.stderr


def test_editable_installs_are_readable(tmp_path: Path, template) -> None:
    """By path, by a finder, and by a finder of another tool."""
    place = tmp_path / "venv"
    venv.create(place, symlinks=True)
    [packages] = place.glob("lib/python3*/site-packages")
    by_path, mapped, other = (make_package(tmp_path / "home" / name / "src" / name) for name in ("one", "two", "three"))
    (packages / "__editable__.one-1.pth").write_text(f"{by_path.parent}\n")
    (packages / "__editable___two_1_finder.py").write_text(FINDER.format(mapping={"two": str(mapped)}, namespaces={}))
    (packages / "__editable__.two-1.pth").write_text(
        "import __editable___two_1_finder; __editable___two_1_finder.install()\n"
    )
    (packages / "three-1.dist-info").mkdir()
    (packages / "three-1.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: three\nVersion: 1\n")
    project = other.parents[1]
    (packages / "three-1.dist-info" / "direct_url.json").write_text(
        f'{{"url": "{project.as_uri()}", "dir_info": {{"editable": true}}}}'
    )
    (tmp_path / "home" / "two" / ".env").write_text("KEY=secret")
    environment = ensure_environment(template, place, print)
    code = "import one, two, sys; sys.path.append(%r); import three; print(one.ANSWER + two.ANSWER + three.ANSWER)"
    assert said_inside(environment, code % str(other.parent), template.folder) == "126"
    hidden = f"import os; print(os.path.exists({str(tmp_path / 'home' / 'two' / '.env')!r}))"
    assert said_inside(environment, hidden, template.folder) == "False"


def test_what_pip_installed_for_the_user_is_found(tmp_path: Path, template, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    make_package(tmp_path / "home" / ".local" / "lib" / version / "site-packages" / "mine")
    (tmp_path / "home" / "secret").touch()
    base = Path(sys.base_prefix) / "bin" / version
    environment = ensure_environment(template, base, print)
    assert environment.variables == {"PYTHONUSERBASE": str(tmp_path / "home" / ".local")}
    code = f"import mine, os; print(mine.ANSWER, os.listdir({str(tmp_path / 'home')!r}))"
    assert said_inside(environment, code, template.folder) == "42 ['.local']"
    monkeypatch.setenv("PYTHONNOUSERSITE", "1")
    assert ensure_environment(template, base, print).variables == {}


def test_a_venv_has_nothing_of_the_user(tmp_path: Path, template, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    venv.create(tmp_path / "venv", symlinks=True)
    assert ensure_environment(template, tmp_path / "venv", print).variables == {}


def test_what_links_lead_to(tmp_path: Path) -> None:
    packages = tmp_path / "site-packages"
    packages.mkdir()
    source = make_package(tmp_path / "source" / "package").parent
    module = tmp_path / "modules" / "single.py"
    module.parent.mkdir()
    module.touch()
    (packages / "easy-install.pth").write_text(f"# a comment\n\nimport os\n../source\n{tmp_path}/gone\n")
    (packages / "__editable___a_finder.py").write_text(
        FINDER.format(mapping={"single": str(module.with_suffix(""))}, namespaces={"space": [str(source / "package")]})
    )
    (packages / "__editable___b_finder.py").write_text("MAPPING = {unreadable")
    (packages / "__editable___c_finder.py").write_text("MAPPING: dict = {'x': open('/etc/nosuch')}\n")
    for name, text in {"broken": "{", "other": '{"url": "https://example.org/x.whl"}', "list": "[]"}.items():
        (packages / f"{name}.dist-info").mkdir()
        (packages / f"{name}.dist-info" / "direct_url.json").write_text(text)
    assert {Path(os.path.normpath(path)) for path in linked_paths(packages)} == {source, source / "package", module}
