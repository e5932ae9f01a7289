"""Gradient descent on two small regression problems: python experiment.py --out_dir=run_1"""

import argparse
import json
import os
import random

DATASETS = {"line": (1, 0.1), "cubic": (3, 0.2)}
STEPS = 60
RATE = 0.05


def make_points(degree, noise, seed):
    draw = random.Random(seed)
    return [(i / 20 - 1, (i / 20 - 1) ** degree + draw.gauss(0, noise)) for i in range(41)]


def predict(weights, x):
    return sum(weight * x**power for power, weight in enumerate(weights))


def gradient(weights, points):
    errors = [(x, predict(weights, x) - y) for x, y in points]
    return [2 * sum(error * x**power for x, error in errors) / len(points) for power in range(len(weights))]


def train(points):
    weights = [0.0] * 4
    losses = []
    for step in range(STEPS):
        slopes = gradient(weights, points)
        weights = [weight - RATE * slope for weight, slope in zip(weights, slopes)]
        losses.append(sum((predict(weights, x) - y) ** 2 for x, y in points) / len(points))
        if step % 20 == 0:
            print(f"step {step}: loss {losses[-1]:.4f}")
    return losses


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--out_dir", default="run_0")
    out_dir = parser.parse_args().out_dir
    os.makedirs(out_dir, exist_ok=True)
    results, curves = {}, {}
    for name, (degree, noise) in DATASETS.items():
        runs = [train(make_points(degree, noise, seed)) for seed in range(3)]
        final = [losses[-1] for losses in runs]
        means = {"final_loss": sum(final) / len(final)}
        results[name] = {"means": means, "stderrs": {"final_loss": (max(final) - min(final)) / 3}}
        curves[name] = runs[0]
    with open(os.path.join(out_dir, "final_info.json"), "w") as file:
        json.dump(results, file)
    with open(os.path.join(out_dir, "curves.json"), "w") as file:
        json.dump(curves, file)


if __name__ == "__main__":
    main()
