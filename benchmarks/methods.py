"""Unlearning methods: per-sample gradients against a loop, cached prefixes, and passes counted."""

from __future__ import annotations

import torch

from rurk_core.data import load_dataset
from rurk_core.models import create_model
from rurk_core.training import default_device, place
from rurk_core.unlearning import METHODS, Samples, method_config
from rurk_core.unlearning.importance import diagonal_importance

from .timing import in_turn, ratio


def main(rounds: int = 3) -> None:
    data, device = load_dataset("digits"), default_device()
    everything = Samples(data.train_images.to(device), data.train_labels.to(device))
    forget, retain = (everything.take(torch.arange(a, b, device=device)) for a, b in ((0, 70), (70, 1070)))
    print(f"unlearning methods on {device} ({torch.get_num_threads()} threads)")
    for name in ("cnn", "resnet9:4"):
        model = place(create_model(name, data.input_shape, 10), everything.images).eval()
        few = retain.take(torch.arange(100, device=device))

        def loop(model=model, few=few) -> None:
            for at in range(len(few)):
                diagonal_importance(model, few.take(torch.tensor([at], device=device)))

        slow, fast = in_turn(loop, lambda model=model, few=few: diagonal_importance(model, few), rounds=rounds)
        print(f"  gradients of single samples, {name}: loop ÷ together {ratio(slow, fast)}; bar 5× on a GPU")
    model = place(create_model("resnet9:8", data.input_shape, 10), everything.images).eval()

    def eu_k(cache: str) -> None:
        config = method_config(METHODS["eu_k"], k=2, epochs=10, cache=cache)
        METHODS["eu_k"].run(model, retain, forget, config, generator=torch.Generator(device).manual_seed(0))

    slow, fast = in_turn(lambda: eu_k("off"), lambda: eu_k("auto"), rounds=rounds)
    print(f"  EU-k, resnet9:8, k = 2, 10 epochs: without cache ÷ with it {ratio(slow, fast)}; bar 2×")
    n_f, n_r = len(forget), len(retain)
    for key, settings, bar in (
        ("ssd", {}, f"forward {n_f} + {n_f + n_r}, as many backward"),
        ("scrub", {}, f"student 2·{n_f} + 3·{n_r} forward and backward, teacher as many forward"),
    ):
        forward, backward = passes(key, settings, model, retain, forget)
        print(f"  {key}: {forward} samples forward, {backward} backward; the method's own: {bar}")


def passes(key: str, settings: dict, model, retain: Samples, forget: Samples) -> tuple[int, int]:
    """(samples that went forward through a head of the model's shape, gradients that came back to one)."""
    counted = {"forward": 0, "backward": 0}

    def went(module: torch.nn.Module, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        counted["forward"] += len(output)
        if output.requires_grad:
            output.register_hook(lambda gradient: counted.update(backward=counted["backward"] + len(gradient)))

    handle = model.head.register_forward_hook(went)  # copies of the model keep the hook
    try:
        config = method_config(METHODS[key], **settings)
        generator = torch.Generator(retain.labels.device).manual_seed(0)
        METHODS[key].run(model, retain, forget, config, generator=generator)
    finally:
        handle.remove()
    return counted["forward"], counted["backward"]


if __name__ == "__main__":
    main()
