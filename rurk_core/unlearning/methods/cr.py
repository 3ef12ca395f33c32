"""CR, certified removal: refit the last layer as logistic regressions and take one Newton step away from S_f."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...config import Config, number
from ...device import default_batch
from ...errors import RurkError, UsageError
from ...models import Classifier
from ...training.loop import OnStep, report
from ..base import Samples, register, trainable_copy
from ..importance import Passes
from ..loop import prepared


@dataclass(frozen=True)
class CrConfig(Config):
    """Settings of CR; the default is the paper's."""

    l2: float = number(
        0.1,
        1e-8,
        1e6,
        "λ: L2 penalty of each sample's loss, λ/2·|w|²; in the sum it counts n times",
        search=(1e-6, 1.0, "log"),
    )


def check_cr(original: Classifier, retain: Samples, forget: Samples, config: CrConfig) -> str | None:
    """CR is defined for a linear last layer."""
    if not isinstance(getattr(original, "head", None), nn.Linear):
        return "it works on a linear last layer, and this model's last layer is not one."
    return None


@register(
    title="CR",
    letters="CR",
    place=14,
    config=CrConfig,
    needs="S_r and S_f",
    source="Guo et al. 2020 (arXiv 1911.03030), the Newton removal step w + H⁻¹Δ, one-vs-rest on frozen features",
    summary="refits the last layer as logistic regressions and takes one Newton step away from the forget set",
    cost="one forward pass of S, then Newton steps on a logistic regression per class",
    batch_norm="eval mode; nothing but the last layer changes, and the features still know the forget set",
    presets={"paper, small CIFAR-5": {}, "digits": {"l2": 1e-3}},
    passes=lambda config, n_r, n_f, classes: 1.0 * (n_r + n_f),
    check=check_cr,
)
def cr(
    original: Classifier,
    retain: Samples,
    forget: Samples,
    config: CrConfig,
    *,
    generator: torch.Generator,
    on_step: OnStep | None = None,
) -> Classifier:
    """For every class k the regression is refit on S and then moved by w ← w − H_r⁻¹ ∇L(w; S_r).

        L(w; A) = Σ_{i in A} [ −log σ(y_i wᵀx_i) + λ/2·|w|² ],   y_i = 1 for class k, −1 for the others
        H_r = X_rᵀ diag(s(1 − s)) X_r + λ·n_r·I

    So λ is a penalty per sample and enters the sums n or n_r times, as in the authors' code. The gradient over S
    is 0 at the refit weights, which makes the step the same as theirs (H_r⁻¹ times the removed samples' gradient),
    all of S_f in one step; its distance from a refit on S_r grows with |S_f|².

    The bound wants |x| ≤ 1, not = 1: x = [features/R, 1]/√2 with R the largest norm of the features in S, so the
    constants fold into the weights and bias of the linear head and the network keeps its shape. (Without a bias,
    x = features/R.) The head returned scores one-vs-rest: the class it prefers is meant, not its softmax.
    """
    refusal = check_cr(original, retain, forget, config)
    if refusal:
        raise UsageError(f"CR: {refusal}")
    model = trainable_copy(original).eval()
    head = model.head
    steps = len(retain) + len(forget) + head.out_features
    passes = Passes(on_step, steps, "CR")
    of_retain, of_forget = features_of(model, retain, passes), features_of(model, forget, passes)
    radius = max(of_retain.norm(dim=1).max().item(), of_forget.norm(dim=1).max().item())
    if radius == 0:
        raise RurkError("CR found that the network's features are all zero; train the Original longer.")
    has_bias = head.bias is not None
    x_r, x_f = (bounded(part, radius, has_bias) for part in (of_retain, of_forget))
    x, labels = torch.cat([x_r, x_f]), torch.cat([retain.labels, forget.labels])
    rows = []
    for k in range(head.out_features):
        weights = fit_binary(x, _signs(labels, k), config.l2)
        weights = newton_removal(weights, x_r, _signs(retain.labels, k), config.l2)
        report(on_step, passes.done + k + 1, steps, weights.norm(), "unlearning with CR")
        rows.append(weights)
    with torch.no_grad():
        weight, bias = folded(torch.stack(rows), radius, has_bias)
        head.weight.copy_(weight)
        if has_bias:
            head.bias.copy_(bias)
    return model


@torch.no_grad()
def features_of(model: Classifier, samples: Samples, passes: Passes) -> Tensor:
    """float64 N×F features of the frozen extractor."""
    parts = []
    for index in torch.arange(len(samples), device=samples.labels.device).split(
        default_batch(tuple(samples.images.shape[1:]), samples.labels.device)
    ):
        images, labels = samples.batch(index)
        features = model.features(prepared(images, model))
        passes.add(model.head(features), labels)
        parts.append(features.double())
    return torch.cat(parts)


def bounded(features: Tensor, radius: float, has_bias: bool) -> Tensor:
    """Inputs of the regressions, of norm at most 1: N×F features → N×(F+1), or N×F where there is no bias."""
    if not has_bias:
        return features / radius
    return torch.cat([features / radius, torch.ones_like(features[:, :1])], 1) / math.sqrt(2)


def folded(weights: Tensor, radius: float, has_bias: bool) -> tuple[Tensor, Tensor]:
    """Weights C×(F+1) on :func:`bounded` inputs → weight C×F and bias C on the raw features."""
    if not has_bias:
        return weights / radius, weights.new_zeros(len(weights))
    weights = weights / math.sqrt(2)
    return weights[:, :-1] / radius, weights[:, -1]


def _signs(labels: Tensor, k: int) -> Tensor:
    return (labels == k).double() * 2 - 1


def objective(weights: Tensor, x: Tensor, y: Tensor, l2: float) -> Tensor:
    """Σ_i [ −log σ(y_i wᵀx_i) + λ/2·|w|² ]."""
    return F.softplus(-y * (x @ weights)).sum() + 0.5 * l2 * len(x) * weights.square().sum()


def newton_step(weights: Tensor, x: Tensor, y: Tensor, l2: float) -> tuple[Tensor, Tensor]:
    """(H⁻¹∇L, ∇L) of :func:`objective`, by a Cholesky factor of the full Hessian."""
    share = torch.sigmoid(x @ weights)
    gradient = x.T @ (share - (y + 1) / 2) + l2 * len(x) * weights
    hessian = x.T @ (x * (share * (1 - share)).unsqueeze(1))
    hessian.diagonal().add_(l2 * len(x))
    factor = torch.linalg.cholesky(hessian)
    return torch.cholesky_solve(gradient.unsqueeze(1), factor).squeeze(1), gradient


def fit_binary(x: Tensor, y: Tensor, l2: float, *, tolerance: float = 1e-10) -> Tensor:
    """The minimiser of :func:`objective`: x float64 N×D, y ±1 of N → D weights, by damped Newton steps.

    Raises:
        RurkError: |∇L|/n did not fall to ``tolerance`` in 100 steps.
    """
    weights = x.new_zeros(x.shape[1])
    for _ in range(100):
        step, gradient = newton_step(weights, x, y, l2)
        if gradient.norm() <= tolerance * len(x):
            return weights
        now = objective(weights, x, y, l2)
        # close to the minimum the objective no longer tells two points apart; there full steps are right
        for _ in range(30):
            if objective(weights - step, x, y, l2) <= now * (1 + 1e-14):
                break
            step = step / 2
        weights = weights - step
    raise RurkError("The logistic regressions of CR did not converge; raise its penalty 'l2'.")


def newton_removal(weights: Tensor, x_r: Tensor, y_r: Tensor, l2: float) -> Tensor:
    """One Newton step towards the minimiser over S_r."""
    return weights - newton_step(weights, x_r, y_r, l2)[0]
