"""K = 8 references of digits' cnn: trained together against one after another; the bar is 1.5×.

Three ways: one after another with all threads, forked single-threaded workers, stacked weights under vmap.
"""

from __future__ import annotations

import torch

from rurk_core.data import find_recipe, forget_set, load_dataset, retain_indices
from rurk_core.device import default_device
from rurk_core.models import create_model
from rurk_core.training.fit import fit
from rurk_core.training.references import fit_references, fit_stacked

from .timing import in_turn, ratio


def main(rounds: int = 3, k: int = 8) -> None:
    data = load_dataset("digits")
    retain = retain_indices(data, forget_set(data, "class:0:0.5"))
    device = default_device()
    images, labels = data.train_images[retain].to(device), data.train_labels[retain].to(device)
    config = find_recipe("quick", "digits").reference

    def build(seed: int):
        return create_model("cnn", data.input_shape, 10, seed=seed)

    def one_after_another() -> None:
        for seed in range(k):
            fit(build(seed), images, labels, config, seed=seed)

    def together() -> None:
        list(fit_references(build, images, labels, config, seeds=range(k)))

    def stacked() -> None:
        list(fit_stacked(build, images, labels, config, seeds=range(k)))

    plain, chosen, vmapped = in_turn(one_after_another, together, stacked, rounds=rounds)
    print(f"{k} references of digits' cnn on {device} ({torch.get_num_threads()} threads)")
    print(f"  one after another ÷ together (what a run does): {ratio(plain, chosen)}; bar 1.5×")
    print(f"  one after another ÷ stacked under vmap: {ratio(plain, vmapped)}")


if __name__ == "__main__":
    main()
