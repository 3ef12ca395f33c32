"""Memory formats and arithmetic that are safe on the device."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from exporting import export_program
from torch import nn

from rurk_core.device import has_narrow_convolution, memory_format, place
from rurk_core.measure.frozen import frozen_copy
from rurk_core.models import MODELS, create_model
from rurk_core.models.checkpoints import load_checkpoint
from rurk_core.unlearning.loop import logits_on

WIDTHS = (1, 2, 4, 8, 12, 15, 16, 32)


def convolutions(model):
    return [module for module in model.modules() if isinstance(module, nn.Conv2d)]


@pytest.mark.parametrize("name", MODELS)
def test_no_network_meets_the_fault_of_channels_last(name):
    """A 1×1 convolution of stride 2 and < 16 inputs, channels-last: its backward writes out of bounds on a CPU."""
    for width in WIDTHS if MODELS[name].width else (0,):
        model = create_model(f"{name}:{width}" if width else name, (3, 32, 32), 10)
        images = torch.zeros(2, 3, 32, 32, dtype=torch.uint8)
        dangerous = any(
            conv.kernel_size == (1, 1) and conv.stride != (1, 1) and conv.in_channels < 16
            for conv in convolutions(model)
        )
        if dangerous:
            assert memory_format(images, model) == torch.contiguous_format
            assert all(p.is_contiguous() for p in place(model, images).parameters())
            assert all(p.is_contiguous() for p in frozen_copy(model, torch.device("cpu"), images).parameters())


def test_wide_networks_keep_the_fast_format():
    images = torch.zeros(2, 3, 32, 32)
    for name in ("resnet9:4", "resnet18:16", "resnet50:16", "vgg11:8"):
        assert memory_format(images, create_model(name, (3, 32, 32), 10)) == torch.channels_last, name
    assert memory_format(torch.zeros(2, 4), create_model("linear", (4,), 3)) == torch.contiguous_format


def test_networks_from_elsewhere(tmp_path):
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Conv2d(8, 20, 1, 2), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    assert has_narrow_convolution(model)
    assert memory_format(torch.zeros(1, 3, 8, 8), model) == torch.contiguous_format
    path = export_program(model.append(nn.Linear(20, 4)), (3, 8, 8), tmp_path / "narrow.pt2")
    program = load_checkpoint(path, "", (3, 8, 8), 4)
    assert memory_format(torch.zeros(1, 3, 8, 8), program) == torch.contiguous_format


@pytest.mark.slow
def test_narrow_residual_networks_train_and_unlearn_with_two_threads():
    """Every time a segmentation fault in channels-last; in a process of its own, since a fault would end the tests."""
    program = """
import torch
from rurk_core.data.recipes import TrainConfig
from rurk_core.models import create_model
from rurk_core.training.fit import fit
from rurk_core.unlearning import METHODS
from rurk_core.unlearning.base import Samples
torch.set_num_threads(2)
images = torch.randint(0, 256, (157, 3, 32, 32), dtype=torch.uint8)
labels = torch.arange(157) % 5
method = METHODS["gd"]
config = method.config.from_dict({"epochs": 3, "batch": 62})
halves = Samples(images[:128], labels[:128]), Samples(images[128:], labels[128:])
for width in (4, 8, 12):
    network = create_model(f"resnet18:{width}", (3, 32, 32), 5)
    model = fit(network, images, labels, TrainConfig(epochs=3, batch=95), seed=0)
    for _ in range(2):
        method.run(model, *halves, config, generator=torch.Generator().manual_seed(0))
    print(width, flush=True)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=300)
    assert done.stdout.split() == ["4", "8", "12"], done.stderr[-800:]


def test_precision_reaches_the_loops_of_methods(monkeypatch):
    asked = []
    monkeypatch.setattr(
        "rurk_core.unlearning.loop.autocast",
        lambda device, precision: asked.append(precision) or torch.autocast("cpu", enabled=False),
    )
    model = create_model("cnn:4", (1, 8, 8), 3)
    for precision in ("auto", "float32", "bfloat16"):
        model.precision = precision
        logits_on(model, torch.rand(2, 1, 8, 8))
    assert asked == ["auto", "float32", "bfloat16"]
