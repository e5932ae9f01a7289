"""Templates in AI-Scientist's layouts run unmodified by the real command (tests/fixtures/ai_scientist/README.md)."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from ai_sci.agent.commands.doctor_template import examine_template
from tests.end_to_end.command import ai_sci, shown
from tests.end_to_end.templates import NOTES, block, write_script

TWINS = Path(__file__).parents[1] / "fixtures" / "ai_scientist"


@dataclass(frozen=True)
class Twin:
    """A template, an idea of it, the edit for run 1, one of its metrics, and a plot that it draws."""

    name: str
    idea: str
    edit: tuple[str, str]
    metric: str
    plot: str
    source: str = "measured"
    quick: bool = False


SEIR = Twin("seir", "vaccination", ("0.0005, 10.0", "0.0003, 10.0"), "infected_peak_day", "SEIR.svg")
NANO = Twin(
    *("nanoGPT_lite", "smoothing", ("SMOOTHING = 1.0", "SMOOTHING = 0.5"), "enwik8/best_val_loss_mean", "enwik8.svg"),
    quick=True,
)
ALL = [
    SEIR,
    NANO,
    Twin(
        *("grokking", "weight_decay_2", ("FRACTION = 0.5", "FRACTION = 0.6"), "x_div_y/final_val_acc_mean"),
        *("x_plus_y.svg", "template"),
    ),
    Twin(
        *("sketch_rnn", "longer_context", ('"--context", type=int, default=1', '"--context", type=int, default=2')),
        *("owl/kl_loss", "owl.svg"),
    ),
    Twin(
        *(
            "2d_diffusion",
            "more_steps",
            ("type=int, default=20", "type=int, default=30"),
            "dino/eval_loss",
            "moons.svg",
        ),
        source="template",
    ),
    Twin(
        *("earthquake-prediction", "window", ("OBSERVED_DAYS = 4", "OBSERVED_DAYS = 5"), "test_avg_precision_mean"),
        "earthquake_prediction.svg",
    ),
]


@pytest.fixture
def lab(tmp_path, monkeypatch):
    monkeypatch.setenv("AI_SCI_CACHE", str(tmp_path / "cache"))
    return Path(shutil.copytree(TWINS, tmp_path / "AI-Scientist"))


def whole_lines(lab: Path, twin: Twin) -> str:
    """The edit as a block, whose SEARCH is a whole line."""
    code = (lab / "templates" / twin.name / "experiment.py").read_text()
    line = next(line for line in code.splitlines() if twin.edit[0] in line)
    return block(line, line.replace(*twin.edit))


@pytest.mark.parametrize(
    "twin", [pytest.param(one, id=one.name, marks=[] if one.quick else pytest.mark.slow) for one in ALL]
)
def test_it_runs_unmodified(lab, tmp_path, twin):
    labels = block('labels = {"run_0": "Baseline"}', 'labels = {"run_0": "Baseline", "run_1": "changed"}', "plot.py")
    replies = ["Run 1.\n\n" + whole_lines(lab, twin), "ALL_COMPLETED\n", labels, NOTES]
    model = write_script(tmp_path / "script", replies)
    done = ai_sci(
        *("run", "--template", f"templates/{twin.name}", "--idea", twin.idea, "--session", "s", "--model", model),
        cwd=lab,
    )
    assert done.code == 0, done.err
    state = shown(done.session)
    (run,) = state["runs"]
    assert run["status"] == "ok" and twin.metric in run["metrics"] and twin.metric in state["baseline"]["metrics"]
    assert f"plots/{twin.plot}" in state["plots"]
    assert f"run 0 (baseline, {twin.source})" in done.err
    assert "Not copied" not in done.err
    assert sorted(path.name for path in lab.iterdir()) == ["README.md", "data", "runs", "templates"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["AI-Scientist", "cache", "script"]


@pytest.mark.parametrize("twin", ALL, ids=[one.name for one in ALL])
def test_doctor_finds_nothing_to_fix(lab, twin):
    findings = list(map(str, examine_template(str(lab / "templates" / twin.name))))
    assert not [line for line in findings if line.startswith("[fix ]")]
    (ideas,) = [line for line in findings if line.startswith("[ ok ] ideas: ")]
    assert twin.idea in ideas
    if twin.source == "template":
        assert any("baseline: run_0/final_info.json" in line for line in findings)


def test_a_crash_names_the_files_of_the_session_though_they_lie_elsewhere_inside(lab, tmp_path):
    """nanoGPT's kind runs in a folder of another name inside the sandbox; a model must not see that."""
    edit = block("SMOOTHING = 1.0", "SMOOTHING = 1.0 / 0")
    first = write_script(tmp_path / "first", [edit])
    done = ai_sci(
        *("run", "--template", "templates/nanoGPT_lite", "--idea", "smoothing", "--session", "s", "--model", first),
        cwd=lab,
    )
    assert done.code == 3, done.err
    told = [json.loads(line) for line in (done.session / "journal.jsonl").read_text().splitlines()]
    (crash,) = [entry["digest"] for entry in told if entry.get("verdict") == "crashed"]
    assert 'File "experiment.py", line' in crash and "/run/ai-sci" not in crash and str(tmp_path) not in crash

    mended = block("SMOOTHING = 1.0 / 0", "SMOOTHING = 0.5")
    second = write_script(tmp_path / "second", [edit, mended, "ALL_COMPLETED\n"])
    ai_sci("resume", done.session, "--model", second, cwd=lab)
    assert shown(done.session)["runs"][0]["status"] == "ok", "the data is there after a resume too"
