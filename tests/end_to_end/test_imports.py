"""ai-sci started in folders that a model has edited: nothing of them is ever imported into its own processes.

The hostile files write down where they were executed; not in the sandbox, whose environment has no variable of ours.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

import pytest

from ai_sci.import_path import python_argv
from tests.end_to_end.command import ROOT, Done, environment
from tests.end_to_end.templates import EXPERIMENT, good_session, make_template, write_script

HOSTILE = """\
import os
if "AI_SCI_TEST_MARK" in os.environ:
    with open(os.environ["AI_SCI_TEST_MARK"], "a") as mark:
        mark.write(f"{__file__} was executed as {__name__}\\n")
"""
# Names that our packages had once, and of libraries that are imported late.
NAMES = ("agent", "experiment", "typer", "git", "litellm", "submitit", "plotly", "aider")
# How the command is started, and with what in PYTHONPATH.
FORMS = [(form, path) for form in ("script", "module") for path in (None, ":", ".", ".:", "../template:../../template")]


@dataclass(frozen=True)
class Scene:
    """A hostile template and, when `run` has made it, a hostile session; `python` has ai-sci installed."""

    folder: Path
    python: Path

    @property
    def template(self) -> Path:
        return self.folder / "template"

    @property
    def session(self) -> Path:
        return self.folder / "runs" / "s"

    @property
    def mark(self) -> Path:
        return self.folder / "mark"

    def environment(self, path: str | None) -> dict[str, str]:
        env = environment(AI_SCI_CACHE=str(self.folder / "cache"), AI_SCI_TEST_MARK=str(self.mark))
        env.pop("PYTHONPATH", None)
        return env if path is None else {**env, "PYTHONPATH": path}

    def ai_sci(self, form: str, path: str | None, *args: str | Path, cwd: Path) -> Done:
        script = [str(self.python.with_name("ai-sci"))]
        argv = script if form == "script" else [str(self.python), "-m", "ai_sci"]
        done = subprocess.run(
            [*argv, *map(str, args)],
            cwd=cwd,
            env=self.environment(path),
            capture_output=True,
            text=True,
            timeout=240,
            stdin=subprocess.DEVNULL,
        )
        assert not self.mark.exists(), f"{self.mark.read_text()}\n{argv} {args} with PYTHONPATH={path} in {cwd}"
        return Done(done.returncode, done.stdout, done.stderr)

    def poison(self, folder: Path) -> None:
        for name in NAMES:
            if name != "experiment":  # the template's own, which has to run
                (folder / f"{name}.py").write_text(HOSTILE)

    def everything(self, form: str, path: str | None) -> None:
        """run and batch in the template's folder; show, resume, report and replay in the session's."""
        shutil.rmtree(self.folder / "runs", ignore_errors=True)
        first, *rest = good_session()
        unfinished = write_script(self.folder / "unfinished", [first])
        complete = write_script(self.folder / "complete", [first, *rest])
        options = ("--template", ".", "--runs-dir", "../runs")
        run = (*options, "--idea", "more_steps", "--session", "s", "--model", unfinished)
        done = self.ai_sci(form, path, "run", *run, cwd=self.template)
        assert done.code == 3 and "bug" not in done.err, done.err
        self.poison(self.session)
        assert HOSTILE in (self.session / "experiment.py").read_text()
        for args, code in (
            (("show", "."), 0),
            (("resume", ".", "--model", complete), 0),
            (("show", ".", "--json"), 0),
            (("report", "."), 0),
            (("report", ".", "--check", "report.html"), 0),
            (("watch", ".", "--once"), 0),
        ):
            done = self.ai_sci(form, path, *args, cwd=self.session)
            assert done.code == code, (args, done.err)
        batch = (*options, "--ideas", "all", "--slots", "1", "--session", "b", "--model", complete)
        done = self.ai_sci(form, path, "batch", *batch, cwd=self.template)
        assert done.code == 0, done.err


def make_scene(folder: Path, python: Path) -> Scene:
    scene = Scene(folder, python)
    make_template(scene.template, experiment_py=HOSTILE + EXPERIMENT)
    scene.poison(scene.template)
    return scene


@pytest.fixture
def scene(tmp_path) -> Scene:
    return make_scene(tmp_path, Path(sys.executable))


def test_the_mark_is_made_when_python_imports_from_there(scene):
    argv = [sys.executable, "-c", "import agent, experiment, litellm"]
    subprocess.run([*argv, "--out_dir", scene.folder / "out"], cwd=scene.template, env=scene.environment(None))
    assert len(scene.mark.read_text().splitlines()) == 3


@pytest.mark.parametrize("form, path", FORMS)
def test_every_form_of_starting_it(scene, form, path):
    """Cheap commands that import typer and much of ours, in a template that also looks like a session."""
    assert scene.ai_sci(form, path, "show", ".", cwd=scene.template).code == 2  # there is no journal
    assert scene.ai_sci(form, path, "doctor", "--template", ".", cwd=scene.template).code == 0


def test_every_command_in_hostile_folders(scene):
    scene.everything("module", ".:")


@pytest.mark.slow
@pytest.mark.parametrize("form, path", FORMS)
def test_every_command_however_it_is_started(scene, form, path):
    scene.everything(form, path)


@pytest.mark.parametrize("path", [None, ":", "."])
def test_a_python_that_we_start(scene, path):
    """`--detach` starts ai-sci so, the jobs of `--engine slurm` submitit."""
    for module, arguments in (("ai_sci", ["--version"]), ("submitit.core._submit", ["--help"])):
        argv = python_argv(module, *arguments)
        done = subprocess.run(argv, cwd=scene.template, env=scene.environment(path), capture_output=True, text=True)
        assert done.returncode == 0 and done.stdout, done.stderr
    assert not scene.mark.exists()


def test_the_folder_of_our_own_packages_stays(scene):
    """Somebody who looks around in site-packages can still give commands there."""
    for folder in (ROOT / "src", Path(sysconfig.get_path("purelib")), Path(os.__file__).parent):
        done = scene.ai_sci("module", ":", "doctor", "--template", "tiny", cwd=folder)
        assert "template tiny" in done.out, done.err


# --- what is installed ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Built:
    """The wheel, and one that was built from the sdist."""

    wheel: Path
    from_sdist: Path


@pytest.fixture(scope="session")
def built(tmp_path_factory) -> Built:
    """Built as for PyPI, in an environment of its own that gets the build backend from there."""
    folder = tmp_path_factory.mktemp("built")
    python = new_venv(folder / "builder")
    subprocess.run([python, "-m", "pip", "install", "--quiet", "hatchling>=1.27"], check=True)
    build = [python, "-m", "hatchling", "build"]
    subprocess.run([*build, "-d", folder / "first", "-t", "sdist", "-t", "wheel"], cwd=ROOT, check=True)
    (sdist,) = (folder / "first").glob("*.tar.gz")
    shutil.unpack_archive(sdist, folder / "unpacked")
    (source,) = (folder / "unpacked").iterdir()
    subprocess.run([*build, "-d", folder / "second", "-t", "wheel"], cwd=source, check=True)
    return Built(next((folder / "first").glob("*.whl")), next((folder / "second").glob("*.whl")))


def new_venv(folder: Path) -> Path:
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    return folder / "bin" / "python"


@pytest.fixture(scope="session", params=["wheel", "from_sdist"])
def installed(request, built, tmp_path_factory) -> Path:
    """The interpreter of a new venv with the wheel. Its dependencies are those of this one."""
    python = new_venv(tmp_path_factory.mktemp("installed") / "venv")
    (site,) = python.parents[1].glob("lib/python*/site-packages")
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    pip = [python, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--force-reinstall", "--no-compile"]
    subprocess.run([*pip, getattr(built, request.param)], check=True)
    return python


@pytest.mark.slow
def test_what_a_wheel_installs(installed):
    where = "import ai_sci; print(ai_sci.__file__)"
    done = subprocess.run([installed, "-I", "-c", where], capture_output=True, text=True, check=True)
    package = Path(done.stdout.strip()).parent
    assert package.is_relative_to(installed.parents[1])
    (record,) = package.parent.glob("ai_sci-*.dist-info/RECORD")
    files = [line.rpartition(",")[0].rpartition(",")[0] for line in record.read_text().splitlines()]
    top = {name.partition("/")[0] for name in files if not name.startswith("../")}
    assert {name for name in top if not name.endswith(".dist-info")} == {"ai_sci"}
    assert "ai_sci/py.typed" in files
    assert not [name for name in files if name.startswith("ai_sci/templates/") and ("cache" in name or ".pyc" in name)]
    ours = ["git", "ls-files", "agent", "experiment", "prompts", "templates"]
    kept = subprocess.run(ours, cwd=ROOT, text=True, capture_output=True, check=True).stdout.split()
    assert {f"ai_sci/{name}" for name in kept} <= set(files)


@pytest.mark.slow
def test_an_installed_wheel_in_hostile_folders(installed, tmp_path):
    scene = make_scene(tmp_path, installed)
    scene.everything("script", None)
    scene.everything("module", ".:")
