"""A model prepared for judging many copies: normalisation folded, bfloat16 where it pays and is checked."""

from __future__ import annotations

import copy
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval
from torch.utils.flop_counter import FlopCounterMode

from ..data import Images
from ..device import memory_format


def frozen_copy(model: nn.Module, device: torch.device, images: Images | None = None) -> nn.Module:
    """A copy for measuring: eval mode, weights without gradients, batch normalisation folded into convolutions.

    Folding is exact up to rounding and makes a forward pass 1.2 to 1.4 times faster; attacks then need input
    gradients only.
    """
    clone = copy.deepcopy(model).eval().requires_grad_(False).to(device)
    if images is not None:
        clone = clone.to(memory_format=memory_format(images, clone))
    for parent in list(clone.modules()):
        children = list(parent.named_children())
        for (conv_name, conv), (norm_name, norm) in pairwise(children):
            if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                setattr(parent, conv_name, fuse_conv_bn_eval(conv, norm))
                setattr(parent, norm_name, nn.Identity())
    return clone.requires_grad_(False)


DOUBT = 2.0
"""A lead of the likeliest class below this many times the largest error seen is decided in float32."""
WORTH = 16
"""Batches to judge from which on it pays to have a bfloat16 twin."""
WORK = 5e5
"""Operations of convolutions in one image's pass from which on bfloat16 is faster on devices that have it.

Measured on a CPU with AVX-512-BF16, one thread: 1.0 times as fast at 0.2 M, 1.3 to 2.4 times from 0.7 M on, 0.4 to 0.6
times without convolutions. A rule and not a stopwatch, since the log-odds hang on it: equal experiments, equal bytes.
"""


class Judge:
    """A frozen model that says what it takes images for: float32's classes, in bfloat16 where that is faster.

    The first full batch is judged both ways: that gives how far off bfloat16 is in the lead of its likeliest class over
    the next. From then on only images whose lead is below :data:`DOUBT` times the largest
    error are asked again in float32 (1 to 10% of them on trained networks, measured), and their errors keep the
    bound up to date. Logits of all others stay bfloat16's, about 2⁻⁸ of their size off.

    Args:
        model: a classifier; images: uint8 or float32 [N, ...], for the memory format.
        try_fast: whether to judge in bfloat16 where that pays.

    Attributes:
        exact: the frozen float32 copy; fast: its bfloat16 twin, or None where that is not used.
        doubt: the lead below which float32 decides.
    """

    def __init__(self, model: nn.Module, device: torch.device, images: Images, *, try_fast: bool) -> None:
        self.exact = frozen_copy(model, device, images)
        self.fast: nn.Module | None = None
        self.doubt = torch.zeros((), device=device)
        self._untried = try_fast

    def __call__(self, images: Tensor, full: int) -> Tensor:
        """Logits float32 [B, C] of images float32 [B, ...]; ``full`` is the size of a full batch.

        Their largest is at the class that float32 says.
        """
        images = images.contiguous(memory_format=memory_format(images, self.exact))
        if self._untried and 2 * len(images) >= full:
            self._untried = False
            return self._try(images)
        if self.fast is None:
            return self.exact(images)
        quick = self.fast(images.bfloat16()).float()
        top = quick.topk(2).values
        unsure = (~(top[:, 0] - top[:, 1] >= self.doubt)).nonzero()[:, 0]  # an undefined lead is unsure as well
        if len(unsure):
            asked = images[unsure].contiguous(memory_format=memory_format(images, self.exact))
            exact = self.exact(asked)
            self._learn(exact, quick[unsure])
            quick[unsure] = exact
        return quick

    def _try(self, images: Tensor) -> Tensor:
        """Make the bfloat16 twin where it pays and can be had; the answer is float32's."""
        exact = self.exact(images)
        if exact.shape[1] == 1 or _convolving(self.exact, images[:1]) < WORK:
            return exact
        fast = copy.deepcopy(self.exact)
        try:
            quick = fast.to(torch.bfloat16)(images.bfloat16()).float()
        except torch.OutOfMemoryError:
            raise
        except RuntimeError:  # a program whose operators are bound to float32
            return exact
        if quick.isfinite().all():
            self.fast = fast
            self._learn(exact, quick)
        return exact

    def _learn(self, exact: Tensor, quick: Tensor) -> None:
        """Take into account how far the leads of bfloat16's likeliest class are off; logits [B, C] of both."""
        at = quick.topk(2).indices
        lead, right = quick.gather(1, at), exact.gather(1, at)
        off = ((lead[:, 0] - lead[:, 1]) - (right[:, 0] - right[:, 1])).abs().max()
        self.doubt = (DOUBT * off).clamp(min=self.doubt)  # stays on the device: to read it would wait for it


def _convolving(model: nn.Module, image: Tensor) -> int:
    """Multiplications and additions of all convolutions in a pass over ``image`` [1, ...]."""
    with FlopCounterMode(display=False) as counter:
        model(image)
    return sum(n for operator, n in counter.get_flop_counts()["Global"].items() if "conv" in str(operator))
