"""The device that computes: which there are, what suits them, and how a model and its images get there."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from .data import Images, to_pixels
from .errors import UsageError
from .models import Classifier


def default_device() -> torch.device:
    """The first GPU, or the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def find_device(name: str) -> torch.device:
    """The device called "auto", "cpu", "cuda" or "cuda:1".

    Raises:
        UsageError: it is not there.
    """
    try:
        device = default_device() if name == "auto" else torch.device(name)
    except RuntimeError:
        raise UsageError(f"There is no device '{name}'; write cpu, cuda or cuda:1.") from None
    count = torch.cuda.device_count() if device.type == "cuda" else 0
    if device.type not in ("cpu", "cuda") or (device.type == "cuda" and (device.index or 0) >= count):
        raise UsageError(f"The device '{name}' is not there; this machine has {count} GPUs and a CPU.")
    return device


def find_devices(names: str) -> tuple[torch.device, ...]:
    """The devices of "cuda:0,cuda:1", or of one name as :func:`find_device` takes it; "all" is every GPU.

    Raises:
        UsageError: one is not there.
    """
    if names == "all" and torch.cuda.device_count():
        return tuple(torch.device("cuda", index) for index in range(torch.cuda.device_count()))
    return tuple(find_device("auto" if name.strip() == "all" else name.strip()) for name in names.split(","))


def device_name(device: torch.device) -> str:
    """A device in words: "cpu (2 threads)" or the GPU's name."""
    if device.type == "cuda":
        return f"{device} ({torch.cuda.get_device_name(device)})"
    threads = torch.get_num_threads()
    return f"cpu ({threads} thread{'s' if threads > 1 else ''})"


def device_names(devices: Sequence[torch.device]) -> str:
    """What a result document calls them."""
    return ", ".join(map(device_name, devices))


def place(model: Classifier, images: Images) -> Classifier:
    """Move ``model`` (in place) to the device of ``images`` and into their memory format."""
    return model.to(images.device).to(memory_format=memory_format(images, model))


NARROW = 16
"""Input channels of a 1×1 convolution from which on channels-last is safe on a CPU."""


def memory_format(images: Images, model: nn.Module) -> torch.memory_format:
    """channels-last for images: convolutions run 1.5 to 3 times faster in it on a CPU.

    Not on a CPU where the network has a 1×1 convolution of fewer than :data:`NARROW` input channels: with stride 2
    and two threads its backward pass writes beyond its memory in that format (torch 2.15). Strides are not looked
    at, since the weights of an exported program do not tell them.
    """
    if images.dim() != 4 or (images.device.type == "cpu" and has_narrow_convolution(model)):
        return torch.contiguous_format
    return torch.channels_last


def has_narrow_convolution(model: nn.Module) -> bool:
    """Whether a weight of ``model`` is that of a 1×1 convolution of fewer than :data:`NARROW` input channels."""
    shapes = (weight.shape for weight in model.parameters())
    return any(len(shape) == 4 and shape[1] < NARROW and shape[2:] == (1, 1) for shape in shapes)


def fast_bfloat16(device: torch.device) -> bool:
    """Whether bfloat16 is the faster arithmetic there.

    On CPUs without AMX or AVX-512-BF16 it is emulated: training was measured 15 times slower than float32.
    """
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported()


def autocast(device: torch.device, precision: str) -> torch.autocast:
    """The autocast context of a precision setting; weights and optimiser state stay float32."""
    use = precision == "bfloat16" or (precision == "auto" and fast_bfloat16(device))
    return torch.autocast(device.type, torch.bfloat16, enabled=use)


def precision_of(model: nn.Module) -> str:
    """What a training loop hands to :func:`autocast`; "auto" for modules that are no classifiers of this project."""
    return getattr(model, "precision", "auto")


def default_batch(shape: tuple[int, ...], device: torch.device) -> int:
    """Images in a forward pass: 128 CIFAR images or 512 digits on a CPU (its cache), 256 MB on a GPU."""
    pixels = 4 * math.prod(shape)
    if device.type == "cuda":
        return min(max(256 * 2**20 // pixels, 32), 16_384)
    return min(max(3 * 2**19 // pixels, 32), 512)


@torch.no_grad()
def logits_of(model: nn.Module, images: Images, *, on_chunk: Callable[[int, int], None] | None = None) -> Tensor:
    """float32 logits N×classes, on the CPU, of uint8 or float32 images wherever they lie; eval mode, in chunks.

    The model stays on its device and in its memory format; ``on_chunk(done, total)`` may raise to stop.
    """
    model.eval()
    device = next(model.parameters()).device
    parts = []
    for chunk in images.split(default_batch(tuple(images.shape[1:]), device)):
        pixels = to_pixels(chunk.to(device))
        parts.append(model(pixels.contiguous(memory_format=memory_format(pixels, model))).float())
        if on_chunk:
            on_chunk(sum(map(len, parts)), len(images))
    return torch.cat(parts).cpu()  # at once: a device is not kept waiting after every chunk
