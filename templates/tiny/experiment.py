"""Fits a small tanh network to a noisy sum of three waves, and measures which of the waves it has learned.

Gradient descent learns slow waves first ("spectral bias"): the baseline gets the slowest of the three and little more.
"""

import argparse
import json
import os
from pathlib import Path

import numpy as np

SETTINGS = {"seed": 0, "repeats": 3, "points": 160, "noise": 0.1, "hidden": 32, "learning_rate": 0.01, "steps": 1500}
given = Path(__file__).with_name("settings.json")  # written by ai-sci; absent when you start this by hand
if given.exists():
    SETTINGS.update(json.loads(given.read_text()))
if os.environ.get("AI_SCI_SMOKE") == "1":
    SETTINGS.update(steps=50, repeats=1)

FREQUENCIES = (1, 3, 8)  # waves per unit length of x
AMPLITUDES = (1.0, 0.6, 0.4)


def target(x):
    """The clean function at positions x in [0, 1)."""
    return sum(a * np.sin(2 * np.pi * f * x) for a, f in zip(AMPLITUDES, FREQUENCIES))


def features(x):
    """What the network sees of positions x (n,): an array (n, features)."""
    return 2 * x[:, None] - 1


def init(rng, n_in, hidden):
    """Weights of a network with one hidden layer."""
    return {
        "W1": rng.normal(0, 2 / np.sqrt(n_in), (n_in, hidden)),
        "b1": rng.normal(0, 1, hidden),
        "W2": rng.normal(0, 1 / np.sqrt(hidden), (hidden, 1)),
        "b2": np.zeros(1),
    }


def predict(params, inputs):
    """Outputs (n,) and hidden activations (n, hidden)."""
    hidden = np.tanh(inputs @ params["W1"] + params["b1"])
    return (hidden @ params["W2"] + params["b2"])[:, 0], hidden


def gradients(params, inputs, y):
    """The mean squared error and its gradient for every weight."""
    output, hidden = predict(params, inputs)
    error = output - y
    d_output = (2 / len(y)) * error[:, None]
    d_hidden = (d_output @ params["W2"].T) * (1 - hidden**2)
    grads = {"W1": inputs.T @ d_hidden, "b1": d_hidden.sum(0), "W2": hidden.T @ d_output, "b2": d_output.sum(0)}
    return float(np.mean(error**2)), grads


def train(params, inputs, y):
    """Full-batch Adam; returns the weights and the training loss of every step."""
    losses = []
    mean = {name: np.zeros_like(value) for name, value in params.items()}
    square = {name: np.zeros_like(value) for name, value in params.items()}
    for step in range(1, SETTINGS["steps"] + 1):
        loss, grads = gradients(params, inputs, y)
        losses.append(loss)
        for name, grad in grads.items():
            mean[name] = 0.9 * mean[name] + 0.1 * grad
            square[name] = 0.999 * square[name] + 0.001 * grad**2
            update = (mean[name] / (1 - 0.9**step)) / (np.sqrt(square[name] / (1 - 0.999**step)) + 1e-8)
            params[name] = params[name] - SETTINGS["learning_rate"] * update
        if step % 500 == 0:
            print(f"step {step}: loss {loss:.4f}", flush=True)
    return params, losses


def run(seed):
    """One network trained from scratch: its metrics, and curves to plot."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(0, 1, SETTINGS["points"])
    y = target(x) + rng.normal(0, SETTINGS["noise"], len(x))
    inputs = features(x)
    params, losses = train(init(rng, inputs.shape[1], SETTINGS["hidden"]), inputs, y)
    grid = np.linspace(0, 1, 1000, endpoint=False)
    output, _ = predict(params, features(grid))
    clean = target(grid)
    metrics = {
        "test_r2": 1 - np.mean((output - clean) ** 2) / np.var(clean),
        "train_loss": losses[-1],
        "output_std": np.std(output),
        "steps": len(losses),
    }
    for frequency, amplitude in zip(FREQUENCIES, AMPLITUDES):  # 1: this wave is there in full, 0: not at all
        learned = 2 * np.mean(output * np.sin(2 * np.pi * frequency * grid))
        metrics[f"wave_{frequency}"] = learned / amplitude
    return metrics, {"losses": np.array(losses), "grid": grid, "output": output, "clean": clean}


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--out_dir", type=Path, default=Path("run_0"))
    out_dir = parser.parse_args().out_dir
    out_dir.mkdir(parents=True, exist_ok=True)
    results, curves = zip(*(run(SETTINGS["seed"] + repeat) for repeat in range(SETTINGS["repeats"])))
    table = {name: np.array([result[name] for result in results], dtype=float) for name in results[0]}
    means = {name: float(values.mean()) for name, values in table.items()}
    stderrs = {name: float(values.std() / np.sqrt(len(values))) for name, values in table.items()}
    (out_dir / "final_info.json").write_text(json.dumps({"waves": {"means": means, "stderrs": stderrs}}, indent=2))
    np.savez(out_dir / "curves.npz", **curves[0])
    losses = curves[0]["losses"][::10]
    steps = list(range(0, 10 * len(losses), 10))
    (out_dir / "curves.json").write_text(json.dumps({"step": steps, "loss": losses.tolist()}))
    print(", ".join(f"{name} {value:.3f}" for name, value in means.items()))
