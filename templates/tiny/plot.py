"""Draws the curves of every run that has a label here; `python plot.py` in a folder with run_0, run_1, …"""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

# One entry for each run to show.
labels = {
    "run_0": "baseline",
}

runs = {label: np.load(Path(run, "curves.npz")) for run, label in labels.items() if Path(run, "curves.npz").exists()}

plt.figure(figsize=(7, 4))
for label, curves in runs.items():
    plt.semilogy(curves["losses"], label=label)
plt.xlabel("step")
plt.ylabel("training loss")
plt.legend()
plt.tight_layout()
plt.savefig("loss.png", dpi=120)

plt.figure(figsize=(7, 4))
for label, curves in runs.items():
    plt.plot(curves["grid"], curves["output"], label=label)
plt.plot(curves["grid"], curves["clean"], "k--", linewidth=0.8)
plt.xlabel("x")
plt.ylabel("output (dashed: the function to learn)")
plt.legend()
plt.tight_layout()
plt.savefig("fit.png", dpi=120)
