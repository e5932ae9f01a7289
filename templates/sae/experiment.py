"""Trains a sparse autoencoder on cached activations of a language model and evaluates it on held-out text.

`python experiment.py --out_dir=run_i` reads settings.json and writes run_i/final_info.json, training_curve.json and the
SAE's weights. Data and metrics are in activations.py, evaluation.py and metrics.py, which are the same for every run.
"""

import argparse
import json
import time
from typing import Optional

import torch
import os
import torch.nn as nn
import numpy as np
from collections import namedtuple

from activations import layers_of, load_activations, load_settings
from evaluation import evaluate, write_final_info

SMOKE = os.environ.get("AI_SCI_SMOKE") == "1"


class CustomSAE(nn.Module):
    """Implementation of a Custom Sparse Autoencoder."""

    def __init__(
        self,
        d_in: int,
        d_sae: int,
        hook_layer: int,
        model_name: str = "EleutherAI/pythia-70m-deduped",
        hook_name: Optional[str] = None,
    ):
        super().__init__()
        self.W_enc = nn.Parameter(torch.zeros(d_in, d_sae))
        self.W_dec = nn.Parameter(torch.zeros(d_sae, d_in))
        self.b_enc = nn.Parameter(torch.zeros(d_sae))
        self.b_dec = nn.Parameter(torch.zeros(d_in))

        # Unit-norm decoder rows in random directions, encoder started as the decoder's transpose
        nn.init.normal_(self.W_dec)
        self.normalize_decoder()
        self.W_enc.data = self.W_dec.data.T.clone()

        self.d_in, self.d_sae = d_in, d_sae
        self.model_name = model_name
        self.hook_name = hook_name or f"blocks.{hook_layer}.hook_resid_post"

    # encode and decode take flat batches, (tokens, d_in) and (tokens, d_sae), of whole contexts in order: in training
    # and in evaluation, `x.view(-1, context_length, d_in)` gives the sequences, and token t has position t % context_length.
    def encode(self, input_acts):
        pre_acts = (input_acts - self.b_dec) @ self.W_enc + self.b_enc
        acts = torch.relu(pre_acts)
        return acts

    def decode(self, acts):
        return acts @ self.W_dec + self.b_dec

    def forward(self, x, output_features=False):
        features = self.encode(x)
        x_hat = self.decode(features)
        if output_features:
            return x_hat, features
        return x_hat

    @torch.no_grad()
    def normalize_decoder(self):
        """Gives every decoder row norm 1, so that a feature's activation is its size in the reconstruction."""
        self.W_dec.data /= self.W_dec.data.norm(dim=-1, keepdim=True).clamp_min(1e-8)


class ConstrainedAdam(torch.optim.Adam):
    """Adam that keeps each row of the constrained parameters at norm 1 (gradients along the row are taken out)."""

    def __init__(self, params, constrained_params, lr, betas=(0.9, 0.999)):
        super().__init__(params, lr=lr, betas=betas)
        self.constrained_params = list(constrained_params)

    def step(self, closure=None):
        with torch.no_grad():
            for p in self.constrained_params:
                unit = p / p.norm(dim=-1, keepdim=True)
                p.grad -= (p.grad * unit).sum(dim=-1, keepdim=True) * unit
        super().step(closure=closure)
        with torch.no_grad():
            for p in self.constrained_params:
                p /= p.norm(dim=-1, keepdim=True)


class SAETrainer:
    """Base class of trainers: holds the seed, offers loss() and update()."""

    def __init__(self, seed=None):
        self.seed = seed
        if seed is not None:
            torch.manual_seed(seed)
            np.random.seed(seed)

    def loss(self, x, logging=False, **kwargs):
        raise NotImplementedError

    def update(self, step, activations):
        raise NotImplementedError


class CustomTrainer(SAETrainer):
    """Trainer for Custom Sparse Autoencoder using L1 regularization."""

    def __init__(self,
                 activation_dim=512,
                 dict_size=64*512,
                 lr=1e-3, 
                 l1_penalty=1e-1,
                 warmup_steps=1000,
                 resample_steps=None,
                 seed=None,
                 device=None,
                 layer=None,
                 lm_name=None,
                 wandb_name='CustomTrainer',
                 submodule_name=None,
    ):
        super().__init__(seed)
        self.layer = layer
        self.lm_name = lm_name
        self.submodule_name = submodule_name
        self.wandb_name = wandb_name
        self.device = device or ('cuda' if torch.cuda.is_available() else 'cpu')

        # Initialize autoencoder
        self.ae = CustomSAE(d_in=activation_dim, d_sae=dict_size, hook_layer=layer, model_name=lm_name)
        self.ae.to(self.device)

        self.lr = lr
        self.l1_penalty = l1_penalty
        self.warmup_steps = warmup_steps
        self.resample_steps = resample_steps
        self.steps_since_active = None
        if resample_steps is not None:
            # For each feature, the number of steps since it was last active
            self.steps_since_active = torch.zeros(dict_size, dtype=torch.int, device=self.device)

        self.optimizer = ConstrainedAdam(self.ae.parameters(), [self.ae.W_dec], lr=lr)
        self.scheduler = torch.optim.lr_scheduler.LambdaLR(self.optimizer, lambda step: min((step + 1) / warmup_steps, 1.0))

    def resample_neurons(self, deads, activations):
        """Points dead features at inputs that are reconstructed badly, and forgets their optimizer state."""
        with torch.no_grad():
            dead_indices = deads.nonzero().flatten()
            if len(dead_indices) == 0:
                return
            errors = (activations - self.ae(activations)).norm(dim=-1)
            dead_indices = dead_indices[:len(activations)]
            chosen = torch.multinomial(errors.float(), len(dead_indices), replacement=False)
            directions = nn.functional.normalize(activations[chosen] - self.ae.b_dec, dim=-1)
            alive_norm = self.ae.W_enc[:, ~deads].norm(dim=0).mean() if (~deads).any() else 1.0

            self.ae.W_enc[:, dead_indices] = directions.T * alive_norm * 0.2
            self.ae.W_dec[dead_indices] = directions
            self.ae.b_enc[dead_indices] = 0.0
            self.steps_since_active[dead_indices] = 0

            state = self.optimizer.state
            for moment in ('exp_avg', 'exp_avg_sq'):
                state[self.ae.W_enc][moment][:, dead_indices] = 0.0
                state[self.ae.W_dec][moment][dead_indices] = 0.0
                state[self.ae.b_enc][moment][dead_indices] = 0.0

    def loss(self, x, logging=False, **kwargs):
        x_hat, f = self.ae(x, output_features=True)
        l2_loss = torch.linalg.norm(x - x_hat, dim=-1).mean()
        l1_loss = f.norm(p=1, dim=-1).mean()

        if self.steps_since_active is not None:
            # Update steps_since_active
            deads = (f == 0).all(dim=0)
            self.steps_since_active[deads] += 1
            self.steps_since_active[~deads] = 0
        
        loss = l2_loss + self.l1_penalty * l1_loss

        if not logging:
            return loss
        return namedtuple('LossLog', ['x', 'x_hat', 'f', 'losses'])(
                x, x_hat, f,
                {
                    'l2_loss': l2_loss.item(),
                    'mse_loss': (x - x_hat).pow(2).sum(dim=-1).mean().item(),
                    'sparsity_loss': l1_loss.item(),
                    'loss': loss.item()
                }
            )

    def update(self, step, activations):
        activations = activations.to(self.device)

        self.optimizer.zero_grad()
        loss = self.loss(activations)
        loss.backward()
        self.optimizer.step()
        self.scheduler.step()

        if self.resample_steps is not None and step % self.resample_steps == 0:
            self.resample_neurons(self.steps_since_active > self.resample_steps / 2, activations)

    @property
    def config(self):
        return {
            'trainer_class': type(self).__name__,
            'dict_class': type(self.ae).__name__,
            'lr': self.lr,
            'l1_penalty': self.l1_penalty,
            'warmup_steps': self.warmup_steps,
            'resample_steps': self.resample_steps,
            'seed': self.seed,
            'layer': self.layer,
            'lm_name': self.lm_name,
        }


def run_sae_training(
    data,
    layer: int,
    dict_size: int,
    num_tokens: int,
    out_dir: str,
    device: str,
    model_name: str = "google/gemma-3-270m",
    batch_tokens: int = 2048,
    learning_rate: float = 2e-3,
    sparsity_penalty: float = 0.1,
    warmup_steps: int = 30,
    sparsity_warmup_steps: int = 100,
    resample_steps: Optional[int] = 100,
    seed: int = 42,
):
    """Trains one SAE on `data` (see activations.Activations), saves it in out_dir, returns it with a report."""
    total_steps = num_tokens // batch_tokens

    # Initialize trainer
    trainer = CustomTrainer(
        activation_dim=data.d_in,
        dict_size=dict_size,
        lr=learning_rate,
        l1_penalty=sparsity_penalty,
        warmup_steps=warmup_steps,
        resample_steps=resample_steps,
        seed=seed,
        device=device,
        layer=layer,
        lm_name=model_name,
    )
    trainer.ae.b_dec.data = data.scaled_mean().to(device)

    curve = []
    started = time.time()
    log_every = max(1, total_steps // 20)
    for step, batch in enumerate(data.batches(batch_tokens, num_tokens, seed, device)):
        trainer.l1_penalty = sparsity_penalty * min((step + 1) / sparsity_warmup_steps, 1.0)
        # bfloat16 matrix products make training on a CPU several times faster; evaluation is in float32
        with torch.autocast(device_type=device, dtype=torch.bfloat16):
            trainer.update(step, batch)
            if step % log_every == 0 or step == total_steps - 1:
                with torch.no_grad():
                    log = trainer.loss(batch, logging=True)
                l0 = (log.f != 0).float().sum(dim=-1).mean().item()
                curve.append({"step": step, "l0": l0, **log.losses})
                losses = ", ".join(f"{name} {value:.3f}" for name, value in log.losses.items())
                print(f"layer {layer}, step {step + 1}/{total_steps}, {time.time() - started:.0f} s: {losses}, l0 {l0:.1f}", flush=True)

    torch.save(
        {"state_dict": trainer.ae.state_dict(), "config": trainer.config, "activation_scale": data.scale},
        os.path.join(out_dir, f"sae_layer_{layer}.pt"),
    )
    with open(os.path.join(out_dir, f"training_curve_layer_{layer}.json"), "w") as file:
        json.dump(curve, file, indent=1)
    report = {"training_steps": step + 1, "final_loss": curve[-1]["loss"], "training_seconds": time.time() - started}
    return trainer.ae, report


def main():
    parser = argparse.ArgumentParser(description="Train and evaluate sparse autoencoders")
    parser.add_argument("--out_dir", type=str, default="run_0", help="Output directory")
    out_dir = os.path.abspath(parser.parse_args().out_dir)
    os.makedirs(out_dir, exist_ok=True)
    settings = load_settings()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.use_deterministic_algorithms(True, warn_only=True)

    results = {}
    for layer in layers_of(settings):
        data = load_activations(settings, layer)
        sae, report = run_sae_training(
            data,
            layer=layer,
            dict_size=settings["d_sae"],
            num_tokens=12 * settings["batch_tokens"] if SMOKE else settings["epochs"] * settings["tokens"],
            out_dir=out_dir,
            device=device,
            model_name=settings["model"],
            batch_tokens=settings["batch_tokens"],
            learning_rate=settings["learning_rate"],
            sparsity_penalty=settings["sparsity_penalty"],
            seed=settings["seed"],
        )
        results[layer] = evaluate(sae, data, layer, settings, out_dir, device, smoke=SMOKE) | report
    write_final_info(results, settings, out_dir)


if __name__ == "__main__":
    main()
