"""Evaluates a trained SAE on held-out text: SAE-Bench's `core` and the temporal metrics (not editable by the model)."""

from __future__ import annotations

import json
import math
import os
import time
import warnings
from dataclasses import asdict
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
from activations import Activations, hf_home, load_provenance
from metrics import dead_fraction, explained_variance, feature_stability, temporal_consistency
from torch import nn

HELDOUT_CHUNK = 16
TEMPORAL_CONTEXTS = 128
SHOWN = (
    "explained_variance",
    "explained_variance_trimmed",
    "ce_loss_score",
    "l0",
    "dead_feature_fraction",
    "tcs",
    "fsm",
)
VERSIONS = ("sae-bench", "transformer-lens", "transformers", "torch")


class VarianceSums:
    """Sums that give the explained variance of everything SAE-Bench sent through the SAE (BOS left out)."""

    def __init__(self, d_in: int, device: str) -> None:
        self.count = 0
        self.x, self.squares, self.residual = (torch.zeros(d_in, dtype=torch.float64, device=device) for _ in range(3))

    def add(self, x: torch.Tensor, x_hat: torch.Tensor) -> None:
        self.count += len(x)
        self.x += x.double().sum(dim=0)
        self.squares += x.double().pow(2).sum(dim=0)
        self.residual += (x - x_hat).double().pow(2).sum(dim=0)

    def explained(self) -> float:
        """1 - sum_i E[(x_i - x_hat_i)^2] / sum_i (E[x_i^2] - E[x_i]^2)."""
        variance = self.squares / self.count - (self.x / self.count).pow(2)
        return (1 - (self.residual / self.count).sum() / variance.sum()).item()


class ScaledSAE(nn.Module):
    """What SAE-Bench sees: raw activations with the BOS position go in, the trained SAE gets what it was trained on.

    SAE-Bench calls encode with (contexts, 1 + length, d_in). The SAE gets flat batches of whole contexts,
    (contexts * length, d_in), scaled; features come back in the units of the raw activations, with the BOS position
    (which SAE-Bench ignores) filled with zeros.
    """

    def __init__(self, sae: nn.Module, data: Activations, cfg: Any, device: str) -> None:
        super().__init__()
        self.sae, self.scale, self.cfg = sae, data.scale, cfg
        self.device, self.dtype = torch.device(device), torch.float32
        self.seen = VarianceSums(data.d_in, device)
        self.tokens = torch.empty(0)

    def encode(self, x: torch.Tensor) -> torch.Tensor:
        self.tokens = tokens = x[:, 1:]
        features = self.sae.encode((tokens * self.scale).flatten(0, 1)).unflatten(0, tokens.shape[:2]) / self.scale
        return nn.functional.pad(features, (0, 0, 1, 0))

    def decode(self, features: torch.Tensor) -> torch.Tensor:
        decoded = self.sae.decode((features[:, 1:] * self.scale).flatten(0, 1)) / self.scale
        self.seen.add(self.tokens.flatten(0, 1), decoded)
        return nn.functional.pad(decoded.unflatten(0, self.tokens.shape[:2]), (0, 0, 1, 0))


def heldout_pass(sae: nn.Module, data: Activations, contexts: int, device: str) -> tuple[torch.Tensor, ...]:
    """Features (contexts, length, d_sae), inputs and reconstructions (tokens, d_in) of held-out contexts, float32."""
    features, inputs, outputs = [], [], []
    for start in range(0, contexts, HELDOUT_CHUNK):
        chunk = data.heldout[start : start + HELDOUT_CHUNK].to(device).float() * data.scale
        flat = chunk.flatten(0, 1)
        f = sae.encode(flat)
        if f.ndim != 2 or f.shape[0] != flat.shape[0]:
            raise ValueError(f"encode must return (tokens, features) = ({flat.shape[0]}, …), not {tuple(f.shape)}")
        x_hat = sae.decode(f)
        if x_hat.shape != flat.shape:
            raise ValueError(f"decode must return (tokens, d_in) = {tuple(flat.shape)}, not {tuple(x_hat.shape)}")
        features.append(f.unflatten(0, chunk.shape[:2]))
        inputs.append(flat)
        outputs.append(x_hat)
    return torch.cat(features), torch.cat(inputs), torch.cat(outputs)


def evaluate_heldout(sae: nn.Module, data: Activations, contexts: int, device: str, temporal: bool) -> dict[str, float]:
    """Metrics that need no language model."""
    features, x, x_hat = heldout_pass(sae, data, contexts, device)
    metrics = {
        "explained_variance": explained_variance(x, x_hat),
        "explained_variance_trimmed": explained_variance(x, x_hat, without=data.wide_dims),
        "l0": (features != 0).sum(-1).float().mean().item(),
        "dead_feature_fraction": dead_fraction(features),
    }
    if temporal:
        metrics |= {**temporal_consistency(features), "fsm": feature_stability(features)}
    return metrics


def finite(value: Any) -> Any:
    """The same JSON value with NaN and infinities, which JSON does not know, as null."""
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value


def evaluate_core(
    sae: nn.Module, data: Activations, layer: int, settings: dict[str, Any], out_dir: Path, device: str
) -> dict[str, float]:
    """SAE-Bench's `core` on the held-out contexts, in float32, with the model loaded by its official name offline.

    Its whole result is saved as core_eval.json. Raises what SAE-Bench raises (its `multiple_evals` would only log it).
    """
    os.environ["HF_HOME"] = str(hf_home(settings))
    os.environ["HF_HUB_OFFLINE"] = "1"
    warnings.filterwarnings("ignore")
    import sae_bench.evals.core.main as core
    from datasets import Dataset
    from sae_bench.custom_saes.custom_sae_config import CustomSAEConfig
    from sae_bench.evals.core.eval_config import CoreEvalConfig
    from sae_lens.training.activations_store import ActivationsStore
    from transformer_lens import HookedTransformer

    started = time.monotonic()
    hook = f"blocks.{layer}.hook_resid_post"
    d_sae = sae.encode(data.heldout[0].to(device).float() * data.scale).shape[-1]
    cfg = CustomSAEConfig(
        settings["model"], data.d_in, d_sae, layer, hook, architecture=type(sae).__name__, dtype="float32"
    )
    wrapped = ScaledSAE(sae, data, cfg, device).eval()
    model = HookedTransformer.from_pretrained_no_processing(settings["model"], device=device, dtype=torch.float32)
    print(f"core: language model loaded, {time.monotonic() - started:.0f} s", flush=True)
    store = ActivationsStore(
        model=model,
        dataset=Dataset.from_dict({"tokens": data.heldout_tokens.tolist()}),
        streaming=False,
        hook_name=hook,
        hook_head_index=None,
        context_size=data.heldout_tokens.shape[1],
        d_in=data.d_in,
        n_batches_in_buffer=1,
        total_training_tokens=data.heldout_tokens.numel(),
        store_batch_size_prompts=settings["eval_batch_contexts"],
        train_batch_size_tokens=settings["eval_batch_contexts"] * data.context_length,
        prepend_bos=True,
        normalize_activations="none",
        device=torch.device(device),
        dtype="float32",
    )
    config = CoreEvalConfig(
        model_name=settings["model"],
        batch_size_prompts=settings["eval_batch_contexts"],
        n_eval_reconstruction_batches=settings["eval_reconstruction_batches"],
        n_eval_sparsity_variance_batches=settings["eval_variance_batches"],
        dataset=data.provenance["text"],
        context_size=data.heldout_tokens.shape[1],
        compute_kl=True,
        compute_ce_loss=True,
        compute_l2_norms=True,
        compute_sparsity_metrics=True,
        compute_variance_metrics=True,
        exclude_special_tokens_from_reconstruction=True,
    )
    special = {model.tokenizer.pad_token_id, model.tokenizer.eos_token_id, model.tokenizer.bos_token_id}
    groups, _ = core.run_evals(wrapped, store, model, config, ignore_tokens=special)
    result = {
        "sae_bench_version": metadata.version("sae-bench"),
        "eval_config": asdict(config),
        "eval_result_metrics": groups,
    }
    (out_dir / "core_eval.json").write_text(json.dumps(finite(result), indent=1), encoding="utf-8")
    print(f"core: done, {time.monotonic() - started:.0f} s", flush=True)
    flat = {name: value for group in groups.values() for name, value in group.items()}
    # core of sae-bench 0.6.0 takes (mean_i E[x_i^2])^2 from E|x|^2 where sum_i E[x_i]^2 is meant. With activations as
    # large as Gemma's the result is above 1 whatever the SAE does, so what it meant is computed from the same passes.
    return flat | {
        "explained_variance": wrapped.seen.explained(),
        "core_explained_variance": flat["explained_variance"],
    }


@torch.no_grad()
def evaluate(
    sae: nn.Module, data: Activations, layer: int, settings: dict[str, Any], out_dir: str, device: str, smoke: bool
) -> dict[str, float]:
    """All metrics of one layer. A smoke attempt leaves out `core`, which has to load the whole language model."""
    sae = sae.eval().float()
    contexts = HELDOUT_CHUNK if smoke else min(TEMPORAL_CONTEXTS, len(data.heldout))
    evals = settings["evals"].split(",")
    metrics = evaluate_heldout(sae, data, contexts, device, temporal="temporal" in evals)
    if "core" in evals and not smoke:
        metrics |= evaluate_core(sae, data, layer, settings, Path(out_dir), device)
    return metrics


def write_final_info(results: dict[int, dict[str, float]], settings: dict[str, Any], out_dir: str) -> None:
    """Write final_info.json: {"sae": {"means": metrics, "provenance": what was used}}.

    With several layers a metric is the mean of the layers, and `layer_5_<metric>` is there too for each. `layers_alive`
    is the share of layers whose SAE has active features and explains more than the mean does.
    """
    layers = list(results)
    seconds = {str(layer): results[layer].pop("training_seconds", None) for layer in layers}
    means = {name: sum(results[layer][name] for layer in layers) / len(layers) for name in results[layers[0]]}
    if len(layers) > 1:
        means |= {f"layer_{layer}_{name}": value for layer in layers for name, value in results[layer].items()}
    alive = [run["l0"] > 0 and run["explained_variance"] > 0 for run in results.values()]
    means["layers_alive"] = sum(alive) / len(alive)
    provenance = {
        "settings": settings,
        "layers": {str(layer): load_provenance(settings, layer) for layer in layers},
        "training_seconds": seconds,
        "versions": {name: metadata.version(name) for name in VERSIONS},
    }
    text = json.dumps({"sae": {"means": means, "provenance": provenance}}, indent=1)
    (Path(out_dir) / "final_info.json").write_text(text, encoding="utf-8")
    for name in SHOWN:
        if name in means:
            print(f"{name}: {means[name]:.4f}", flush=True)
