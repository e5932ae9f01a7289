"""Faults of a template's folder and of its files: what lies beside them, and how ideas and results are written."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from tests.gauntlet.case import Case, Hook
from tests.gauntlet.machine_hooks import copy_template
from tests.gauntlet.stage import IDEA, Seen, Stage
from tests.gauntlet.story import faulty_result, faulty_run

COPIED = ["experiment.py", "plot.py", "prompt.json", "requirements.txt", "template.toml"]
_IDEA = {"Name": IDEA, "Title": "T", "Experiment": "Scale the input."}


def _with(change: Callable[[Path], object]) -> Hook:
    """A copy of `tiny` with that change becomes the template."""

    def prepare(stage: Stage) -> None:
        copy_template(stage)
        assert isinstance(stage.template, Path)
        change(stage.template)

    return prepare


def _write(name: str, text: str) -> Callable[[Path], object]:
    def change(template: Path) -> None:
        path = template / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    return change


def _ideas(value: object) -> Hook:
    return _with(_write("ideas.json", json.dumps(value)))


def _runs_inside(stage: Stage) -> None:
    """`cd mytemplate; ai-sci run --template .`, with sessions, a batch, an environment and logs there already."""
    copy_template(stage)
    assert isinstance(stage.template, Path)
    stage.runs_dir = stage.template / "runs"
    stage.session = stage.runs_dir / "s"
    for name in ("runs/old/journal.jsonl", "runs/night/batch.jsonl", "runs/notes.log", "env/pyvenv.cfg", "wandb/run/x"):
        _write(name, "")(stage.template)
    shutil.copytree(stage.template / "env", stage.template / "runs" / "old" / "env")


def _large(template: Path) -> None:
    with (template / "model.pt").open("wb") as file:
        file.truncate(101 << 20)


def _data_beside(stage: Stage) -> None:
    """The layout of AI-Scientist: `data/` beside `templates/`, read by the path that is right for its runs only."""
    copy_template(stage)
    assert isinstance(stage.template, Path)
    moved = stage.folder / "templates" / "tiny"
    moved.parent.mkdir()
    stage.template.rename(moved)
    stage.template = moved
    with (moved / "experiment.py").open("a") as file:
        file.write('\nDATA = "../../../data"\n')
    (stage.folder / "data").mkdir()
    (stage.folder / "data" / "train.txt").write_text("text")


def _copied_only_its_own(seen: Seen) -> str:
    files = json.loads(seen.journal.splitlines()[0])["files"]
    return "" if files == COPIED else f"copied {files}"


def _says(words: str) -> Callable[[Seen], str]:
    return lambda seen: "" if words in seen.err else f"stderr does not say {words!r}"


_RESULT = "result = out_dir / 'final_info.json'\n"

CASES = [
    Case("sessions inside the template's folder", prepare=_runs_inside, check=_copied_only_its_own, quick=True),
    Case(
        "a large file in the template",
        prepare=_with(_large),
        status=None,
        says=r"model\.pt is 101M, but every session copies the template, .* 100M: move large files out .*\.gitignore",
    ),
    Case(
        "a link to a data folder in the template",
        prepare=_with(lambda template: (template / "data").symlink_to("/usr/share")),
        check=_says("Not copied: data is a symbolic link to the folder /usr/share"),
    ),
    Case("a .gitignore that names everything", prepare=_with(_write(".gitignore", "*\n")), check=_copied_only_its_own),
    Case(
        "a pipe in the template",
        prepare=_with(lambda template: os.mkfifo(template / "pipe")),
        check=_copied_only_its_own,
    ),
    Case(
        "a session given as template",
        prepare=_with(_write("journal.jsonl", "{}\n")),
        status=None,
        says=r"tiny is a session, not a template",
    ),
    Case(
        "ideas: a name used twice",
        prepare=_ideas([_IDEA, {**_IDEA, "Experiment": "Something else."}]),
        check=_says(f'ideas.json:1: the name "{IDEA}" is used already: this idea is called "{IDEA}_2" here'),
    ),
    Case("ideas in an object, without title", prepare=_ideas({"ideas": [{"Name": IDEA, "Experiments": {"a": ["b"]}}]})),
    Case(
        "ideas that are a number in an object",
        prepare=_ideas({"ideas": 3}),
        status=None,
        says=r'ideas\.json:1: the idea needs "Name", a non-empty string',
    ),
    Case(
        "data beside the template",
        faulty_run("print(open('../../../data/train.txt').read())"),
        accepted=3,
        prepare=_data_beside,
    ),
    Case(
        "result with numbers as means",
        faulty_result(
            _RESULT + "result.write_text(json.dumps({name: {'means': value} for name, value in means.items()}))"
        ),
        accepted=3,
    ),
    Case(
        "result with true among its numbers",
        faulty_result(_RESULT + "result.write_text(json.dumps({'waves': {'means': {**means, 'converged': True}}}))"),
        accepted=3,
    ),
    Case(
        "result that is true and false only",
        faulty_result(_RESULT + "result.write_text(json.dumps({'converged': True, 'stable': False}))"),
        ("bad_result",),
        says=r"final_info\.json holds no number at a place where metrics are read",
    ),
]
