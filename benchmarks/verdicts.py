"""Verdicts against the raw forward pass (the limit) and against a straightforward version of the paper's protocol.

The straightforward version is what the paper's own tools give: for every draw, radius and model one pass of a
DataLoader over the forget images, perturbed by torchattacks, through the model as it is.
"""

from __future__ import annotations

import copy
import statistics
from dataclasses import replace

import numpy as np
import torch
from torch.utils.data import DataLoader, TensorDataset

from rurk_core.data import find_recipe, forget_set, load_dataset, to_pixels
from rurk_core.device import default_batch, default_device, memory_format
from rurk_core.measure.frozen import frozen_copy
from rurk_core.measure.verdicts import count_verdicts
from rurk_core.models import create_model
from rurk_core.training.fit import fit

from .timing import in_turn, ratio

NAMES = ("original", "unlearned", "reference-1", "reference-2", "reference-3")


def main(rounds: int = 3) -> None:
    device = default_device()
    for dataset, draws, samples in (("digits", 100, 71), ("small_cifar5", 20, 50)):
        data = load_dataset(dataset)
        index = torch.tensor(forget_set(data, "class:0:0.5").indices[:samples])
        images, labels = data.train_images[index], data.train_labels[index]
        model = "cnn" if dataset == "digits" else "resnet9"
        classes = len(data.classes)
        train, config = data.train_images.to(device), find_recipe("quick", "digits").train
        models = {  # a little trained: new networks have no clear leads
            name: fit(
                create_model(model, data.input_shape, classes, seed=k),
                train,
                data.train_labels.to(device),
                replace(config, epochs=5),
                seed=k,
            )
            for k, name in enumerate(NAMES)
        }
        taus = tuple(np.linspace(0.003, 0.03, 4))

        def ours(
            attack: str,
            draws=draws,
            models=models,
            images=images,
            labels=labels,
            index=index,
            taus=taus,
            classes=classes,
        ):
            return lambda: count_verdicts(
                models,
                NAMES[2:],
                images,
                labels,
                index.tolist(),
                attack=attack,
                taus=taus,
                draws=draws,
                seed=0,
                classes=classes,
                source="unlearned",
                device=device,
            )

        copies = len(index) * draws * len(taus)
        raw = raw_forward(models, images, copies, device)
        # the most the device gives to whatever asks every copy once
        folded = {name: frozen_copy(model, device, images).to(torch.bfloat16) for name, model in models.items()}
        quickest = raw_forward(folded, images, copies, device)
        counted, limit, least = in_turn(ours("gaussian"), raw, quickest, rounds=rounds)
        print(f"{dataset}, {model}, {copies * len(models):,} verdicts of {len(models)} models on {device}")
        print(f"  verdicts per second ÷ raw forward passes per second, Gaussian: {ratio(limit, counted)}; bar 0.85×")
        print(f"  their limit, a pass in bfloat16 with normalisation folded: {ratio(limit, least)} raw forward passes")
        if dataset == "small_cifar5":
            per_draw = []
            for attack in ("gaussian", "fgsm", "pgd"):
                few = 1 if attack == "pgd" else draws  # the straightforward one takes minutes for more
                plain = straightforward(models, images, labels, attack, taus, few, device)
                ours_times, theirs = in_turn(ours(attack, few), plain, rounds=1 if attack == "pgd" else rounds)
                per_draw.append([statistics.median(times) / few for times in (theirs, ours_times)])
                print(f"  straightforward protocol ÷ ours, {attack}: {ratio(theirs, ours_times)}; bar 5×")
            slow, fast = (sum(column) for column in zip(*per_draw, strict=True))
            print(f"  straightforward protocol ÷ ours, one draw of each of the three: {slow / fast:.2f}×; bar 5×")


def raw_forward(models, images, copies: int, device):
    """The same number of images through the same models, nothing else."""
    batch = default_batch(tuple(images.shape[1:]), device)
    kind = next(iter(models.values())).head.weight.dtype
    pixels = torch.rand(batch, *images.shape[1:], device=device, dtype=kind)
    pixels = pixels.contiguous(memory_format=memory_format(images, next(iter(models.values()))))

    @torch.no_grad()
    def run() -> None:
        for model in models.values():
            for start in range(0, copies, batch):
                model(pixels[: min(batch, copies - start)])
        if device.type == "cuda":
            torch.cuda.synchronize()

    return run


def straightforward(models, images, labels, attack: str, taus, draws: int, device):
    """One pass per draw, radius and model through torchattacks and a DataLoader."""
    import torchattacks

    loader = DataLoader(TensorDataset(to_pixels(images), labels), batch_size=128)
    plain = {name: copy.deepcopy(model).to(memory_format=torch.contiguous_format) for name, model in models.items()}

    def make(model, tau: float):
        if attack == "gaussian":
            return torchattacks.GN(model, std=tau)
        if attack == "fgsm":
            found = torchattacks.FGSM(model, eps=tau)
        else:
            found = torchattacks.PGD(model, eps=tau, alpha=2 / 255, steps=10)
        found.set_mode_targeted_random(quiet=True)
        return found

    def run() -> None:
        recognised = dict.fromkeys(plain, 0)
        for tau in taus:
            maker = make(plain["unlearned"], tau)
            for _ in range(draws):
                for name, model in plain.items():
                    for x, y in loader:
                        moved = maker(x.to(device), y.to(device))
                        with torch.no_grad():
                            recognised[name] += (model(moved).argmax(1).cpu() == y).sum().item()

    return run


if __name__ == "__main__":
    main()
