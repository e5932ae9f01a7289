"""Data beside a template: AI-Scientist's layout, and other spellings of the same paths."""

from __future__ import annotations

from pathlib import Path

import pytest

from ai_sci.experiment.template.template import load_template
from tests.experiment.template.folders import make_template


def beside(tmp_path: Path, code: str, *folders: str) -> dict[str, str]:
    """What is found for a template in `tmp_path/lab/templates/nano`, relative to `tmp_path`."""
    for folder in folders:
        (tmp_path / folder).mkdir(parents=True)
    folder = make_template(tmp_path / "lab" / "templates" / "nano", experiment_py=code)
    found = load_template(str(folder)).beside
    return {path: str(place.relative_to(tmp_path)) for path, place in found.items()}


BOTH = 'data_dir = os.path.join("../../data" if out_dir == "run_0" else "../../../data", dataset)'


@pytest.mark.parametrize(
    "code, paths",
    [
        (BOTH, {"../../data", "../../../data"}),
        ("x = f'../../../data/{dataset}/train.bin'", {"../../../data"}),
        ('x = os.path.join("..", "..", "data", name)', {"../../data"}),
        ('x = Path("../..") / "data" / name', {"../../data"}),
        ("x = './../../data'", {"../../data"}),
        ('x = "../../datasets/cat.npz"', set()),
        ('x = "../../data.csv"', set()),
        ('x = "../../.ssh", "../../secrets", "data"', set()),
    ],
)
def test_the_paths_in_the_code_lead_to_the_folder_beside_the_template(tmp_path, code, paths):
    found = beside(tmp_path, code, "lab/data", "data", "lab/secrets")
    assert found == dict.fromkeys(paths, "lab/data")


def test_without_a_folder_nothing_is_found(tmp_path):
    assert beside(tmp_path, BOTH, "data") == {}


def test_code_that_only_a_run_executes_counts_from_where_runs_are(tmp_path):
    assert beside(tmp_path, 'x = "../../../data"', "lab/data") == {"../../../data": "lab/data"}
    assert beside(tmp_path, 'x = "../data"', "lab/templates/data") == {"../data": "lab/templates/data"}


def test_the_code_of_a_session_opens_nothing(tmp_path):
    """A model has edited it."""
    folder = make_template(tmp_path / "runs" / "s", experiment_py='x = "../data"', journal_jsonl="")
    (tmp_path / "runs" / "data").mkdir()
    assert load_template(str(folder)).beside == {}


def test_it_is_said(tmp_path):
    beside(tmp_path, BOTH, "lab/data")
    notes = load_template(str(tmp_path / "lab" / "templates" / "nano")).start_notes()
    assert (
        f"In the sandbox, the data folder {tmp_path}/lab/data is at ../../data and ../../../data, read-only." in notes
    )
