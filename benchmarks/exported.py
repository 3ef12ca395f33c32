"""Programs exported from networks of torchvision and timm, read back without torch's loader: the same logits?

``python -m benchmarks exported``: 20 networks of either library with fresh weights and running statistics of their own,
exported with batches of any length, compared on 4 images. ``exported 5`` takes the first five of each.
"""

from __future__ import annotations

import sys
import tempfile
import warnings
from pathlib import Path

import torch
from torch import nn

from rurk_core.errors import UsageError
from rurk_core.models.exported_file import load_exported

CLASSES = 10
TORCHVISION = {
    "alexnet": 64, "vgg11_bn": 32, "resnet18": 32, "resnext50_32x4d": 32, "densenet121": 32, "squeezenet1_1": 64,
    "googlenet": 64, "inception_v3": 128, "mobilenet_v2": 32, "mobilenet_v3_small": 32, "mnasnet0_5": 32,
    "shufflenet_v2_x0_5": 32, "efficientnet_b0": 32, "efficientnet_v2_s": 32, "regnet_y_400mf": 32,
    "regnet_x_400mf": 32, "convnext_tiny": 32, "vit_b_16": 32, "swin_t": 64, "swin_v2_t": 64,
}  # fmt: skip
TIMM = {
    "resnet18": 32, "resnetv2_50": 32, "seresnet18": 32, "vit_tiny_patch16_224": 32,
    "deit_tiny_distilled_patch16_224": 32, "mobilenetv3_small_100": 32, "efficientnet_lite0": 32, "convnext_atto": 32,
    "convnextv2_atto": 32, "mixer_s32_224": 64,
    "poolformer_s12": 64, "repvgg_a0": 32, "ghostnet_100": 32, "nf_regnet_b0": 64, "edgenext_xx_small": 64,
    "mobilevit_xxs": 64, "levit_128s": 224, "xcit_nano_12_p16_224": 64, "pvt_v2_b0": 64, "halonet26t": 256,
}  # fmt: skip
"""Name → side of the images."""


def _network(library: str, name: str, side: int) -> nn.Module:
    from rurk_core.models.libraries import library_network

    torch.manual_seed(0)
    model = library_network(f"{library}/{name}", (3, side, side), CLASSES)
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.train()
    with torch.no_grad():
        for weight in model.parameters():  # heads that begin at zero would say nothing
            weight.add_(torch.randn_like(weight), alpha=0.01)
        model.net(torch.randn(8, 3, side, side))
    return model.eval()


def compared(library: str, name: str, side: int, folder: Path) -> str:
    """ "equal", "equal up to N", or the sentence that refuses it."""
    model = _network(library, name, side)
    path = folder / f"{library}-{name}.pt2"
    pixels = torch.rand(4, 3, side, side)
    program = torch.export.export(model, (pixels,), dynamic_shapes=({0: torch.export.Dim("n")},))
    torch.export.save(program, path)
    try:
        found = load_exported(path, (3, side, side), CLASSES)
    except UsageError as error:
        return str(error).replace(str(path), "")
    finally:
        path.unlink()
    with torch.no_grad():
        expected, logits = model(pixels), found(pixels)
    off = float((logits - expected).abs().max() / expected.abs().max())
    return "equal" if off == 0 else f"equal up to {off:.0e}" if off < 1e-5 else f"differs by {off:.0e}"


def main(count: int = 20) -> None:
    warnings.simplefilter("ignore")
    total = equal = 0
    with tempfile.TemporaryDirectory() as folder:
        for library, networks in (("torchvision", TORCHVISION), ("timm", TIMM)):
            for name, side in list(networks.items())[:count]:
                try:
                    said = compared(library, name, side, Path(folder))
                except Exception as error:  # a network that torch itself cannot export
                    said = f"not exported: {type(error).__name__}: {' '.join(str(error).split())[:150]}"
                total += 1
                equal += said.startswith("equal")
                print(f"{library}/{name} {side}×{side}: {said}", flush=True)
    print(f"{equal} of {total} with the logits of torch", file=sys.stderr)
