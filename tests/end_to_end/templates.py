"""A template that needs no environment of its own: standard library only, so that tests spend no time on installing."""

from __future__ import annotations

import json
from pathlib import Path

EXPERIMENT = """\
import argparse
import json
import os

parser = argparse.ArgumentParser()
parser.add_argument("--out_dir", default="run_0")
out_dir = parser.parse_args().out_dir
os.makedirs(out_dir, exist_ok=True)
STEPS = 10
RATE = 0.1


def train(steps, rate):
    x = 5.0
    for step in range(steps):
        x -= rate * 2 * x
    return x * x


loss = train(STEPS, RATE)
print(f"loss {loss:.4f}", flush=True)
with open(os.path.join(out_dir, "final_info.json"), "w") as file:
    json.dump({"toy": {"means": {"loss": loss, "steps": STEPS}}}, file)
"""

PLOT = """\
import json
import os

labels = {"run_0": "baseline"}
losses = {run: json.load(open(os.path.join(run, "final_info.json")))["toy"]["means"]["loss"] for run in labels}
with open("loss.svg", "w") as file:
    file.write("<svg xmlns='http://www.w3.org/2000/svg'><text y='20'>" + str(losses) + "</text></svg>")
"""

IDEA = {"Name": "more_steps", "Title": "More Steps", "Experiment": "Train for more steps and look at the loss."}


def make_template(folder: Path, toml: str = "", **files: str) -> Path:
    """Writes the template into `folder`; `files` replaces or adds files by name (`plot_py` for `plot.py`)."""
    texts = {
        "experiment.py": EXPERIMENT,
        "plot.py": PLOT,
        "ideas.json": json.dumps([IDEA], indent=1),
        "template.toml": toml,
    }
    texts |= {name.replace("_py", ".py").replace("_json", ".json"): text for name, text in files.items()}
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        (folder / name).write_text(text)
    return folder


def block(search: str, replace: str, name: str = "experiment.py") -> str:
    """One SEARCH/REPLACE block as a model writes it."""
    return f"{name}\n```python\n<<<<<<< SEARCH\n{search}\n=======\n{replace}\n>>>>>>> REPLACE\n```\n"


NOTES = block("", "Run 1 trained longer.", "notes.txt").replace("SEARCH\n\n", "SEARCH\n")
PLOTS = block('labels = {"run_0": "baseline"}', 'labels = {"run_0": "baseline", "run_1": "more steps"}', "plot.py")


def good_session() -> list[str]:
    """One accepted run, plots, notes."""
    return ["Run 1: 20 steps.\n\n" + block("STEPS = 10", "STEPS = 20"), "Done.\n\nALL_COMPLETED\n", PLOTS, NOTES]


def write_script(folder: Path, replies: list[str]) -> str:
    """The replies as numbered files; returns what `--model` takes."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, reply in enumerate(replies, start=1):
        (folder / f"{number:02d}.md").write_text(reply)
    return f"scripted:{folder}"
