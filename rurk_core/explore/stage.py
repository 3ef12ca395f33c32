"""The stage of a sample: what the models of a run see around it, in parts that a browser can play with by itself.

A part is a :mod:`~rurk_core.explore.packing` pack, a function of its arguments alone. There are three kinds:

- ``base``: the sample's picture, what is said of it, its counts where the run measured them, and its copies as noise
  where they lie on rays: a copy at any τ is then clip(picture + τ·noise).
- ``field``: what one model believes on a plane through the sample: a log-probability a class and node, a byte each.
- ``copies``: at some radii, where every copy stands on the plane, and what every model takes it for, how surely.

Fields come at several levels, each with twice the nodes of the one before, so that the first is there at once.

A copy stands on the plane at its own distance from the sample, in the direction of its projection: of many dimensions
two show almost nothing of a random change, and its projection alone would lie in the middle. Only where a copy lies in
the plane is the field under it the model's answer to it; what each copy is taken for is asked of the copy itself.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..arrays import Floats
from ..errors import UsageError
from ..evidence.words import planted_words
from ..measure.verdicts import LOG_ODDS_BOUND, log_odds
from ..perturb.copies import ATTACKS
from ..perturb.planes import Plane, ball_outline, beliefs
from .packing import pack
from .scene import REACH, Scene

SIDE = 96
"""Pixels of the longer side of a picture, at most; larger ones are shown reduced to that."""
ROOM = 400_000
"""Bytes of a sample's copies as pictures, at most; where all would take more, the first copies have one."""
LEVELS = 127
"""Steps of a change from none to the largest: at τ = 0.1 one is less than a grey level of Gaussian noise."""
TOP = 4
"""Classes kept of each answer, the likeliest."""
FILLED = 9
"""Classes of a field that have a shade of their own; the likeliest of the others is kept as one."""
LIGHT, HEAVY = (21, 41), (11, 21, 41)
"""Nodes along a side of a field, level by level, for inputs of up to :data:`SMALL` values and for larger ones."""
SMALL = 1000
ZOOMS = 5
"""Fields of a plane: the whole of it, half as far, a quarter, and so on, for small radii."""
NEAR = 2.2
"""A field that suits a radius reaches at least so many times as far."""
FLOOR = -8.0
"""Log-probabilities below this are kept as this: far from every border."""


def sides(scene: Scene) -> tuple[int, ...]:
    """Nodes along a side of a field, level by level."""
    return LIGHT if scene.data.train_images[0].numel() <= SMALL else HEAVY


def zoom_of(scene: Scene, at: int) -> int:
    """Which zoom suits radius number ``at``."""
    tau = scene.taus[at]
    if not tau:
        return 0
    return max(0, min(ZOOMS - 1, math.floor(math.log2(REACH / NEAR * max(scene.taus) / tau))))


def base(scene: Scene, sample: int, *, levels: int = LEVELS, room: int = ROOM) -> bytes:
    """The part that comes first.

    ``picture`` is uint8 [H, W, channels]; ``noise`` int8 [p, H, W, channels] times ``step`` is the change of p copies
    at τ = 1 before clipping. Where copies do not lie on rays there is none.

    Args:
        levels: steps of the noise from none to the largest; room: bytes of it, at most.
    """
    (first, *more), place, known = scene.said(sample), scene.place(sample), {}
    planted = planted_words(scene.data.canaries, sample, scene.data.classes[scene.label(sample)])
    if scene.measured and place is not None:
        judging = [name for name in scene.models if name in scene.like.models]
        known = {name: scene.like.recognised(name)[place].tolist() for name in judging}
    arrays: dict[str, NDArray[Any]] = {"picture": shown_picture(scene.pixels(sample))}
    step = 0.0
    if _on_rays(scene):
        arrays["noise"], step = _stepped(_shown(scene.noise(sample)[: _pictured(scene, room)]), levels)
    header = {
        "kind": "base",
        "sample": sample,
        "label": scene.label(sample),
        "said": [" ".join(filter(None, [first, planted])), *more],
        "order": scene.ordered(sample),
        "telling": scene.telling(sample),
        "counts": known,
        "draws": scene.like.draws,
        "copies": scene.copies_each,
        "step": step,
    }
    return pack(header, arrays)


def field(scene: Scene, sample: int, cut: str, name: str, level: int, zoom: int = 0) -> bytes:
    """The part of one model on a plane.

    ``shades`` uint8 [k, side, side]: byte b of a class stands for the log-probability (1 − b/255)·``floor``; classes in
    the order of ``base``, the last for the likeliest of all further ones. Rows go up, columns across, from −``extent``
    to ``extent``, the plane's own over 2^``zoom``. What is written are differences along both, modulo 256: they are
    small, and so the bytes pack well. ``outline`` float32 [a, 2] is the ball of τ = 1.

    Raises:
        UsageError: no such level, zoom, plane or model.
    """
    if not (0 <= level < len(sides(scene)) and 0 <= zoom < ZOOMS):
        raise UsageError(f"Levels of a field are 0 to {len(sides(scene)) - 1}, zooms 0 to {ZOOMS - 1}.")
    on, extent, about = scene.cut(sample, cut)
    header = {"kind": "field", "sample": sample, "cut": cut, "model": name, "level": level, "zoom": zoom}
    arrays: dict[str, NDArray[Any]] = {
        "shades": differences(shades(scene, sample, cut, name, level, zoom)),
        "outline": ball_outline(on, ATTACKS[scene.attack].ball, 1.0, 73),
    }
    return pack({**header, "extent": extent / 2**zoom, "floor": FLOOR, **about}, arrays)


def differences(values: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Differences along the last two axes, modulo 256; two cumulative sums undo them."""
    for axis in (-1, -2):
        values = np.diff(values, axis=axis, prepend=np.uint8(0))
    return values


def shades(scene: Scene, sample: int, cut: str, name: str, level: int, zoom: int) -> NDArray[np.uint8]:
    """What :func:`field` shows; only what the level before has not is asked."""

    def make() -> NDArray[np.uint8]:
        on, extent, _ = scene.cut(sample, cut)
        side, coarse = sides(scene)[level], shades(scene, sample, cut, name, level - 1, zoom) if level else None
        line = torch.linspace(-extent / 2**zoom, extent / 2**zoom, side)
        at = torch.cartesian_prod(line, line).flip(1).view(side, side, 2)  # rows go up, columns across
        new = torch.ones(side, side, dtype=torch.bool)
        found = np.empty((min(len(scene.data.classes), FILLED + 1), side, side), np.uint8)
        if coarse is not None:  # every second node is known
            new[::2, ::2] = False
            found[:, ::2, ::2] = coarse
        found[:, new.numpy()] = _shaded(beliefs(scene.judge(name), on, at[new]), scene.ordered(sample))
        return found

    return scene.fields((sample, cut, name, level, zoom), make)


def copies(scene: Scene, sample: int, cut: str, at: Sequence[int], names: Sequence[str], *, room: int = ROOM) -> bytes:
    """The part at radii number ``at`` [R] under models ``names`` [M], of n copies.

    ``places`` float32 [R, n, 2]; ``own`` uint8 [R, M, n], the probability of the sample's class times 255; ``top``
    uint8 or uint16 [R, M, n, k] the likeliest classes and ``share`` uint8 their probabilities; ``margin`` int8
    [R, M, n] log-odds of the sample's class in steps of ``odds``. Where copies do not lie on rays, ``change`` int8
    [R, p, H, W, channels] times ``steps`` [R] is the change of p copies. Without names there are ``places`` alone.

    Raises:
        UsageError: no such radius, plane or model.
    """
    if not at or not all(0 <= t < len(scene.taus) for t in at):
        raise UsageError(f"Radii are numbered 0 to {len(scene.taus) - 1}.")
    on, own = scene.cut(sample, cut)[0], scene.label(sample)
    parts: dict[str, list[Any]] = {"places": [], "own": [], "top": [], "share": [], "margin": []}
    for t in at:
        parts["places"].append(place_of(on, scene.moved(sample, t)))
        found = [answer(scene.logits(sample, t, name), own) for name in names]
        for name in ("own", "top", "share", "margin"):
            parts[name].append([each[name] for each in found])
    arrays = {name: np.asarray(value) for name, value in parts.items() if names or name == "places"}
    header = {"kind": "copies", "sample": sample, "cut": cut, "at": list(at), "models": list(names)}
    header |= {"odds": LOG_ODDS_BOUND / 127, "same": [scene.same(sample, t, names) for t in at]}
    if names and not _on_rays(scene):
        count, still = _pictured(scene, room), _shown(scene.pixels(sample)[None])
        changed = [_stepped(_shown(scene.moved(sample, t)[:count]) - still, LEVELS) for t in at]
        arrays["change"], header["steps"] = np.stack([each for each, _ in changed]), [step for _, step in changed]
    return pack(header, arrays)


def _on_rays(scene: Scene) -> bool:
    """Whether copies travel as noise: on rays, and small enough to be shown as they are."""
    return ATTACKS[scene.attack].ray and max(scene.data.train_images.shape[2:], default=0) <= SIDE


def _pictured(scene: Scene, room: int) -> int:
    """How many copies have a picture."""
    radii = 1 if _on_rays(scene) else len(scene.taus)
    return max(1, min(scene.copies_each, room // (radii * _shown(scene.pixels(0)[None]).numel())))


def place_of(cut: Plane, moved: Tensor) -> NDArray[np.float32]:
    """Where copies stand on a plane: at their distance from the sample, in the direction of their projection [n, 2]."""
    at = cut.coordinates(moved)
    far = (moved - cut.origin).flatten(1).square().mean(1).sqrt()
    return (at * (far / at.norm(dim=1).clamp(min=1e-12))[:, None]).numpy()


def answer(logits: Floats, own: int) -> dict[str, NDArray[Any]]:
    """What one model says of n copies, small: see :func:`copies`."""
    found = torch.from_numpy(logits)
    chances, order = found.softmax(1), np.argsort(-logits, axis=1, kind="stable")[:, :TOP]
    margin = log_odds(found, torch.full((len(found),), own)).numpy()
    return {
        "own": _byte(chances[:, own]),
        "top": order.astype(np.uint8 if logits.shape[1] <= 256 else np.uint16),
        "share": _byte(chances.gather(1, torch.from_numpy(order))),
        "margin": np.round(127 / LOG_ODDS_BOUND * margin).astype(np.int8),
    }


def _shaded(found: Tensor, order: Sequence[int]) -> NDArray[np.uint8]:
    """Log-probabilities [N, C] → bytes [k, N] of the first classes in order, and of the likeliest of the others."""
    found = found[:, list(order)].T
    if len(found) > FILLED:
        found = torch.cat([found[:FILLED], found[FILLED:].amax(0, keepdim=True)])
    return _byte(1 - found.clamp(min=FLOOR) / FLOOR)


def _shown(images: Tensor) -> Tensor:
    """[N, C, H, W], or [N, D] as one row of pixels → [N, h, w, channels], the longer side at most :data:`SIDE`."""
    if images.dim() == 2:
        images = images[:, None, None, :]
    height, width = images.shape[2:]
    if max(height, width) > SIDE:
        size = [max(1, round(side * SIDE / max(height, width))) for side in (height, width)]
        images = nn.functional.interpolate(images, size, mode="area")
    return images[:, : 3 if images.shape[1] >= 3 else 1].permute(0, 2, 3, 1)


def shown_picture(pixels: Tensor) -> NDArray[np.uint8]:
    """An image as it is shown: uint8 [H, W, channels]."""
    return _byte(_shown(pixels[None])[0].clamp(0, 1))


def _byte(share: Tensor) -> NDArray[np.uint8]:
    """0 to 1 → 0 to 255."""
    return (255 * share).round().to(torch.uint8).numpy()


def _stepped(change: Tensor, levels: int) -> tuple[NDArray[np.int8], float]:
    """A change in whole steps, and the step."""
    step = max(1e-9, float(change.abs().max())) / levels
    return (change / step).round().to(torch.int8).numpy(), step
