"""The re-recognition radius: how far a sample has to be moved until a model says its label again, or no longer.

The authors of the paper name it as an open membership signal: a forgotten sample that is one small step away from being
recognised has left a trace, where re-trained models have to be moved further.

Everything here is an *upper bound*: a perturbation that was found proves that the true smallest radius is no larger;
none that was not found proves anything. On a linear model of two classes the true one is known, |margin| / ‖w‖₂ in l2
and |margin| / ‖w‖₁ in l∞, and the search reaches it (tests).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..device import default_batch
from ..errors import UsageError
from ..perturb.copies import stream
from .frozen import frozen_copy

NORMS = {"l2": "l2 length of the change", "linf": "largest change of a pixel (l∞)"}
"""How a change is measured, and what that is called."""
STEPS = 20
RESTARTS = 3
ATTEMPTS = 16
"""Radii tried for a sample, at most; it ends before, at :data:`PRECISION`."""
PRECISION = 1.02
"""Ratio between the smallest radius that worked and the largest that did not, at which the search ends."""
LEVELS = 10
"""The search reaches from the largest radius there is down to 2^−10 of it."""
DIRECTIONS = 64
PASSES = 1200.0
"""About how many forward passes a search takes for one sample, a gradient step counted three (measured on networks for
digits and photographs); random directions are a third of it."""

OnSample = Callable[[int, int], None]


@dataclass(frozen=True)
class Radii:
    """Radii of N samples under one model, in pixel units; float64, infinite where none was found.

    Attributes:
        norm: "l2" or "linf".
        said: bool [N], whether the model says the sample's label to the sample itself.
        strong: the smallest perturbation found that changes that, by projected gradient steps with restarts.
        random: the smallest at which one of :data:`DIRECTIONS` random directions does, on a grid of radii.
    """

    norm: str
    said: NDArray[np.bool_]
    strong: NDArray[np.floating]
    random: NDArray[np.floating]

    def lost(self) -> NDArray[np.floating]:
        """The radius at which the label is no longer said [N]: 0 where it never was."""
        return np.where(self.said, self.strong, 0.0)

    def signed(self, kind: str = "strong") -> NDArray[np.floating]:
        """One score of recognition [N]: the radius to the border, negative outside; high means firmly recognised."""
        found = getattr(self, kind)
        return np.where(self.said, found, -found)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values; None where nothing was found."""
        values = {name: [v if math.isfinite(v) else None for v in getattr(self, name).tolist()] for name in _FOUND}
        return {"norm": self.norm, "upper_bounds": True, "said": self.said.tolist(), **values}


_FOUND = ("strong", "random")


def smallest_radii(
    model: nn.Module,
    pixels: Tensor,
    labels: Tensor,
    ids: Sequence[int],
    *,
    norm: str,
    steps: int = STEPS,
    restarts: int = RESTARTS,
    seed: int = 0,
    on_sample: OnSample | None = None,
) -> Radii:
    """Search for the smallest perturbation of each sample that changes whether the model says its label.

    Where the model does not say y, towards y; where it does, away from it. The search descends on the logit margin
    (y against the best other class), whose gradient does not vanish where the model is sure.

    Args:
        model: a classifier in eval mode, on the device of ``pixels``, weights without gradients.
        pixels: float32 [N, ...] in [0, 1]; labels: int64 [N]; ids: training indices, which key the random starts.
        steps: gradient steps at one radius; restarts: starts at one radius, the first at the sample itself.
        on_sample: called as ``on_sample(samples done, samples in all)``, within a batch by its share of the work;
            raising in it stops.

    Raises:
        UsageError: there is no such norm.
    """
    if norm not in NORMS:
        raise UsageError(f"There is no norm '{norm}'; choose l2 or linf.")
    rows = max(1, default_batch(tuple(pixels.shape[1:]), pixels.device) // max(restarts, 1))
    parts = []
    for start in range(0, len(pixels), rows):
        here = slice(start, min(start + rows, len(pixels)))

        def tick(share: float, here: slice = here) -> None:
            if on_sample:
                on_sample(here.start + int(share * (here.stop - here.start)), len(pixels))

        parts.append(_search(model, pixels[here], labels[here], list(ids[here]), norm, steps, restarts, seed, tick))
        tick(1.0)
    said, strong, random = (torch.cat(column).cpu().numpy() for column in zip(*parts, strict=True))
    return Radii(norm, said, strong.astype(float), random.astype(float))


def largest_radius(norm: str, shape: Sequence[int]) -> float:
    """The distance between opposite corners of the pixel cube: no perturbation is larger."""
    return 1.0 if norm == "linf" else math.sqrt(math.prod(shape))


def _search(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    ids: list[int],
    norm: str,
    steps: int,
    restarts: int,
    seed: int,
    tick: Callable[[float], None],
) -> tuple[Tensor, Tensor, Tensor]:
    """said, strong, random of a batch; ``tick`` is told the share of the work that is done."""
    with torch.no_grad():
        said = model(x).argmax(1) == y
    top = largest_radius(norm, x.shape[1:])
    generators = [stream(seed, "radius", norm, sample, device=x.device) for sample in ids]
    noise = torch.stack([torch.randn(restarts, *x.shape[1:], generator=g, device=x.device) for g in generators])
    floor = top / 2**LEVELS
    low = torch.zeros(len(x), device=x.device)
    high = torch.full((len(x),), torch.inf, device=x.device)
    best = x.clone()
    radius = (1.1 * _linear_radius(model, x, y, norm)).clamp(floor, top)
    for attempt in range(ATTEMPTS):
        tick(attempt / (ATTEMPTS + 2))
        left = ((high > PRECISION * low) & (low < top) & (high > floor)).nonzero()[:, 0]
        if not len(left):
            break
        tried = radius[left]
        warm = torch.where(high[left].isfinite().view(-1, *[1] * (x.dim() - 1)), best[left], x[left])
        found, moved = _attack(model, x[left], y[left], said[left], tried, noise[left], warm, norm, steps)
        hit, missed = found.nonzero()[:, 0], (~found).nonzero()[:, 0]
        low[left[missed]] = tried[missed]
        at = left[hit]
        best[at] = _drawn_in(model, x[at], y[at], said[at], moved[hit])
        high[at] = _length(best[at] - x[at], norm)
        # by ratio, since radii differ by orders of magnitude; a side that is not known yet is looked for further out
        between = torch.where(low > 0, (low * high).sqrt(), high / 2)
        radius = torch.where(high.isfinite(), between, 3 * low).clamp(floor, top)
    return said, high, _along_random(model, x, y, said, high, generators, norm, top)


def _linear_radius(model: nn.Module, x: Tensor, y: Tensor, norm: str) -> Tensor:
    """[N]: how far the nearest border would be if the model were linear; infinite without a slope."""
    point = x.detach().requires_grad_(True)
    with torch.enable_grad():
        gap = _gap(model(point), y)
        (gradient,) = torch.autograd.grad(gap.sum(), point)
    slope = gradient.flatten(1).abs().sum(1) if norm == "linf" else _length(gradient, "l2")
    return (gap.detach().abs() / slope).nan_to_num(torch.inf, torch.inf)


def _gap(logits: Tensor, label: Tensor) -> Tensor:
    """Logit of the label minus the best other one: above 0 where the label is said."""
    own = logits.gather(1, label[:, None])[:, 0]
    return own - logits.scatter(1, label[:, None], -torch.inf).amax(1)


def _drawn_in(model: nn.Module, x: Tensor, y: Tensor, said: Tensor, moved: Tensor) -> Tensor:
    """Points [N, ...] that change the verdict, drawn in along straight lines towards their samples while they do."""
    low, high = torch.zeros(len(x), device=x.device), torch.ones(len(x), device=x.device)
    delta = moved - x
    for _ in range(6 if len(x) else 0):
        middle = (low + high) / 2
        with torch.no_grad():
            changed = (model(x + middle.view(-1, *[1] * (x.dim() - 1)) * delta).argmax(1) == y) != said
        low, high = torch.where(changed, low, middle), torch.where(changed, middle, high)
    return x + high.view(-1, *[1] * (x.dim() - 1)) * delta


def _attack(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    said: Tensor,
    radius: Tensor,
    noise: Tensor,
    warm: Tensor,
    norm: str,
    steps: int,
) -> tuple[Tensor, Tensor]:
    """Whether a point within ``radius`` changes the verdict, and such a point: bool [N], [N, ...].

    A sample is done with the step at which one of its starts succeeds; the nearest of them is taken.
    """
    restarts = noise.shape[1]
    shape = (-1, restarts, *[1] * (x.dim() - 1))
    reach, centre = radius.view(-1, *[1] * x.dim()), x.unsqueeze(1)
    begin = _within(noise, torch.ones_like(reach), norm) * reach
    begin[:, 0] = 0
    if restarts > 1:
        # the point found at a larger radius, drawn in: often nearly enough
        begin[:, 1] = _within((warm - x).unsqueeze(1), reach, norm)[:, 0]
    moved = (centre + begin).clamp(0, 1)
    left = torch.arange(len(x), device=x.device)
    success = torch.zeros(len(x), dtype=torch.bool, device=x.device)
    point = x.clone()
    for step in range(steps + 1):
        flat = moved.flatten(0, 1).detach().requires_grad_(step < steps)
        label, away = y[left].repeat_interleave(restarts), said[left].repeat_interleave(restarts)
        with torch.set_grad_enabled(step < steps):
            logits = model(flat)
            # rises towards success: away from y where y is said, towards it where it is not
            gain = torch.where(away, -1.0, 1.0) * _gap(logits, label)
        changed = ((logits.argmax(1) == label) != away).view(-1, restarts)
        distance = _length((moved - centre).flatten(0, 1), norm).view(-1, restarts)
        closest, which = torch.where(changed, distance, torch.inf).min(1)
        # places and not masks: each mask would have a GPU waited for, anew for every tensor
        changed = closest.isfinite()
        hit, more = changed.nonzero()[:, 0], (~changed).nonzero()[:, 0]
        point[left[hit]] = moved[hit, which[hit]]
        success[left[hit]] = True
        if step == steps or not len(more):
            break
        (gradient,) = torch.autograd.grad(gain.sum(), flat)
        left, moved, centre, reach = left[more], moved[more], centre[more], reach[more]
        gradient = gradient.view(-1, restarts, *x.shape[1:])[more]
        if norm == "linf":
            ascent = gradient.sign()
        else:
            ascent = gradient / _length(gradient.flatten(0, 1), "l2").clamp(min=1e-12).view(shape)
        # long steps first, short ones last: within reach of any point of the ball, and exact at its border
        size = 2 * reach * (1 - step / steps) * (0.5 if step else 1.0)
        moved = (centre + _within(moved + size * ascent - centre, reach, norm)).clamp(0, 1)
    return success, point


def _along_random(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    said: Tensor,
    strong: Tensor,
    generators: list[torch.Generator],
    norm: str,
    top: float,
) -> Tensor:
    """The smallest of 4 · LEVELS radii, each 2^(1/4) times the one before, at which a random direction succeeds.

    Octave by octave from the radius ``strong`` [N] on, below which chance does not reach, and then within the octave.
    """
    directions = torch.stack([torch.randn(DIRECTIONS, *x.shape[1:], generator=g, device=x.device) for g in generators])
    if norm == "linf":
        directions = directions.sign()
    else:
        directions /= _length(directions.flatten(0, 1), "l2").view(len(x), DIRECTIONS, *[1] * (x.dim() - 1))

    def succeeds(left: Tensor, radius: float) -> Tensor:
        hit = torch.zeros(len(left), dtype=torch.bool, device=x.device)
        for at in range(0, DIRECTIONS, 16):
            moved = (x[left].unsqueeze(1) + radius * directions[left, at : at + 16]).clamp(0, 1)
            with torch.no_grad():
                taken = model(moved.flatten(0, 1)).argmax(1).view(len(left), -1)
            hit |= ((taken == y[left][:, None]) != said[left][:, None]).any(1)
        return hit

    found = torch.full((len(x),), torch.inf, device=x.device)
    for octave in range(LEVELS - 1, -1, -1):
        radius = top / 2**octave
        left = (found.isinf() & (strong <= radius)).nonzero()[:, 0]
        if not len(left):
            continue
        left = left[succeeds(left, radius)]
        found[left] = radius
        for quarter in (3, 2, 1):
            smaller = radius / 2 ** (quarter / 4)
            here = left[(found[left] == radius) & (strong[left] <= smaller)]
            if len(here):
                found[here[succeeds(here, smaller)]] = smaller
    return found


def _within(delta: Tensor, reach: Tensor, norm: str) -> Tensor:
    """delta [N, R, ...] brought into the ball of radius ``reach`` [N, 1, ...]."""
    if norm == "linf":
        return delta.clamp(-reach, reach)
    length = _length(delta.flatten(0, 1), "l2").view(*delta.shape[:2], *[1] * (delta.dim() - 2))
    return delta * (reach / length.clamp(min=1e-12)).clamp(max=1)


def _length(delta: Tensor, norm: str) -> Tensor:
    """[N, ...] → [N]."""
    flat = delta.flatten(1)
    return flat.abs().amax(1) if norm == "linf" else flat.norm(dim=1)


def measure(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    ids: Sequence[int],
    *,
    norm: str,
    device: torch.device | str = "cpu",
    seed: int = 0,
    on_sample: OnSample | None = None,
) -> Radii:
    """:func:`smallest_radii` of uint8 or float32 images under a model wherever it lies; neither is changed."""
    from ..data import to_pixels

    where = torch.device(device)
    pixels = to_pixels(images.to(where))
    judge = frozen_copy(model, where, images)
    return smallest_radii(judge, pixels, labels.to(where), ids, norm=norm, seed=seed, on_sample=on_sample)
