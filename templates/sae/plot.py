"""Draws the training curves and final metrics of the runs named here; `python plot.py` beside run_0, run_1, …"""

import json
from pathlib import Path

import matplotlib.pyplot as plt

# One entry for each run to show.
labels = {
    "run_0": "Baseline (ReLU + L1)",
}

# One panel for each metric in metrics.png.
shown_metrics = ["explained_variance", "explained_variance_trimmed", "l0", "ce_loss_score", "tcs", "fsm"]


def load_runs():
    """{label: (metrics, curve)} of the runs that are there; the curve is a list of dicts with "step"."""
    runs = {}
    for run, label in labels.items():
        if not Path(run, "final_info.json").exists():
            continue
        metrics = json.loads(Path(run, "final_info.json").read_text())["sae"]["means"]
        curves = [json.loads(path.read_text()) for path in sorted(Path(run).glob("training_curve_layer_*.json"))]
        runs[label] = (metrics, curves[0] if curves else [])
    return runs


def plot_curves(runs, names=("loss", "l2_loss", "l0"), path="training_curves.png"):
    figure, panels = plt.subplots(1, len(names), figsize=(4.5 * len(names), 3.5), squeeze=False)
    for panel, name in zip(panels[0], names):
        for label, (_, curve) in runs.items():
            points = [(point["step"], point[name]) for point in curve if name in point]
            if points:
                panel.semilogy(*zip(*points), label=label)
        panel.set_xlabel("step")
        panel.set_title(name)
    panels[0][0].legend(fontsize=7)
    figure.tight_layout()
    figure.savefig(path, dpi=120)


def plot_metrics(runs, names=tuple(shown_metrics), path="metrics.png"):
    figure, panels = plt.subplots(1, len(names), figsize=(2.2 * len(names), 4), squeeze=False)
    for panel, name in zip(panels[0], names):
        values = [metrics.get(name, float("nan")) for metrics, _ in runs.values()]
        panel.bar(range(len(values)), values, color=[f"C{index}" for index in range(len(values))])
        panel.set_xticks(range(len(values)), runs.keys(), rotation=60, ha="right", fontsize=7)
        panel.set_title(name, fontsize=8)
    figure.tight_layout()
    figure.savefig(path, dpi=120)


def plot_tradeoff(runs, path="tradeoff.png"):
    """Explained variance over L0: up and to the left is better."""
    figure, panel = plt.subplots(figsize=(5, 4))
    for label, (metrics, _) in runs.items():
        panel.scatter(metrics["l0"], metrics["explained_variance"], label=label)
    panel.set_xlabel("l0")
    panel.set_ylabel("explained variance")
    panel.legend(fontsize=7)
    figure.tight_layout()
    figure.savefig(path, dpi=120)


runs = load_runs()
plot_curves(runs)
plot_metrics(runs)
plot_tradeoff(runs)
