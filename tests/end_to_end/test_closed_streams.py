"""Whoever starts ai-sci may have closed standard input, output or errors."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from ai_sci.agent.batch.state import read_batch
from ai_sci.agent.journal.state import Status
from ai_sci.agent.session.reading import read_state
from tests.batch.fleet import make_fleet
from tests.end_to_end.command import ROOT, argv, environment
from tests.end_to_end.templates import good_session, make_template, write_script


def with_closed(streams: str, folder: Path, *args: str | Path) -> subprocess.CompletedProcess[str]:
    """The command as a shell starts it with `streams` behind it."""
    kept = environment(PYTHONPATH=str(ROOT), AI_SCI_CACHE=str(folder / "cache"), AI_SCI_SLOTS=str(folder / "slots"))
    shell = ["sh", "-c", f'exec "$@" {streams}', "sh", *argv(*args)]
    return subprocess.run(shell, cwd=folder, env=kept, capture_output=True, text=True, timeout=120)


@pytest.mark.parametrize("streams", [">&-", "2>&-"])
def test_a_session_runs_to_its_end(tmp_path, streams):
    template = make_template(tmp_path / "template")
    model = write_script(tmp_path / "script", good_session())
    options = ("--template", template, "--idea", "more_steps", "--session", "s", "--model", model)
    done = with_closed(streams, tmp_path, "run", *options)
    assert (done.returncode, "bug" in done.stderr) == (0, False), done.stderr
    assert read_state(tmp_path / "runs" / "s").status is Status.completed
    assert done.stdout == ("" if streams == ">&-" else f"{tmp_path}/runs/s\n")


@pytest.mark.parametrize("streams", [">&-", "<&- >&- 2>&-"])
def test_a_batch_runs_to_its_end(tmp_path, streams):
    fleet = make_fleet(tmp_path, 2, 1)
    options = ("--ideas", "all", "--template", fleet.template, "--gpus", "0", "--session", "night")
    done = with_closed(streams, tmp_path, "batch", *options)
    assert (done.returncode, "bug" in done.stderr) == (0, False), done.stderr
    assert read_batch(tmp_path / "runs" / "night").status is Status.completed
    assert done.stdout == ""


def test_an_error_is_told_where_somebody_listens(tmp_path):
    done = with_closed("<&- >&-", tmp_path, "run", "--idea", "nosuch")
    assert done.returncode == 2 and done.stderr.startswith("ai-sci: ") and "bug" not in done.stderr
