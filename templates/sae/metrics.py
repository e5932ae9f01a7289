"""Metrics on held-out contexts that SAE-Bench does not have (not editable by the model)."""

from __future__ import annotations

import torch

SCALES = {"short": range(1, 5), "medium": range(5, 17), "long": range(17, 128)}
"""Token distances of the three ranges that the recorded idea names: 1-4, 5-16 and 17-128."""


def explained_variance(x: torch.Tensor, x_hat: torch.Tensor, without: list[int] | None = None) -> float:
    """1 - sum_i E[(x_i - x_hat_i)^2] / sum_i Var(x_i), over all dimensions but `without`.

    x, x_hat: (tokens, d_in). The fraction of variance explained as Gao et al. 2024 (arXiv:2406.04093) normalise it: a
    constant prediction of the mean scores 0. In the residual stream of some models (Gemma 3) two dimensions carry half
    of the variance, so a figure without them says more about the rest.
    """
    kept = torch.ones(x.shape[1], dtype=torch.bool, device=x.device)
    kept[without or []] = False
    residual = (x - x_hat)[:, kept].pow(2).mean(dim=0).sum()
    return (1 - residual / x[:, kept].var(dim=0, unbiased=False).sum()).item()


def temporal_consistency(features: torch.Tensor) -> dict[str, float]:
    """Temporal consistency score (TCS) of features (contexts, length, d_sae), for three ranges of distances.

        C(k)  = mean over contexts c and positions t of cos(f[c, t], f[c, t + k])
        C0(k) = the same with f[c + n/2, t + k] for the second vector: another of the n contexts, at the same distance
        TCS(range) = (mean_k C(k) - mean_k C0(k)) / (1 - mean_k C0(k)),    TCS = mean of the three ranges

    1: neighbours have the same features; 0: no more alike than tokens of unrelated texts, which is also what a
    dictionary of always-active features gets. Source: the recorded idea names the score and its ranges but no formula.
    Cosine of neighbouring codes is the temporal coherence criterion of slow feature analysis (Wiskott & Sejnowski
    2002); taking the chance level out and rescaling follows Cohen's kappa (1960). Long distances are sampled (every
    eighth). A token without any active feature has cosine 0 to everything.
    """
    unit = torch.nn.functional.normalize(features, dim=-1)
    # Neighbouring contexts are often of one document; half of the held-out text further on, hardly any are.
    other = unit.roll(-(len(unit) // 2), dims=0)
    scores: dict[str, float] = {}
    for name, distances in SCALES.items():
        usable = [k for k in distances if k < features.shape[1]][:: 8 if name == "long" else 1]
        if not usable:
            continue
        near = torch.stack([(unit[:, :-k] * unit[:, k:]).sum(-1).mean() for k in usable]).mean()
        chance = torch.stack([(unit[:, :-k] * other[:, k:]).sum(-1).mean() for k in usable]).mean()
        scores[f"tcs_{name}"] = ((near - chance) / (1 - chance).clamp_min(1e-9)).item()
    scores["tcs"] = sum(scores.values()) / len(scores)
    return scores


def feature_stability(features: torch.Tensor, at_least: int = 10) -> float:
    """Feature stability metric (FSM) of features (contexts, length, d_sae): do active features stay active?

        stay_j = P(f_j[t + 1] > 0 | f_j[t] > 0),   base_j = P(f_j > 0)
        FSM = mean over features j with at least `at_least` activations of (stay_j - base_j) / (1 - base_j)

    1: a feature that fires never stops within a context; 0: firing says nothing about the next token. For a stationary
    two-state chain the term of one feature is its lag-1 autocorrelation. Source: the recorded idea names the metric
    without a formula; this is the diagonal of the feature transition matrix it wants analysed, with the base rate
    taken out. Features that fire always (base_j = 1) are left out.
    """
    active = features > 0
    fired = active[:, :-1].sum(dim=(0, 1))
    base = active.float().mean(dim=(0, 1))
    counted = (fired >= at_least) & (base < 1)
    if not counted.any():
        return 0.0
    both = (active[:, :-1] & active[:, 1:]).sum(dim=(0, 1))[counted].float()
    base = base[counted]
    return ((both / fired[counted] - base) / (1 - base)).mean().item()


def dead_fraction(features: torch.Tensor) -> float:
    """Share of features (contexts, length, d_sae) that never fire on the held-out text."""
    return 1 - (features > 0).any(dim=0).any(dim=0).float().mean().item()
