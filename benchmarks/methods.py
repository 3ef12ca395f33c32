"""Unlearning methods: per-sample gradients against a loop, cached prefixes, and passes counted."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch

from rurk_core.config import Config
from rurk_core.data import load_dataset
from rurk_core.device import default_device, place
from rurk_core.models import Classifier, create_model
from rurk_core.unlearning import METHODS, Samples, method_config
from rurk_core.unlearning.importance import diagonal_importance

from .timing import in_turn, ratio


class Passes(NamedTuple):
    """Samples that went through a network, and samples whose gradients came back through it."""

    forward: int
    backward: int


PAPERS: dict[str, Callable[[int, int], Passes]] = {
    # the importances of D_f and of D: every sample of either once
    "ssd": lambda n_f, n_r: Passes(n_f + (n_f + n_r), n_f + (n_f + n_r)),
    # 2 max-epochs on D_f and 3 min-epochs on D_r; in every step the student passes, and the teacher forward
    "scrub": lambda n_f, n_r: Passes(2 * (2 * n_f + 3 * n_r), 2 * n_f + 3 * n_r),
}
"""Method → the passes its paper states, from the sizes of forget and retain set, at its setting for small CIFAR-5."""


def main(rounds: int = 3) -> None:
    device = default_device()
    print(f"unlearning methods on {device} ({torch.get_num_threads()} threads)")
    sample_gradients(device, rounds)
    cached_blocks(device, rounds)
    n_f, n_r = 8, 32
    print(f"  passes of ResNet-18 on images like small CIFAR-5's, {n_f} to forget of {n_f + n_r}:")
    setting = like_small_cifar5("resnet18", n_f, n_r, device)
    for key, stated in PAPERS.items():
        found, paper = counted(key, *setting), stated(n_f, n_r)
        print(
            f"    {key}: {found.forward} forward (its paper {paper.forward}), {found.backward} back ({paper.backward})"
        )


def sample_gradients(device: torch.device, rounds: int) -> None:
    data = load_dataset("digits")
    few = Samples(data.train_images[:100].to(device), data.train_labels[:100].to(device))
    for name in ("cnn", "resnet9:4"):
        model = place(create_model(name, data.input_shape, 10), few.images).eval()

        def loop(model=model) -> None:
            for at in range(len(few)):
                diagonal_importance(model, few.take(torch.tensor([at], device=device)))

        slow, fast = in_turn(loop, lambda model=model: diagonal_importance(model, few), rounds=rounds)
        print(f"  gradients of single samples, {name}: loop ÷ together {ratio(slow, fast)}; bar 5× on a GPU")


def cached_blocks(device: torch.device, rounds: int) -> None:
    """EU-k and CF-k with the paper's settings (last two residual blocks and fc, 10 epochs of 900 samples)."""
    model, retain, forget = like_small_cifar5("resnet18" if device.type == "cuda" else "resnet18:16", 100, 900, device)
    for key in ("eu_k", "cf_k"):

        def run(cache: str, key: str = key) -> None:
            config = method_config(METHODS[key], "paper-small-cifar-5", cache=cache)
            METHODS[key].run(model, retain, forget, config, generator=torch.Generator(device).manual_seed(0))

        slow, fast = in_turn(lambda: run("off"), lambda: run("auto"), rounds=rounds)
        print(
            f"  {METHODS[key].title}, k = 3 of 10 blocks as in the paper: no cache ÷ cache {ratio(slow, fast)}; bar 2×"
        )


def like_small_cifar5(
    name: str, n_f: int, n_r: int, device: torch.device | str = "cpu"
) -> tuple[Classifier, Samples, Samples]:
    """(a network, S_r, S_f): noise in the size of its images; how long a pass takes does not depend on the pixels."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(256, (n_f + n_r, 3, 32, 32), generator=generator, dtype=torch.uint8).to(device)
    everything = Samples(images, (torch.arange(n_f + n_r) % 5).to(device))
    model = place(create_model(name, (3, 32, 32), 5, seed=0), images).eval()
    order = torch.arange(n_f + n_r, device=device)
    return model, everything.take(order[n_f:]), everything.take(order[:n_f])


def counted(key: str, model: Classifier, retain: Samples, forget: Samples, config: Config | None = None) -> Passes:
    """What a method really passes through networks of the model's shape, itself or a copy, at either end of them.

    The samples that enter the first block and those that leave the head are counted, and of either the gradients that
    come back; the larger number counts.
    """
    first, last = model.block(model.block_names[0]), model.head
    forward, backward = {first: 0, last: 0}, {first: 0, last: 0}

    def count(place: torch.nn.Module) -> Callable[..., None]:
        def went(module: torch.nn.Module, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
            forward[place] += len(output)
            if output.requires_grad:
                output.register_hook(came)

        def came(gradient: torch.Tensor) -> None:
            backward[place] += len(gradient)

        return went

    handles = [place.register_forward_hook(count(place)) for place in (first, last)]  # copies of the model keep them
    try:
        generator = torch.Generator(retain.labels.device).manual_seed(0)
        config = config or method_config(METHODS[key], "paper-small-cifar-5")
        METHODS[key].run(model, retain, forget, config, generator=generator)
    finally:
        for handle in handles:
            handle.remove()
    return Passes(max(forward.values()), max(backward.values()))


if __name__ == "__main__":
    main()
