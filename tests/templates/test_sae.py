"""The sae template without its environment: its files, the edits that must apply to it, its scripted sessions."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path

import pytest
from pyflakes.checker import Checker
from pyflakes.messages import UndefinedName

from ai_sci.experiment.template.checks import failed_checks
from ai_sci.experiment.template.ideas import load_ideas
from ai_sci.experiment.template.template import bundled_templates, load_template

SAE = bundled_templates() / "sae"
RECORDED = json.loads(Path(__file__).with_name("recorded_search_blocks.json").read_text(encoding="utf-8"))
SCRIPTED = ["temporal_sae", "progressive_cosine_sae"]

# The results of the two recorded baselines, with the names of this template's metrics.
DEAD = {
    "training_steps": 0.0,
    "layers_alive": 0.0,
    "l0": 0.0,
    "explained_variance": -0.785,
    "dead_feature_fraction": 1.0,
}
ALIVE = {
    "training_steps": 200.0,
    "layers_alive": 1.0,
    "l0": 47.4,
    "explained_variance": 0.85,
    "dead_feature_fraction": 0.11,
}


def without_line_ends(text: str) -> str:
    return "\n".join(line.rstrip() for line in text.split("\n"))


def apply(text: str, search: str, replace: str) -> str:
    """The text with its one place of `search` replaced, white space at line ends aside."""
    text, search = without_line_ends(text), without_line_ends(search)
    assert text.count(search) == 1, f"{text.count(search)} places for:\n{search}"
    return text.replace(search, without_line_ends(replace))


def undefined_names(text: str) -> list[str]:
    messages = Checker(ast.parse(text)).messages
    return [str(message.message_args[0]) for message in messages if isinstance(message, UndefinedName)]


def blocks_of(reply: str) -> list[tuple[str, str, str]]:
    """(file, search, replace) of every block in a reply; both texts end with a line break unless empty."""
    pattern = r"^(\S+)\n```\w+\n<<<<<<< SEARCH\n(.*?)=======\n(.*?)>>>>>>> REPLACE\n```$"
    found = re.findall(pattern, reply, re.S | re.M)
    assert len(found) == reply.count("<<<<<<< SEARCH") == reply.count(">>>>>>> REPLACE")
    return found


@pytest.mark.parametrize(("session", "count"), [("temporal_sae", 10), ("progressive_cosine_sae", 4)])
def test_recorded_edits_apply_in_order(session: str, count: int) -> None:
    blocks = RECORDED[session]
    assert len(blocks) == count
    text = (SAE / "experiment.py").read_text(encoding="utf-8")
    for block in blocks:
        text = apply(text, block["search"], block["replace"])
    ast.parse(text)
    assert undefined_names(text) == []


def test_recorded_edits_leave_the_two_lint_errors_that_were_recorded() -> None:
    text = (SAE / "experiment.py").read_text(encoding="utf-8")
    for block in RECORDED["temporal_sae"][:8]:
        text = apply(text, block["search"], block["replace"])
    assert undefined_names(text) == ["F", "CustomTrainer"]


def test_loads_with_both_presets() -> None:
    local = load_template("sae", {"preset": "local"})
    assert local.settings["model"] == "google/gemma-3-270m"
    assert local.smoke is not None
    assert local.prepare is not None
    large = load_template("sae", {"preset": "gemma-2-2b"})
    assert large.settings["layers"] == "5,12,19"
    assert large.settings["dataset"] == "Skylion007/openwebtext"


def test_defaults_for_runs_by_hand_are_those_of_the_local_preset() -> None:
    tree = ast.parse((SAE / "activations.py").read_text(encoding="utf-8"))
    assigned = [
        node for node in tree.body if isinstance(node, ast.AnnAssign) and ast.unparse(node.target) == "DEFAULTS"
    ]
    assert assigned[0].value is not None
    defaults = ast.literal_eval(assigned[0].value)
    assert defaults == {k: v for k, v in load_template("sae", {"preset": "local"}).settings.items() if k != "preset"}


def test_checks_refuse_the_recorded_baselines_and_take_a_live_one() -> None:
    checks = load_template("sae").checks
    assert failed_checks(checks, ALIVE) == []
    for name in DEAD:
        assert failed_checks(checks, ALIVE | {name: DEAD[name]}), name


def test_every_requirement_is_pinned_and_torchvision_is_not_there() -> None:
    template = load_template("sae")
    for path in (*template.requirements, *template.requirements_no_deps):
        lines = [line for line in path.read_text().splitlines() if line and not line.startswith("#")]
        assert lines
        for line in lines:
            assert re.fullmatch(r"[A-Za-z0-9_.-]+==[0-9][0-9A-Za-z.]*", line), line
            assert not line.startswith("torchvision")


def test_ideas() -> None:
    ideas = {idea.name: idea for idea in load_ideas(SAE / "ideas.json")}
    assert set(SCRIPTED) <= set(ideas)
    assert len(ideas) >= 6
    assert all(idea.title and idea.experiment for idea in ideas.values())


@pytest.mark.parametrize(
    ("session", "lint", "runs"),
    [("temporal_sae", {"01": ["F"]}, 3)] + [("progressive_cosine_sae", {"04": ["math", "math"]}, 4)],
)
def test_scripted_replies_apply_in_order(session: str, lint: dict[str, list[str]], runs: int) -> None:
    texts = {name: (SAE / name).read_text(encoding="utf-8") for name in ("experiment.py", "plot.py")}
    replies = sorted((SAE / "scripted" / session).glob("*.md"))
    assert [path.stem for path in replies] == [f"{number:02}" for number in range(1, len(replies) + 1)]
    completed, edits = 0, 0
    for path in replies:
        reply = path.read_text(encoding="utf-8")
        completed += len(re.findall(r"^ALL_COMPLETED$", reply, re.M))
        for name, search, replace in blocks_of(reply):
            assert (name == "experiment.py") == (completed == 0), (
                "experiments before ALL_COMPLETED, plots and notes after"
            )
            if not search:
                assert name not in texts
                texts[name] = replace
                continue
            assert search != replace
            texts[name] = apply(texts[name], search, replace)
        assert undefined_names(texts["experiment.py"]) == lint.get(path.stem, [])
        edits += completed == 0
        for name in ("experiment.py", "plot.py"):
            ast.parse(texts[name])
    assert completed == 1
    assert edits == runs + 2, "one reply for each run, one lint repair, one crash repair"
    assert set(texts) == {"experiment.py", "plot.py", "notes.txt"}
