"""The Python that runs a template's experiment: built once from its requirement files, or found on this machine."""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from ai_sci.experiment.base import (
    ConfigError,
    EnvironmentFailed,
    Finished,
    cache_folder,
    cache_root,
    format_duration,
    hash_of,
    locked,
    run_child,
    trusted_environment,
)
from ai_sci.experiment.environment.interpreters import find_interpreter
from ai_sci.experiment.environment.linked_packages import linked_paths
from ai_sci.experiment.environment.pip_errors import explain
from ai_sci.experiment.environment.requirements import content_of
from ai_sci.experiment.template import Template

Tell = Callable[[str], None]

# Bump this to invalidate environments built by older versions.
_LAYOUT = 1
_MARKER = ".complete"

_PROBE = """
import json, sys
folders = [sys.prefix, sys.base_prefix, sys.exec_prefix, sys.base_exec_prefix, *sys.path]
import importlib.metadata
packages = sorted(f"{one.metadata['Name']} {one.version}" for one in importlib.metadata.distributions())
import site
users = site.ENABLE_USER_SITE and site.getusersitepackages() in sys.path
print(json.dumps([sys.executable, sys.prefix, sys.version, folders, packages, site.getuserbase() if users else None]))
"""


@dataclass(frozen=True)
class Environment:
    """An interpreter to run experiments with.

    Always start `python` by this path, since resolving its symlink would leave the venv. `key` changes with the
    installed packages. `roots` are the folders and links that it must be able to read: its own, its base's, and those
    of editable installs. `user_base` holds the packages of `pip install --user`, if it uses them.
    """

    python: Path
    key: str
    roots: tuple[Path, ...]
    user_base: Path | None = None

    @property
    def variables(self) -> dict[str, str]:
        """What it needs in its environment to find the same packages with another home."""
        return {"PYTHONUSERBASE": str(self.user_base)} if self.user_base else {}


def ensure_environment(template: Template, python: Path | None, tell: Tell) -> Environment:
    """The environment for a template: `python` if given, else a venv with its requirements, else `python3` on the PATH.

    Builds a missing venv, which takes seconds to many minutes; every line of progress goes to `tell`. Concurrent
    processes build it only once. Raises ConfigError or EnvironmentFailed, leaving nothing half-built behind.
    """
    if python is not None:
        return _given(python)
    if not _requirement_files(template):
        return _found_on_path()
    environment = _planned(template)
    if _is_complete(environment):
        return _with_links(environment)
    folder = environment.python.parents[1]
    cache_folder("envs")

    def waiting() -> None:
        tell("another ai-sci is building this experiment environment; waiting for it")

    with locked(_beside(folder, ".lock"), waiting) as lock:
        if not _is_complete(environment):
            _build(template, environment, tell, lock)
    return _with_links(environment)


def is_ready(template: Template) -> bool:
    """Whether `ensure_environment` would have nothing to build."""
    return not _requirement_files(template) or _is_complete(_planned(template))


def _is_complete(environment: Environment) -> bool:
    """Whether the build finished and its base interpreter still exists."""
    return (environment.python.parents[1] / _MARKER).is_file() and environment.python.exists()


def _requirement_files(template: Template) -> tuple[Path, ...]:
    return template.requirements + template.requirements_no_deps


def _planned(template: Template) -> Environment:
    base = find_interpreter(template.python)
    key = hash_of(
        _LAYOUT,
        [str(base.path), base.version, platform.machine()],
        [content_of(path, template.folder) for path in template.requirements],
        [content_of(path, template.folder) for path in template.requirements_no_deps],
    )
    folder = cache_root() / "envs" / key
    roots = _roots([folder, *base.prefixes, base.path.resolve().parent.parent])
    return Environment(folder / "bin" / "python", key, roots)


def _with_links(environment: Environment) -> Environment:
    folders = environment.python.parents[1].glob("lib/python*/site-packages")
    linked = [path for folder in folders for path in linked_paths(folder)]
    return replace(environment, roots=_roots([*environment.roots, *linked])) if linked else environment


def _build(template: Template, environment: Environment, tell: Tell, lock: int) -> None:
    """Builds the venv in its final place, since a venv cannot be moved; the marker is written last."""
    folder = environment.python.parents[1]
    log = _beside(folder, ".log")
    log.unlink(missing_ok=True)
    _remove(folder)  # left by a killed process
    names = ", ".join(path.name for path in _requirement_files(template))
    tell(f"building the experiment environment of {template.name} from {names}, once, in {folder}")
    started = time.monotonic()
    env = trusted_environment(PIP_DISABLE_PIP_VERSION_CHECK="1", PIP_NO_INPUT="1", PIP_REQUIRE_VIRTUALENV="0")

    def run(*argv: str | Path) -> Finished:
        return run_child([str(part) for part in argv], template.folder, env, tell, log, lock)

    try:
        made = run(find_interpreter(template.python).path, "-I", "-m", "venv", folder)
        if made.code != 0:
            raise _venv_failed(made, log)
        pip = (environment.python, "-I", "-u", "-m", "pip", "install", "--progress-bar", "off")
        for path in template.requirements:
            _check_pip(run(*pip, "-r", path), path, log)
        for path in template.requirements_no_deps:
            _check_pip(run(*pip, "--no-deps", "-r", path), path, log)
        (folder / _MARKER).write_text(
            json.dumps({"template": template.name, "python": find_interpreter(template.python).version}) + "\n"
        )
    except OSError as error:
        _remove(folder)
        raise EnvironmentFailed(f"could not build the experiment environment in {folder}: {error}")
    except BaseException:
        _remove(folder)
        raise
    tell(f"experiment environment ready after {format_duration(time.monotonic() - started)}")


def _venv_failed(made: Finished, log: Path) -> EnvironmentFailed:
    output = "\n".join(made.lines)
    if "ensurepip" in output:
        what = "Python's venv module is incomplete: install it (on Debian and Ubuntu: apt install python3-venv)"
        return EnvironmentFailed(f"{what}, or pass --python PATH")
    last = made.lines[-1] if made.lines else f"exit code {made.code}"
    return EnvironmentFailed(f"could not make the experiment environment: {last}; full output: {log}")


def _check_pip(done: Finished, path: Path, log: Path) -> None:
    if done.code == 0:
        return
    failure = explain(done.lines)
    if failure.network:
        what = "no connection to the package index"
        hint = "check the network (or HTTPS_PROXY, PIP_INDEX_URL) and repeat the command"
        raise EnvironmentFailed(f"could not install {path}: {what}: {failure.reason}; {hint}; full output: {log}")
    raise EnvironmentFailed(f"could not install {path}: {failure.reason}; full output: {log}")


def _given(python: Path) -> Environment:
    path = python.expanduser().absolute()
    if path.is_dir():
        path = path / "bin" / "python"
    if not path.exists():
        raise ConfigError(f"--python {python}: there is no such interpreter")
    environment = _probed(path)
    if environment is None:
        raise ConfigError(f"--python {python}: this is not a Python interpreter that starts")
    return environment


def _found_on_path() -> Environment:
    """The first `python3` on the PATH that starts and is not the harness's own venv."""
    in_venv = sys.prefix != sys.base_prefix
    for folder in os.get_exec_path():
        candidate = shutil.which("python3", path=folder)
        if candidate is None:
            continue
        environment = _probed(Path(candidate), refused_prefix=sys.prefix if in_venv else None)
        if environment is not None:
            return environment
    raise ConfigError("this template has no requirement files and there is no python3 on the PATH: pass --python PATH")


def _probed(python: Path, refused_prefix: str | None = None) -> Environment | None:
    """Asks an interpreter where it lives, which also resolves launcher scripts of pyenv and conda."""
    try:
        done = subprocess.run(
            [python, "-c", _PROBE],
            env=trusted_environment(),
            cwd="/",
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        executable, prefix, version, folders, packages, user_base = json.loads(done.stdout)
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return None
    if done.returncode != 0 or prefix == refused_prefix:
        return None
    linked = [path for folder in folders if folder.endswith("-packages") for path in linked_paths(Path(folder))]
    needed = [*folders, *linked, Path(executable).resolve().parent.parent, *_links(Path(executable))]
    roots = _roots(path for path in needed if Path(path).exists())
    key = "python-" + hash_of(executable, prefix, version, packages)
    return Environment(Path(executable), key, roots, Path(user_base) if user_base else None)


def _links(path: Path) -> Iterator[Path]:
    """The symlinks from `path` to the real file: with Python 3.10, a venv made from a venv links through it."""
    while path.is_symlink():
        yield path
        path = Path(os.path.normpath(path.parent / path.readlink()))


def _roots(folders: Iterable[str | Path]) -> tuple[Path, ...]:
    """These folders, without ones nested in another; for a link, both itself and its target."""
    paths = {Path(folder).absolute() for folder in folders if str(folder) not in ("", "/")}
    paths |= {path.resolve() for path in paths}
    paths.discard(Path("/"))
    return tuple(sorted(path for path in paths if not any(other in path.parents for other in paths)))


def _beside(folder: Path, suffix: str) -> Path:
    return folder.with_name(folder.name + suffix)


def _remove(folder: Path) -> None:
    """Removes a venv, its marker first, so that it never looks complete if we are killed halfway."""
    (folder / _MARKER).unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)
