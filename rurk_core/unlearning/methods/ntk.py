"""NTK scrubbing: linearise the network at its weights and move by what retraining the linear model would change.

Let J be the Jacobian of the logits (n·C × P), r the derivative of the loss by the logits (f − y, or softmax − y),
and train the linearised model f + J(v − w) with the penalty λ/2·|v − θ0|². Its solution on a set A of n_A
samples is

    v_A = θ0 − J_Aᵀ (J_A J_Aᵀ + n_A·λ·I)⁻¹ e_A,    e = r − J·(w − θ0)

and the step is δ = v_{S_r} − v_S. On linear least squares with an L2 penalty to θ0, w + δ is the retrained model
to rounding (r = f − y is then exact). With θ0 = w the correction J·(w − θ0) is 0 and the formula is that of the
authors' code, which therefore solves another problem than the one the weights were trained on.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ...config import Config, choice, number
from ...data.stream import free_memory
from ...errors import RurkError, UsageError
from ...models import Classifier
from ...training.loop import OnStep
from ..base import Samples, register, trainable_copy
from ..importance import Passes, sample_chunk, sample_gradients
from ..loop import prepared

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class NtkConfig(Config):
    """Settings of NTK scrubbing; λ defaults to the weight decay of our training."""

    weight_decay: float = number(
        5e-4, 1e-12, 1e6, "λ: the L2 penalty the Original was trained with", search=(1e-5, 1.0, "log")
    )
    anchor: str = choice(
        "zero", ("zero", "original"), "θ0, where the penalty pulls to: 0 (weight decay), or the Original (their code)"
    )
    loss: str = choice("ce", ("ce", "mse"), "residual: softmax − one-hot, or logits − one-hot")
    scale: str = choice(
        "none", ("none", "trapezium"), "length of the step: as solved, or by the trapezium rule of the original code"
    )
    max_scale: float = number(30.0, 1.0, 1e6, "largest factor of the trapezium rule; a clipped one is logged")
    layers: int = number(0, 0, 1000, "only the last k named blocks, the head counting as one; 0 = all")
    max_samples: int = number(0, 0, 10_000_000, "samples in the kernel: S_f first, then S_r at random; 0 = all")


def check_ntk(original: Classifier, retain: Samples, forget: Samples, config: NtkConfig) -> str | None:
    """NTK needs the named blocks it is asked for, and memory for its kernel."""
    blocks = original.block_names
    if config.layers > len(blocks):
        return f"it was asked for the last {config.layers} blocks; this model has {len(blocks)}."
    need = _demand(original, retain, forget, config)
    if need.block < 1:
        return (
            f"it needs {(need.kernel + 2 * need.row) / 1e9:.1f} GB for the kernel of {need.samples} samples × "
            f"{need.classes} classes and {need.free / 1e9:.1f} GB are free; set 'max_samples' or 'layers'."
        )
    return None


def estimate_ntk(original: Classifier, retain: Samples, forget: Samples, config: NtkConfig) -> str | None:
    """What NTK is going to take."""
    need = _demand(original, retain, forget, config)
    return (
        f"NTK will take {need.kernel / 1e9:.2f} GB for the kernel of {need.samples} samples × {need.classes} classes "
        f"and {2 * need.block * need.row / 1e9:.2f} GB for blocks of {need.block} samples; {need.free / 1e9:.1f} GB "
        f"are free."
    )


def passes_of_ntk(config: NtkConfig, n_r: int, n_f: int, classes: int) -> float:
    """The Jacobian once and a step; where memory holds a part of it only, samples pass again for every part."""
    samples = min(n_r + n_f, config.max_samples) if config.max_samples else n_r + n_f
    return samples * (1.0 + 2 * classes + 3.0 * (2 if config.scale == "trapezium" else 1))


@register(
    title="NTK",
    letters="NT",
    place=16,
    config=NtkConfig,
    needs="S_r and S_f",
    source="Golatkar et al. 2020 (arXiv 2003.02960), w + P ∇h(S_f)ᵀ M V, as the difference of two kernel solutions",
    summary="moves the weights by what retraining the linearised network would change; two kernel solves, no training",
    cost="C backward passes of S and a solve with an n·C × n·C matrix",
    batch_norm="eval mode; running statistics stay, scale and shift of batch normalisation move as weights",
    presets={
        "paper, small CIFAR-5": {},
        "source": {"anchor": "original", "scale": "trapezium"},
        "digits": {"max_samples": 150},
    },
    passes=passes_of_ntk,
    check=check_ntk,
    estimate=estimate_ntk,
)
def ntk(
    original: Classifier,
    retain: Samples,
    forget: Samples,
    config: NtkConfig,
    *,
    generator: torch.Generator,
    on_step: OnStep | None = None,
) -> Classifier:
    """w ← w + s·(v_{S_r} − v_S), see the module's docstring; s = 1, or the trapezium rule of the authors' code.

    The kernel JJᵀ is built from blocks of per-sample gradients and J is never stored; the step itself is one
    backward pass, since Jᵀa = ∇ Σ_i a_iᵀ f(x_i). With ``max_samples`` both solutions are those of the
    subsample, in which S_f weighs more than in S.

    Raises:
        UsageError: the kernel or a block does not fit in the free memory, or the network has fewer blocks.
        RurkError: the kernel is not positive definite at this λ in float32.
    """
    refusal = check_ntk(original, retain, forget, config)
    if refusal:
        raise UsageError(f"NTK: {refusal}")
    block = _demand(original, retain, forget, config).block
    model = trainable_copy(original).eval()
    names = last_blocks(model, config.layers)
    retain, forget = subsample(retain, forget, config.max_samples, generator)
    samples = Samples.join(retain, forget)
    classes = model.head.out_features
    products = 2 if config.scale == "trapezium" else 1
    starts = range(0, len(samples), block)
    passes = Passes(on_step, sum(len(samples) - at for at in starts) + products * len(samples), "NTK")

    kernel, residual, along = kernel_of(model, samples, names, config.loss, block, passes)
    errors = residual - along if config.anchor == "zero" else residual
    rows_r = len(retain) * classes
    alpha = solve(kernel, len(samples) * config.weight_decay, errors)
    alpha_r = torch.zeros_like(alpha)
    alpha_r[:rows_r] = solve(kernel[:rows_r, :rows_r], len(retain) * config.weight_decay, errors[:rows_r])
    del kernel

    step = transposed(model, samples, names, (alpha - alpha_r).view(-1, classes), passes)
    factor = 1.0
    if config.scale == "trapezium":
        solution = transposed(model, samples, names, -alpha_r.view(-1, classes), passes)
        factor = trapezium(flat_weights(model, names), solution, step, config.max_scale)
    with torch.no_grad():
        parameters = dict(model.named_parameters())
        sizes = [parameters[name].numel() for name in names]
        for name, part in zip(names, step.split(sizes), strict=True):
            parameters[name].add_((factor * part).view_as(parameters[name]).to(parameters[name].dtype))
    return model


def trapezium(weights: Tensor, solution: Tensor, step: Tensor, limit: float) -> float:
    """The factor (|δ| + 2·|cos φ|·|e|)/|δ| of the authors' code, clipped to ``limit``.

    e = w − θ0 − ΔW(S_r) is the prediction error of the linear model and φ its angle with δ. Their θ0 is the
    network before training, which an Original no longer holds; it is taken as 0 here.
    """
    error = weights - solution
    length = step.norm()
    if length == 0:
        return 1.0
    factor = 1 + 2 * ((step @ error).abs() / length / length).item()
    if factor > limit:
        logger.warning("NTK: the trapezium rule asks for a step %.3g times as long; clipped to %g.", factor, limit)
    else:
        logger.info("NTK: the trapezium rule makes the step %.3g times as long.", factor)
    return min(factor, limit)


def last_blocks(model: Classifier, layers: int) -> list[str]:
    """Names of the parameters of the last ``layers`` named blocks; of all of them for 0."""
    chosen = {id(p) for name in model.block_names[-layers:] for p in model.block(name).parameters()}
    return [name for name, value in model.named_parameters() if id(value) in chosen]


def subsample(retain: Samples, forget: Samples, limit: int, generator: torch.Generator) -> tuple[Samples, Samples]:
    """At most ``limit`` samples in all (0 = no limit): S_f first, up to half, and random ones of S_r."""

    def draw(samples: Samples, count: int) -> Samples:
        if count >= len(samples):
            return samples
        order = torch.randperm(len(samples), generator=generator, device=generator.device)
        return samples.take(order[:count].to(samples.labels.device))

    if not limit or len(retain) + len(forget) <= limit:
        return retain, forget
    forget = draw(forget, max(1, limit // 2))
    return draw(retain, max(1, limit - len(forget))), forget


# --- memory -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Demand:
    """Memory in bytes: the kernel with its two Cholesky factors, one sample's rows of J, what is free; and samples.

    ``block`` is how many samples of J are held at a time; 0 where not even one fits.
    """

    samples: int
    classes: int
    kernel: int
    row: int
    free: int
    block: int


def demand(samples: int, classes: int, parameters: int, itemsize: int, free: int) -> Demand:
    """What a kernel of ``samples`` × ``classes`` over ``parameters`` weights of ``itemsize`` bytes takes."""
    kernel, row = 3 * 8 * (samples * classes) ** 2, classes * parameters * itemsize
    # beside the block there is a smaller one that streams past it, and the network's own activations
    left = int(0.9 * free) - kernel
    return Demand(samples, classes, kernel, row, free, min(left // (2 * row), samples) if left > 0 else 0)


def _demand(model: Classifier, retain: Samples, forget: Samples, config: NtkConfig) -> Demand:
    samples = len(retain) + len(forget)
    samples = min(samples, config.max_samples) if config.max_samples else samples
    parameters = dict(model.named_parameters())
    size = sum(parameters[name].numel() for name in last_blocks(model, config.layers))
    free = free_memory(retain.labels.device)
    return demand(samples, model.head.out_features, size, model.head.weight.element_size(), free)


# --- the linear algebra -------------------------------------------------------------------------------------


def kernel_of(
    model: Classifier, samples: Samples, names: Sequence[str], loss: str, block: int, passes: Passes
) -> tuple[Tensor, Tensor, Tensor]:
    """K = JJᵀ (n·C × n·C), r and J·w (n·C), all float64, rows ordered by sample and then by class.

    A block of J is held, and the samples after it pass by in small chunks; every block more costs another pass
    of the samples after it.
    """
    device = samples.labels.device
    count, classes = len(samples), model.head.out_features
    weights = flat_weights(model, names)
    kernel = torch.zeros(count, classes, count, classes, dtype=torch.float64, device=device)
    residual = torch.zeros(count, classes, dtype=torch.float64, device=device)
    along = torch.zeros_like(residual)
    chunk = min(block, sample_chunk(model, names, device))

    for start in range(0, count, block):
        stop = min(start + block, count)
        held = torch.empty(stop - start, classes, len(weights), dtype=weights.dtype, device=device)
        for at in range(start, stop, chunk):
            end = min(at + chunk, stop)
            rows = held[at - start : end - start]
            logits = jacobian(model, samples, at, names, rows, passes)
            share = logits.double().softmax(1) if loss == "ce" else logits.double()
            residual[at:end] = share - F.one_hot(samples.labels[at:end], classes)
            along[at:end] = (rows @ weights).double()
            # only the lower triangle is multiplied out
            part = _products(rows, held[: end - start])
            kernel[at:end, :, start:end] = part
            kernel[start:end, :, at:end] = part.permute(2, 3, 0, 1)
        passing = torch.empty(chunk, classes, len(weights), dtype=weights.dtype, device=device)
        for at in range(stop, count, chunk):
            end = min(at + chunk, count)
            jacobian(model, samples, at, names, passing[: end - at], passes)
            part = _products(passing[: end - at], held)
            kernel[at:end, :, start:stop] = part
            kernel[start:stop, :, at:end] = part.permute(2, 3, 0, 1)
    size = count * classes
    return kernel.view(size, size), residual.flatten(), along.flatten()


def _products(rows: Tensor, columns: Tensor) -> Tensor:
    """a×C×P and b×C×P → float64 a×C×b×C of inner products."""
    found = rows.flatten(0, 1) @ columns.flatten(0, 1).T
    return found.double().view(*rows.shape[:2], *columns.shape[:2])


def jacobian(
    model: Classifier, samples: Samples, start: int, names: Sequence[str], rows: Tensor, passes: Passes
) -> Tensor:
    """Write ∂f_c(x_i)/∂w of the samples from ``start`` on into ``rows``, B×C×P; returns their logits B×C."""
    here = slice(start, start + len(rows))
    images, labels = samples.images[here], samples.labels[here]
    one_hot = torch.eye(rows.shape[1], dtype=rows.dtype, device=rows.device)
    logits, each = sample_gradients(
        model, prepared(images, model), lambda logits: one_hot.expand(len(logits), -1, -1), names
    )
    passes.add(logits, labels)
    for k, found in enumerate(each):
        torch.cat([found[name].flatten(1) for name in names], 1, out=rows[:, k])
    return logits


def transposed(model: Classifier, samples: Samples, names: Sequence[str], vectors: Tensor, passes: Passes) -> Tensor:
    """Jᵀ·vectors, float64 P, for vectors n×C: one batched backward pass."""
    parameters = dict(model.named_parameters())
    total = torch.zeros_like(flat_weights(model, names), dtype=torch.float64)
    for at in range(0, len(samples), 64):
        here = slice(at, at + 64)
        logits = model(prepared(samples.images[here], model))
        seeds = vectors[here].to(logits.dtype)
        found = torch.autograd.grad(logits, [parameters[name] for name in names], seeds, materialize_grads=True)
        total += torch.cat([gradient.flatten() for gradient in found])
        passes.add(logits, samples.labels[here])
    return total


def flat_weights(model: Classifier, names: Sequence[str]) -> Tensor:
    """The named parameters, one after another."""
    parameters = dict(model.named_parameters())
    return torch.cat([parameters[name].detach().flatten() for name in names])


def solve(kernel: Tensor, ridge: float, errors: Tensor) -> Tensor:
    """(K + ridge·I)⁻¹ errors by a Cholesky factor.

    Raises:
        RurkError: the matrix is not positive definite in the precision of K.
    """
    shifted = kernel.clone()
    shifted.diagonal().add_(ridge)
    factor, info = torch.linalg.cholesky_ex(shifted)
    if info.item():
        raise RurkError("The NTK kernel is not positive definite at this weight decay; raise 'weight_decay'.")
    return torch.cholesky_solve(errors.unsqueeze(1), factor).squeeze(1)
