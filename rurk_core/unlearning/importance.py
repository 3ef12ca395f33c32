"""Gradients of single samples, and the diagonal importances made of their squares (Fisher, SSD, NTK).

In eval mode samples do not influence each other, so one backward pass of a whole batch down to the *outputs* of
the layers holds every sample's own gradient; a rule per kind of layer turns it into gradients of the weights.
That takes a third of the time of a loop over single samples on a small network, where ``vmap`` takes longer than
the loop. Models with other layers fall back on the loop on a CPU and on ``torch.func.vmap`` on a GPU.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap

from ..models import Classifier
from ..training.loop import OnStep, report
from .base import Samples
from .loop import prepared

Seeds = Callable[[Tensor], Tensor]
"""Logits B×C → B×K×C: the K combinations of a sample's logits whose gradients are wanted."""


class Passes:
    """Progress in samples that went through the network: reports the mean loss so far, in which a NaN stays."""

    def __init__(self, on_step: OnStep | None, total: int, what: str):
        self.on_step, self.total, self.what = on_step, total, what
        self.done = self.batches = 0
        self.loss: Tensor | None = None

    def add(self, logits: Tensor, labels: Tensor) -> None:
        """``logits`` B×C of a batch; raises Diverged on a NaN or an infinite loss, and whatever ``on_step`` raises."""
        loss = F.cross_entropy(logits.detach(), labels, reduction="sum")
        self.loss = loss if self.loss is None else self.loss + loss
        self.done += len(labels)
        self.batches += 1
        what = f"unlearning with {self.what}"
        report(self.on_step, self.done, self.total, self.loss / self.done, what, batch=self.batches)


def diagonal_importance(
    model: Classifier,
    samples: Samples,
    *,
    kind: str = "empirical",
    batch: int = 1,
    order: Tensor | None = None,
    passes: Passes | None = None,
) -> dict[str, Tensor]:
    """The mean squared gradient of the cross-entropy by every weight, in eval mode.

    Args:
        model: its parameters must require gradients; it is put in eval mode.
        kind: ``"empirical"`` takes the labels of ``samples``: mean over batches of (∂ mean CE / ∂w)².
            ``"expected"`` takes the labels from the model itself: mean over samples of Σ_c p_c·(∂CE(x, c)/∂w)²,
            the diagonal of the Fisher information (single samples only).
        batch: samples in a gradient. Squares of batch means are smaller than those of single samples where
            gradients cancel, so this number is part of the definition.
        order: indices into ``samples`` (default: as they lie); the last batch may be smaller.
        passes: told about every batch.

    Returns:
        parameter name → tensor of the parameter's shape and dtype, ≥ 0.

    Raises:
        ValueError: "expected" with a batch above 1.
        Diverged: through ``passes``, where a loss is NaN or infinite.
    """
    if kind not in ("empirical", "expected") or (kind == "expected" and batch != 1):
        raise ValueError(f"kind {kind!r} with batch {batch}")
    model.eval()
    order = torch.arange(len(samples), device=samples.labels.device) if order is None else order
    parameters = dict(model.named_parameters())
    total = {name: torch.zeros_like(value) for name, value in parameters.items()}
    if batch > 1:
        batches = order.split(batch)
        for index in batches:
            images, labels = samples.batch(index)
            logits = model(prepared(images, model))
            loss = F.cross_entropy(logits, labels)
            of_batch = torch.autograd.grad(loss, list(parameters.values()), materialize_grads=True)
            for name, gradient in zip(parameters, of_batch, strict=True):
                total[name].addcmul_(gradient, gradient)
            if passes:
                passes.add(logits, labels)
        return {name: value / len(batches) for name, value in total.items()}
    for index in order.split(sample_chunk(model, list(parameters), samples.labels.device)):
        images, labels = samples.batch(index)
        seeds = _expected_seeds if kind == "expected" else _label_seeds(labels)
        logits, each = sample_gradients(model, prepared(images, model), seeds)
        if passes:
            passes.add(logits, labels)
        for gradients in each:
            for name, gradient in gradients.items():
                total[name] += gradient.square().sum(0)
    return {name: value / len(order) for name, value in total.items()}


def _label_seeds(labels: Tensor) -> Seeds:
    """∂CE(x, y) = Σ_k (p_k − 1[k = y]) ∂f_k."""

    def seeds(logits: Tensor) -> Tensor:
        return (logits.softmax(1) - F.one_hot(labels, logits.shape[1])).unsqueeze(1)

    return seeds


def _expected_seeds(logits: Tensor) -> Tensor:
    """√p_c · ∂CE(x, c) for every class c, so that squares summed over c are the expectation over c ~ p."""
    share = logits.softmax(1)
    one_hot = torch.eye(logits.shape[1], dtype=logits.dtype, device=logits.device)
    return share.sqrt().unsqueeze(2) * (share.unsqueeze(1) - one_hot)


def sample_gradients(
    model: Classifier, pixels: Tensor, seeds: Seeds, names: Sequence[str] | None = None
) -> tuple[Tensor, Iterator[dict[str, Tensor]]]:
    """Each sample's own gradients of combinations of its logits.

    Args:
        model: in eval mode, its parameters requiring gradients.
        pixels: B×....
        seeds: logits B×C → B×K×C.
        names: of the parameters wanted; all by default.

    Returns:
        The logits B×C, and an iterator that yields for k = 0..K−1 a dictionary parameter name →
        B×(shape of the parameter): the gradients of Σ_c seeds[i, k, c]·f_c(x_i).
    """
    wanted = dict(model.named_parameters())
    wanted = wanted if names is None else {name: wanted[name] for name in names}
    if len(pixels) == 1:
        logits = model(pixels)
        return logits.detach(), _single(logits, seeds(logits.detach()), wanted)
    if has_rules(model, wanted):
        return _by_rules(model, pixels, seeds, wanted)
    with torch.no_grad():
        logits = model(pixels)
    return logits, _by_vmap(model, pixels, seeds(logits), wanted)


def sample_chunk(model: Classifier, names: Sequence[str], device: torch.device) -> int:
    """Samples to hand to :func:`sample_gradients` at a time: what a CPU's cache or a share of a GPU holds."""
    parameters = dict(model.named_parameters())
    size = sum(parameters[name].numel() * parameters[name].element_size() for name in names)
    if device.type == "cuda":
        return max(2, min(256, torch.cuda.mem_get_info(device)[0] // (16 * size)))
    if not has_rules(model, {name: parameters[name] for name in names}):
        return 1
    return max(1, min(64, 16 * 2**20 // size))


def _single(logits: Tensor, seeds: Tensor, wanted: dict[str, nn.Parameter]) -> Iterator[dict[str, Tensor]]:
    for k in range(seeds.shape[1]):
        gradients = torch.autograd.grad(
            logits, list(wanted.values()), seeds[:, k], retain_graph=k + 1 < seeds.shape[1], materialize_grads=True
        )
        yield {name: gradient.unsqueeze(0) for name, gradient in zip(wanted, gradients, strict=True)}


def _by_vmap(
    model: Classifier, pixels: Tensor, seeds: Tensor, wanted: dict[str, nn.Parameter]
) -> Iterator[dict[str, Tensor]]:
    rest = {name: value.detach() for name, value in (*model.named_parameters(), *model.named_buffers())}

    def combined(weights: dict[str, Tensor], sample: Tensor, seed: Tensor) -> Tensor:
        return (functional_call(model, rest | weights, (sample.unsqueeze(0),))[0] * seed).sum()

    weights = {name: value.detach() for name, value in wanted.items()}
    for k in range(seeds.shape[1]):
        yield vmap(grad(combined), (None, 0, 0))(weights, pixels, seeds[:, k])


def has_rules(model: nn.Module, wanted: dict[str, nn.Parameter]) -> bool:
    """Whether every wanted parameter belongs to a layer that :func:`_by_rules` knows."""
    ids = {id(value) for value in wanted.values()}
    owners = [m for m in model.modules() if any(id(p) in ids for p in m.parameters(recurse=False))]
    return all(
        (type(m) is nn.Linear)
        or (type(m) is nn.Conv2d and m.groups == 1 and m.padding_mode == "zeros" and not isinstance(m.padding, str))
        or (type(m) is nn.BatchNorm2d and m.running_mean is not None)
        for m in owners
    )


def _by_rules(
    model: Classifier, pixels: Tensor, seeds: Seeds, wanted: dict[str, nn.Parameter]
) -> tuple[Tensor, Iterator[dict[str, Tensor]]]:
    ids = {id(value): name for name, value in wanted.items()}
    calls: list[tuple[nn.Module, Tensor, Tensor]] = []

    def remember(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        calls.append((module, inputs[0].detach(), output))
        return output.clone()  # the next layer may work in place (ReLU), and the remembered output must stay itself

    handles = [
        module.register_forward_hook(remember)
        for module in model.modules()
        if any(id(p) in ids for p in module.parameters(recurse=False))
    ]
    try:
        logits = model(pixels)
    finally:
        for handle in handles:
            handle.remove()
    inputs = [_layer_input(module, value) for module, value, _ in calls]
    outputs = [output for *_, output in calls]
    combinations = seeds(logits.detach())

    def each() -> Iterator[dict[str, Tensor]]:
        for k in range(combinations.shape[1]):
            last = k + 1 == combinations.shape[1]
            gradients = torch.autograd.grad(
                logits, outputs, combinations[:, k], retain_graph=not last, materialize_grads=True
            )
            found: dict[str, Tensor] = {}
            for (module, *_), value, gradient in zip(calls, inputs, gradients, strict=True):
                for parameter, part in _layer_gradients(module, value, gradient):
                    name = ids.get(id(parameter))
                    if name:  # a layer that runs twice adds up
                        found[name] = found[name] + part if name in found else part
            yield found

    return logits.detach(), each()


def _layer_input(module: nn.Module, value: Tensor) -> Tensor:
    """A layer's input in the form its rule multiplies with: patches of a convolution, normalised values of a BN."""
    if isinstance(module, nn.Conv2d):
        assert not isinstance(module.padding, str)
        return F.unfold(value, module.kernel_size, module.dilation, module.padding, module.stride)
    if isinstance(module, nn.BatchNorm2d):
        assert module.running_mean is not None and module.running_var is not None
        shape = (1, -1, 1, 1)
        return (value - module.running_mean.view(shape)) * (module.running_var.view(shape) + module.eps).rsqrt()
    return value


def _layer_gradients(module: nn.Module, value: Tensor, gradient: Tensor) -> Iterator[tuple[Tensor | None, Tensor]]:
    """(parameter, B×its shape) for a layer's parameters from the gradient of its output."""
    if isinstance(module, nn.Conv2d):
        flat = gradient.flatten(2)
        yield module.weight, torch.bmm(flat, value.transpose(1, 2)).view(-1, *module.weight.shape)
        yield module.bias, flat.sum(2)
    elif isinstance(module, nn.BatchNorm2d):
        yield module.weight, (gradient * value).sum((2, 3))
        yield module.bias, gradient.sum((2, 3))
    else:
        assert isinstance(module, nn.Linear)
        # a table row is a sequence of length one
        flat = gradient.flatten(1, -2) if gradient.dim() > 2 else gradient.unsqueeze(1)
        value = value.flatten(1, -2) if value.dim() > 2 else value.unsqueeze(1)
        yield module.weight, flat.transpose(1, 2) @ value
        yield module.bias, flat.sum(1)
