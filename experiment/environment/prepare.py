"""Runs a template's trusted prepare step once: it may use the network and fills the data folder, read-only for runs."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable
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
from ai_sci.experiment.environment.environment import Environment
from ai_sci.experiment.template import PrepareStep, Template

Tell = Callable[[str], None]

# Inside the data folder, so that removing the data also forgets that it was prepared.
_STATE = ".prepared"


def ensure_prepared(template: Template, environment: Environment, tell: Tell) -> Path | None:
    """The template's data folder, after its prepare step has run for these settings; None without a prepare step.

    The command runs in the template folder with `AI_SCI_DATA` (the data folder, shared by all settings) and
    `AI_SCI_SETTINGS` (a settings.json). Every line of its output goes to `tell`. Raises EnvironmentFailed.
    """
    step = template.prepare
    if step is None:
        return None
    data = data_folder(template)
    state = data / _STATE
    key = _key(template, step, environment)
    marker = state / key
    if marker.is_file():
        return data
    cache_folder("data", data.name, _STATE)

    def waiting() -> None:
        tell(f"another ai-sci is preparing the data of {template.name}; waiting for it")

    with locked(data.with_name(data.name + ".lock"), waiting) as lock:
        if not marker.is_file():
            tell(f"preparing the data of {template.name}, once for these settings, in {data}")
            log = state / f"{key}.log"
            log.unlink(missing_ok=True)
            done = _run(template, step, environment, data, tell, log, lock)
            _check(done, template, step, log)
            marker.write_text(json.dumps(_settings(template, step), indent=1) + "\n")
            tell(f"data ready after {format_duration(done.seconds)}")
    return data


def data_folder(template: Template) -> Path:
    """The data folder of a template, by the template's name; may not exist yet."""
    return cache_root() / "data" / template.name


def _settings(template: Template, step: PrepareStep) -> dict[str, object]:
    """The settings that the step depends on."""
    return {key: value for key, value in template.settings.items() if step.settings is None or key in step.settings}


def _key(template: Template, step: PrepareStep, environment: Environment) -> str:
    files = [path for path in template.files() if step.uses(path)]
    contents = [(str(path), hash_of((template.folder / path).read_bytes())) for path in files]
    return hash_of(list(step.command), contents, _settings(template, step), environment.key)


def _run(
    template: Template, step: PrepareStep, environment: Environment, data: Path, tell: Tell, log: Path, lock: int
) -> Finished:
    program = _program(template, step, environment)
    path = os.pathsep.join([str(environment.python.parent), os.environ.get("PATH", os.defpath)])
    with tempfile.TemporaryDirectory(prefix="ai-sci-") as scratch:
        settings = Path(scratch, "settings.json")
        settings.write_text(json.dumps(template.settings, indent=1) + "\n")
        env = trusted_environment(AI_SCI_DATA=str(data), AI_SCI_SETTINGS=str(settings), PATH=path)
        env["PYTHONDONTWRITEBYTECODE"] = "1"  # the template folder is not ours to write to
        return run_child([program, *step.command[1:]], template.folder, env, tell, log, lock, step.timeout)


def _program(template: Template, step: PrepareStep, environment: Environment) -> str:
    """The absolute path of the command: `python` is the experiment's own, others are looked up on the PATH."""
    name = step.command[0]
    if name in ("python", "python3"):
        return str(environment.python)
    found = shutil.which(str(template.folder / name) if "/" in name else name)
    if found is None:
        raise ConfigError(f'{template.folder / "template.toml"}: the prepare command "{name}" cannot be run')
    return found


def _check(done: Finished, template: Template, step: PrepareStep, log: Path) -> None:
    if done.code == 0 and not done.timed_out:
        return
    if done.timed_out:
        what = f"took longer than {format_duration(step.timeout)} ([prepare] time in template.toml)"
    else:
        last = done.lines[-1].strip() if done.lines else "no output"
        how = f"exit code {done.code}" if done.code > 0 else f"killed by signal {-done.code}"
        what = f"failed ({how}): {last}"
    raise EnvironmentFailed(f"the prepare step of {template.name} {what}; full output: {log}")
