"""`ai-sci export` into real stores on this machine: nothing is doubled, however often it is given."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from typing import Any

import pytest

from ai_sci.agent.export.runs import exported_runs
from tests.end_to_end.batches import HandMadeBatch
from tests.end_to_end.command import ai_sci
from tests.end_to_end.templates import block, good_session, make_template, write_script

LINES = ["STEPS = 20", *(f"STEPS = {n} // 0" for n in range(4))]
CRASHES = [block(one, other) for one, other in zip(LINES, LINES[1:])]


def installed(package: str) -> bool:
    return importlib.util.find_spec(package) is not None


def needs(package: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(not installed(package), reason=f"pip install '.[{package}]' first: it is an extra")


@pytest.fixture(scope="module")
def batch(tmp_path_factory) -> HandMadeBatch:
    """A session with an accepted run and one closed after four crashes, and an idea that waits."""
    place = tmp_path_factory.mktemp("batch")
    template = make_template(place / "template", '[settings]\nseed = 3\n[experiment]\nmetric = "loss"\n')
    batch = HandMadeBatch(place / "night", template, str(place / "cache"))
    batch.add("good", "later")
    run_1, *ending = good_session()
    done = batch.run("good", write_script(place / "good", [run_1, *CRASHES, *ending]))
    assert done.code == 0, done.err
    link = batch.folder / "good" / "run_1" / "secrets"
    link.symlink_to("/etc/passwd")  # a run may leave anything
    (batch.folder / "good" / "run_1" / "large.bin").write_bytes(bytes(2 * 1024**2))
    return batch


def test_a_run_is_what_the_journal_says_of_it(batch):
    baseline, first, second = exported_runs(batch.folder)
    assert (baseline.name, baseline.accepted, baseline.params["run"]) == ("good baseline", True, "0")
    assert baseline.metrics["loss"] == pytest.approx(0.2882, abs=1e-4)
    assert first.metrics["loss"] == pytest.approx(0.003323, abs=1e-6)
    assert first.params["idea"] == "good" and first.params["setting.seed"] == "3"
    assert first.tags["verdict"] == "ok" and re.fullmatch("[0-9a-f]{40}", first.tags["commit"])
    assert (second.accepted, second.tags["verdict"], second.metrics["ai_sci/attempts"]) == (False, "crashed", 4)
    assert "ZeroDivisionError" in second.description
    assert first.began < first.ended <= second.began < second.ended
    assert set(first.files) >= {"run_1/final_info.json", "attempts/run_1.1/output.log"}
    assert not {"run_1/secrets", "run_1/large.bin"} & set(first.files)


def test_the_key_of_a_run_does_not_depend_on_the_folder(batch, tmp_path):
    moved = tmp_path / "elsewhere"
    moved.symlink_to(batch.folder / "good")
    keys = [run.key for run in exported_runs(moved)]
    assert keys == [run.key for run in exported_runs(batch.folder)]
    assert len(set(keys)) == 3


@pytest.mark.parametrize("package", ["mlflow", "wandb"])
def test_without_the_extra_one_line_says_what_to_install(batch, package):
    if installed(package):
        pytest.skip(f"{package} is installed here")
    done = ai_sci("export", batch.folder, "--to", package, cwd=batch.folder)
    assert done.code == 2
    assert f"pip install 'ai-sci[{package}]'" in done.error


def test_another_tracker_is_refused(batch):
    done = ai_sci("export", batch.folder, "--to", "excel", cwd=batch.folder)
    assert (done.code, done.error) == (2, "ai-sci: --to excel: choose mlflow or wandb.")


@needs("mlflow")
def test_mlflow_gets_each_run_once(batch, tmp_path):
    uri = f"sqlite:///{tmp_path}/mlflow.db"

    def export() -> str:
        done = ai_sci("export", batch.folder, "--to", "mlflow", "--project", "p", "--tracking-uri", uri, cwd=tmp_path)
        assert done.code == 0, done.err
        return done.out

    def found() -> list[Any]:
        from mlflow import MlflowClient  # pyright: ignore[reportMissingImports]

        client = MlflowClient(tracking_uri=uri)
        experiment = client.get_experiment_by_name("p")
        return sorted(client.search_runs([experiment.experiment_id]), key=lambda run: run.data.params["run"])

    assert "3 runs in the MLflow experiment p" in export()
    before = found()
    assert "0 new, 3 there already" in export()
    after = found()
    assert [run.info.run_id for run in before] == [run.info.run_id for run in after]
    assert [run.data.to_dictionary() for run in before] == [run.data.to_dictionary() for run in after]
    baseline, first, second = after
    assert first.data.metrics["loss"] == pytest.approx(0.003323, abs=1e-6)
    assert [run.info.status for run in after] == ["FINISHED", "FINISHED", "FAILED"]
    assert first.data.tags["verdict"] == "ok" and second.data.tags["verdict"] == "crashed"
    assert first.info.run_name == "good run 1" and first.data.params["setting.seed"] == "3"
    from mlflow import MlflowClient  # pyright: ignore[reportMissingImports]

    client = MlflowClient(tracking_uri=uri)
    assert [one.path for one in client.list_artifacts(first.info.run_id, "run_1")] == ["run_1/final_info.json"]
    history = client.get_metric_history(first.info.run_id, "loss")
    assert len(history) == 1
    assert baseline.data.tags["source"] == "measured"


@needs("mlflow")
def test_an_mlflow_that_does_not_answer_is_one_line(batch, tmp_path):
    uri = "http://127.0.0.1:9"
    done = ai_sci("export", batch.folder, "--to", "mlflow", "--tracking-uri", uri, cwd=tmp_path)
    assert done.code == 2
    assert done.error.startswith(f"ai-sci: MLflow at {uri}: ")


@needs("wandb")
def test_wandb_offline_writes_each_run_once(batch, tmp_path):
    def export() -> list[Path]:
        done = ai_sci(
            "export",
            batch.folder,
            "--to",
            "wandb",
            "--project",
            "p",
            cwd=tmp_path,
            WANDB_MODE="offline",
            HOME=str(tmp_path),
        )
        assert done.code == 0, done.err
        assert f"wandb sync {tmp_path}/wandb/offline-run-*" in done.out
        return list((tmp_path / "wandb").glob("offline-run-*"))

    assert len(export()) == 3
    folders = export()
    assert len(folders) == 3
    written = [next(folder.glob("*.wandb")).read_bytes() for folder in folders]
    first = next(run for run in written if b"good run 1" in run)
    loss = next(run.metrics["loss"] for run in exported_runs(batch.folder) if run.name == "good run 1")
    assert repr(loss).encode() in first and b"crashed" not in first
    assert len(list((tmp_path / "wandb").glob("*/files/run_1/final_info.json"))) == 1


@needs("wandb")
def test_wandb_without_a_key_is_one_line(batch, tmp_path):
    done = ai_sci("export", batch.folder, "--to", "wandb", cwd=tmp_path, HOME=str(tmp_path))
    assert done.code == 2
    assert "WANDB_MODE=offline" in done.error
