"""Perturbed copies x' of a sample x within radius τ: random draws and attacks, seeded and batched.

Every attack but PGD moves along a ray: x' = clip(x + τ·δ, 0, 1) with a direction δ that does not depend on τ.
The same δ therefore serves every radius and every model, which is what makes verdicts cheap and curves over τ
smooth. Draws are regenerated from a seed, never stored: the δ of (seed, sample, draw) is the same whatever
chunk, model or radius it is asked for. They differ between a CPU and a GPU, whose generators differ.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..errors import UsageError
from .transforms import NUMBERS, TRANSFORMS, transformed

DRAW_BLOCK = 20
"""Draws that share one random stream; the unit in which draws are made and forgotten."""

PGD_STEPS = 10
PGD_STEP_SIZE = 2 / 255


@dataclass(frozen=True)
class Attack:
    """One way to perturb.

    Attributes:
        title: its name for people.
        ball: what τ means: ``"gaussian"`` (standard deviation), ``"l2"`` or ``"linf"`` (radius), ``"share"`` (of what
            the summary says).
        uses_model: whether copies are built against a model (the unlearned one, following the paper).
        targeted: whether each copy pulls towards a random wrong label.
        ray: whether x' = clip(x + τ·δ) with δ independent of τ.
        summary: one line for lists and forms.
        images: whether it is defined for images only.
        pairs: whether draws come in pairs of a direction and its opposite, whose errors cancel to first order.
    """

    title: str
    ball: str
    uses_model: bool
    targeted: bool
    ray: bool
    summary: str
    images: bool = False
    pairs: bool = False


ATTACKS: dict[str, Attack] = {
    "gaussian": Attack(
        "Gaussian noise", "gaussian", False, False, True, "x + τ·N(0, I); τ is the standard deviation (paper)"
    ),
    "gaussian_pairs": Attack(
        "Gaussian noise in pairs",
        "gaussian",
        False,
        False,
        True,
        "the same with x + τδ and x − τδ for every δ: mean log-odds of fewer copies (antithetic pairs; ours)",
        pairs=True,
    ),
    "uniform_l2": Attack("Uniform in the l2 ball", "l2", False, False, True, "every point of the l2 ball alike"),
    "uniform_linf": Attack("Uniform in the l∞ ball", "linf", False, False, True, "each pixel moves by up to τ"),
    "fgsm": Attack(
        "FGSM, targeted",
        "linf",
        True,
        True,
        True,
        "one signed-gradient step towards a random wrong label (paper)",
    ),
    "fgsm_untargeted": Attack(
        "FGSM, untargeted", "linf", True, False, True, "one signed-gradient step away from the true label"
    ),
    "pgd": Attack(
        "PGD, targeted", "linf", True, True, False, "ten projected steps towards a random wrong label (paper)"
    ),
    "pgd_untargeted": Attack(
        "PGD, untargeted", "linf", True, False, False, "ten projected steps away from the true label"
    ),
    **{
        key: Attack(title, ball, False, False, False, summary, images=True)
        for key, title, ball, summary in (
            ("shift", "Shift", "share", "moved by up to τ of the side, across and up"),
            ("rotation", "Rotation", "share", "turned about the middle by up to τ of half a turn, either way"),
            ("crop", "Crop", "share", "up to τ of the side cut away, the rest brought back to the whole size"),
            ("brightness", "Brightness", "linf", "every pixel brighter or darker by the same amount of up to τ"),
            ("blur", "Blur", "share", "a Gaussian blur of standard deviation up to τ/4 of the side"),
            ("jpeg", "JPEG", "share", "stored as JPEG at a quality of 100 less up to 99·τ, and read again"),
            ("occlusion", "Occlusion", "share", "a grey square over it, its side up to τ of the image's"),
        )
    },
}


def find_attack(name: str) -> Attack:
    """The attack called ``name``.

    Raises:
        UsageError: there is none.
    """
    if name not in ATTACKS:
        raise UsageError(f"There is no attack '{name}'; choose one of {', '.join(ATTACKS)}.")
    return ATTACKS[name]


# --- random streams -----------------------------------------------------------------------------------------


def stream(seed: int, *names: str | int, device: torch.device | str = "cpu") -> torch.Generator:
    """A generator that belongs to (seed, names) alone; any change of either gives an independent one."""
    text = "/".join(map(str, (seed, *names)))
    key = int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest()) >> 1
    return torch.Generator(device).manual_seed(key)


def random_directions(
    attack: str, ids: Sequence[int], block: int, shape: tuple[int, ...], seed: int, device: torch.device
) -> Tensor:
    """Directions δ of draws ``block·DRAW_BLOCK`` onwards for the samples ``ids``.

    Returns float32 [samples, DRAW_BLOCK, ...]: N(0, I) for ``gaussian``, uniform in the unit l2 ball for
    ``uniform_l2``, uniform in [−1, 1] per pixel otherwise (``uniform_linf`` and the random start of PGD). In pairs
    every second one is the opposite of the one before.
    """
    pairs = ATTACKS[attack].pairs
    delta = torch.empty(len(ids), DRAW_BLOCK // 2 if pairs else DRAW_BLOCK, *shape, device=device)
    for row, sample in zip(delta, ids, strict=True):
        generator = stream(seed, attack, int(sample), block, device=device)
        if ATTACKS[attack].ball == "gaussian":
            row.normal_(generator=generator)
        elif attack == "uniform_l2":
            # a Gaussian direction of length U^(1/d) is uniform in the unit ball of d dimensions
            row.normal_(generator=generator)
            flat = row.view(DRAW_BLOCK, -1)
            radius = torch.rand(DRAW_BLOCK, 1, generator=generator, device=device) ** (1 / flat.shape[1])
            flat *= radius / flat.norm(dim=1, keepdim=True)
        else:
            row.uniform_(-1, 1, generator=generator)
    return torch.stack([delta, -delta], 2).flatten(1, 2) if pairs else delta


def wrong_labels(labels: Tensor, ids: Sequence[int], draws: int, classes: int, seed: int) -> Tensor:
    """A random label y' ≠ y for every draw: int64 [samples, draws], uniform over the other classes."""
    offsets = torch.stack(
        [torch.randint(classes - 1, (draws,), generator=stream(seed, "target", int(sample))) for sample in ids]
    ).to(labels.device)
    return (labels[:, None] + 1 + offsets) % classes


# --- gradient attacks -----------------------------------------------------------------------------------------


def input_gradient(model: nn.Module, pixels: Tensor, labels: Tensor) -> Tensor:
    """∇ₓ CE(model(x), y) for a batch, the shape of ``pixels``; weights and their gradients are left alone.

    The model must be in eval mode, so that batch statistics neither act nor move.
    """
    pixels = pixels.detach().requires_grad_(True)
    with torch.enable_grad():
        loss = F.cross_entropy(model(pixels), labels, reduction="sum")
        return torch.autograd.grad(loss, pixels)[0]


def fgsm(model: nn.Module, pixels: Tensor, labels: Tensor, tau: float, *, targeted: bool) -> Tensor:
    """One signed-gradient step of size τ, clipped to [0, 1] (Goodfellow et al. 2015, arXiv 1412.6572).

    Args:
        labels: int64 N; the label to move towards if ``targeted``, else the one to move away from.
    """
    step = input_gradient(model, pixels, labels).sign()
    return (pixels + (-tau if targeted else tau) * step).clamp(0, 1)


def pgd(
    model: nn.Module,
    pixels: Tensor,
    labels: Tensor,
    tau: float,
    *,
    targeted: bool,
    start: Tensor | None = None,
    steps: int = PGD_STEPS,
    step_size: float = PGD_STEP_SIZE,
) -> Tensor:
    """Projected gradient steps in the l∞ ball of radius τ (Madry et al. 2018, arXiv 1706.06083).

    Args:
        labels: the label to move towards if ``targeted``, else the one to move away from.
        start: direction in [−1, 1] of the random start x + τ·start; from x itself if left out.
    """
    low, high = (pixels - tau).clamp(min=0), (pixels + tau).clamp(max=1)
    moved = pixels if start is None else (pixels + tau * start).clamp(0, 1)
    sign = -step_size if targeted else step_size
    for _ in range(steps):
        moved = torch.clamp(moved + sign * input_gradient(model, moved, labels).sign(), low, high)
    return moved


# --- copies of samples --------------------------------------------------------------------------------------


def along_ray(pixels: Tensor, directions: Tensor, tau: float) -> Tensor:
    """clip(x + τ·δ, 0, 1): pixels [S, ...] and directions [S, B, ...] → copies [S, B, ...]."""
    # new_full and not new_tensor, which would copy a number to a GPU and wait for it
    return torch.addcmul(pixels.unsqueeze(1), directions, directions.new_full((), tau)).clamp_(0, 1)


def ray_blocks(
    attack: str,
    model: nn.Module | None,
    pixels: Tensor,
    labels: Tensor,
    ids: Sequence[int],
    draws: int,
    seed: int,
    classes: int,
) -> Iterator[tuple[Tensor, Tensor]]:
    """Directions of a ray attack in blocks: (δ float32 [S, B, ...], weight int64 [S, B]).

    Weights say how many of the ``draws`` a direction stands for and sum to ``draws`` over all blocks. FGSM's
    direction depends on the target alone, so when there are fewer wrong labels than draws, each label is
    computed once and weighted by how often it was drawn: the same counts for a fraction of the work.
    """
    shape = tuple(pixels.shape[1:])
    if not ATTACKS[attack].uses_model:
        for block in range(-(-draws // DRAW_BLOCK)):
            size = min(DRAW_BLOCK, draws - block * DRAW_BLOCK)
            delta = random_directions(attack, ids, block, shape, seed, pixels.device)[:, :size]
            yield delta, torch.ones(len(ids), size, dtype=torch.int64, device=pixels.device)
        return
    assert model is not None, f"{attack} needs a model"
    if not ATTACKS[attack].targeted:
        delta = input_gradient(model, pixels, labels).sign()
        yield delta.unsqueeze(1), torch.full((len(ids), 1), draws, device=pixels.device)
        return
    drawn = wrong_labels(labels, ids, draws, classes, seed)
    if classes - 1 <= draws:
        targets = (labels[:, None] + 1 + torch.arange(classes - 1, device=labels.device)) % classes
        weights = (drawn[:, :, None] == targets[:, None]).sum(1)
    else:
        targets, weights = drawn, torch.ones_like(drawn)
    for block, weight in zip(targets.split(DRAW_BLOCK, 1), weights.split(DRAW_BLOCK, 1), strict=True):
        repeated = pixels.repeat_interleave(block.shape[1], 0)
        delta = -input_gradient(model, repeated, block.reshape(-1)).sign()
        yield delta.view(len(ids), -1, *shape), weight


def transform_blocks(
    attack: str, pixels: Tensor, ids: Sequence[int], tau: float, draws: int, seed: int
) -> Iterator[Tensor]:
    """Copies by one of :data:`TRANSFORMS` at one radius in blocks of draws: float32 [S, B, ...]."""
    for block in range(-(-draws // DRAW_BLOCK)):
        size = min(DRAW_BLOCK, draws - block * DRAW_BLOCK)
        numbers = random_directions(attack, ids, block, (NUMBERS,), seed, pixels.device)[:, :size]
        yield transformed(TRANSFORMS[attack], pixels, numbers, tau)


def pgd_blocks(
    attack: str,
    model: nn.Module,
    pixels: Tensor,
    labels: Tensor,
    ids: Sequence[int],
    tau: float,
    draws: int,
    seed: int,
    classes: int,
) -> Iterator[Tensor]:
    """PGD copies at one radius in blocks of draws: float32 [S, B, ...]."""
    targeted = ATTACKS[attack].targeted
    goal = wrong_labels(labels, ids, draws, classes, seed) if targeted else labels[:, None].expand(-1, draws)
    shape = tuple(pixels.shape[1:])
    for block, targets in enumerate(goal.split(DRAW_BLOCK, 1)):
        size = targets.shape[1]
        start = random_directions("pgd", ids, block, shape, seed, pixels.device)[:, :size]
        moved = pgd(
            model,
            pixels.repeat_interleave(size, 0),
            targets.reshape(-1),
            tau,
            targeted=targeted,
            start=start.reshape(-1, *shape),
        )
        yield moved.view(len(ids), size, *shape)


def copies(
    attack: str,
    pixels: Tensor,
    labels: Tensor,
    *,
    ids: Sequence[int],
    tau: float,
    draws: int,
    seed: int,
    classes: int,
    model: nn.Module | None = None,
) -> Tensor:
    """The perturbed copies that verdicts are counted on, draw by draw.

    Args:
        pixels: float32 [S, ...] in [0, 1]; labels: int64 [S]; ids: their training indices (they key the draws).
        tau: radius in pixel units, at least 0.
        model: the attacked model in eval mode, for attacks with ``uses_model``.

    Returns:
        float32 [S, draws, ...] in [0, 1].

    Raises:
        UsageError: no such attack, or the attack needs a model.
    """
    kind = find_attack(attack)
    if kind.uses_model and model is None:
        raise UsageError(f"The attack '{attack}' is built against a model; name one.")
    if attack in TRANSFORMS:
        return torch.cat(list(transform_blocks(attack, pixels, ids, tau, draws, seed)), 1)
    if not kind.ray:
        assert model is not None
        blocks = pgd_blocks(attack, model, pixels, labels, ids, tau, draws, seed, classes)
        return torch.cat(list(blocks), 1)
    made = []
    for delta, weight in ray_blocks(attack, model, pixels, labels, ids, draws, seed, classes):
        made.append((along_ray(pixels, delta, tau), weight))
    moved, weights = (torch.cat(parts, 1) for parts in zip(*made, strict=True))
    rows = [row.repeat_interleave(weight, 0) for row, weight in zip(moved, weights, strict=True)]
    return torch.stack(rows)
