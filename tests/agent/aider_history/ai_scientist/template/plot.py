"""Draws the loss of every run with a label: python plot.py"""

import json

# The runs to draw, with the names that the legend shows.
labels = {
    "run_0": "Baseline",
}


def points(losses):
    return " ".join(f"{10 + 4 * step},{200 - 180 * loss / max(losses):.1f}" for step, loss in enumerate(losses))


curves = {}
for run in labels:
    with open(f"{run}/curves.json") as file:
        curves[run] = json.load(file)

for dataset in curves["run_0"]:
    lines = [f"<polyline fill='none' stroke='black' points='{points(curves[run][dataset])}'/>" for run in labels]
    with open(f"loss_{dataset}.svg", "w") as file:
        file.write("<svg xmlns='http://www.w3.org/2000/svg'>" + "".join(lines) + "</svg>")
