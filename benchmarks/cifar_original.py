"""CIFAR-10 Original (0.4M-parameter resnet9, quick recipe) from the Parquet files: at least 82% within 6 minutes."""

from __future__ import annotations

import time

import torch

from rurk_core.data import find_recipe, load_dataset
from rurk_core.device import default_device, fast_bfloat16, logits_of
from rurk_core.models import create_model
from rurk_core.training.fit import fit


def main() -> None:
    start = time.perf_counter()
    data, device = load_dataset("cifar10"), default_device()
    loaded = time.perf_counter()
    config = find_recipe("quick", "cifar10").train
    model = create_model("resnet9", data.input_shape, 10, seed=1)
    fit(model, data.train_images.to(device), data.train_labels.to(device), config, seed=1)
    trained = time.perf_counter()
    accuracy = (logits_of(model, data.test_images).argmax(1) == data.test_labels).float().mean().item()
    print(f"CIFAR-10 Original, resnet9 (0.4M), on {device}, {torch.get_num_threads()} threads")
    print(f"  data {loaded - start:.1f} s, training {trained - loaded:.0f} s (bar 360 s), ", end="")
    print(f"test accuracy {100 * accuracy:.1f}% (bar 82%); bfloat16 {'on' if fast_bfloat16(device) else 'off'}")


if __name__ == "__main__":
    main()
