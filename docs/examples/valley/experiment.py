"""Gradient descent in a narrow valley: how low does it get in 100 steps?"""

import argparse
import json
import os

parser = argparse.ArgumentParser()
parser.add_argument("--out_dir", default="run_0")
out_dir = parser.parse_args().out_dir
os.makedirs(out_dir, exist_ok=True)

STEPS = 100
RATE = 0.015
CURVATURE = (1.0, 100.0)  # a hundred times steeper across than along


def descend(rate):
    """The loss after each step."""
    x = [1.0, 1.0]
    losses = []
    for _ in range(STEPS):
        gradient = [c * value for c, value in zip(CURVATURE, x)]
        x = [value - rate * g for value, g in zip(x, gradient)]
        losses.append(0.5 * sum(c * value**2 for c, value in zip(CURVATURE, x)))
    return losses


losses = descend(RATE)
print(f"loss {losses[-1]:.3g} after {STEPS} steps", flush=True)
with open(os.path.join(out_dir, "final_info.json"), "w") as file:
    json.dump({"valley": {"means": {"loss": losses[-1], "best_loss": min(losses)}}}, file)
