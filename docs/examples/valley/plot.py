"""One bar for each run: its loss."""

import json
import os

labels = {"run_0": "baseline"}
bars = []
for row, (run, label) in enumerate(labels.items()):
    with open(os.path.join(run, "final_info.json")) as file:
        loss = json.load(file)["valley"]["means"]["loss"]
    bars.append(f"<text x='5' y='{20 * row + 15}'>{label}: {loss:.3g}</text>")
with open("loss.svg", "w") as file:
    file.write(f"<svg xmlns='http://www.w3.org/2000/svg' width='300' height='80'>{''.join(bars)}</svg>")
