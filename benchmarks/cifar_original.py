"""CIFAR-10 Original (0.4M-parameter resnet9) from the Parquet files, by the recipes "quick" and "fast" in turn.

Bars on two cores: at least 82% within 6 minutes, and at least 85% within 200 s.
"""

from __future__ import annotations

import time

import torch

from rurk_core.data import find_recipe, load_dataset
from rurk_core.device import default_device, fast_bfloat16, logits_of
from rurk_core.models import create_model
from rurk_core.training.fit import fit

BARS = {"quick": (360, 82), "fast": (200, 85)}


def main() -> None:
    start = time.perf_counter()
    data, device = load_dataset("cifar10?validation=0"), default_device()
    images, labels = data.train_images.to(device), data.train_labels.to(device)
    print(f"CIFAR-10 Original, resnet9 (0.4M), on {device}, {torch.get_num_threads()} threads", end="")
    print(f", data {time.perf_counter() - start:.1f} s, bfloat16 {'on' if fast_bfloat16(device) else 'off'}")
    for recipe, (seconds, percent) in BARS.items():
        start = time.perf_counter()
        model = create_model("resnet9", data.input_shape, 10, seed=1)
        fit(model, images, labels, find_recipe(recipe, "cifar10").train, seed=1)
        took = time.perf_counter() - start
        accuracy = (logits_of(model, data.test_images).argmax(1) == data.test_labels).float().mean().item()
        print(f"  {recipe}: {took:.0f} s (bar {seconds} s), test accuracy {100 * accuracy:.1f}% (bar {percent}%)")


if __name__ == "__main__":
    main()
