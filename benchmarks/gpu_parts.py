"""The parts of :mod:`benchmarks.gpu`, each a function (device, ...) → numbers that fit into JSON.

Sizes are arguments, so that the same code runs in a tiny form on a CPU. "ratio" is the median of the ratios of single
rounds, "low" and "high" their range.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from rurk_core.data import Dataset, find_recipe, forget_set, held, load_dataset, retain_indices
from rurk_core.data.recipes import TrainConfig
from rurk_core.device import logits_of, memory_format, place
from rurk_core.errors import RurkError
from rurk_core.measure.frozen import frozen_copy
from rurk_core.measure.verdicts import count_verdicts
from rurk_core.models import create_model
from rurk_core.training.fit import fit
from rurk_core.training.references import fit_references, fit_stacked
from rurk_core.unlearning import METHODS, Samples, method_config
from rurk_core.unlearning.base import unlearn
from rurk_core.unlearning.importance import diagonal_importance

from .methods import like_small_cifar5
from .timing import in_turn
from .verdicts import NAMES, raw_forward

Found = dict[str, Any]
RESNET9_64 = TrainConfig(epochs=18, lr=0.2, batch=512, augment="crop_flip", label_smoothing=0.1, grow=0.3)
"""The plain trainer on the way to 94%; beside it the recipe ``fast``."""
SAME = {"logits": 1e-3, "share_of_counts": 0.999, "margins": 0.05}
"""How near a device has to come to the CPU: the largest difference of float32 logits, the share of counts that are
equal, the mean difference of log-odds (bfloat16's)."""


def wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def ratios(slow: list[float], fast: list[float]) -> Found:
    each = sorted(a / b for a, b in zip(slow, fast, strict=True))
    return {"ratio": round(statistics.median(each), 3), "low": round(each[0], 3), "high": round(each[-1], 3)}


def noise(count: int) -> torch.Tensor:
    """Images in the size of CIFAR-10's; how long a pass takes does not depend on the pixels."""
    return torch.randint(256, (count, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def same_numbers(device: torch.device) -> Found:
    """The device beside the CPU: logits of a trained network, verdict counts and log-odds, a training."""
    data = load_dataset("digits")
    config = TrainConfig(epochs=3, batch=64, precision="float32")

    def trained(where: torch.device) -> nn.Module:
        model = create_model("cnn", data.input_shape, 10, seed=1)
        return fit(model, data.train_images.to(where), data.train_labels.to(where), config, seed=1)

    cpu = torch.device("cpu")
    one, other = trained(cpu), trained(device)
    models = {"m": one, "reference-1": create_model("cnn", data.input_shape, 10, seed=2).eval()}
    index = forget_set(data, "class:0:0.5").indices[:20]
    images, labels = data.train_images[list(index)], data.train_labels[list(index)]
    tables = {}
    for where in (cpu, device):
        tables[where.type] = [
            count_verdicts(
                models, ["reference-1"], images, labels, index, attack=attack, taus=(0.05, 0.2), draws=20, seed=3,
                classes=10, source="m", device=where,
            )
            for attack in ("gaussian", "fgsm", "pgd")
        ]  # fmt: skip
    pairs = list(zip(tables["cpu"], tables[device.type], strict=True))
    pixels = data.test_images
    here, there = (logits_of(one.to(where), pixels.to(where)).cpu() for where in (cpu, device))
    one.to(cpu)
    right = [(logits_of(model.to(cpu), pixels).argmax(1) == data.test_labels).float().mean() for model in (one, other)]
    found = {
        "logits": float((here - there).abs().max()),
        "share_of_counts": float(np.mean([(a.counts == b.counts).mean() for a, b in pairs])),
        "margins": float(np.mean([np.abs(a.margins - b.margins).mean() for a, b in pairs])),
        "accuracy_apart": float((right[0] - right[1]).abs()),
    }
    holds = (
        found["logits"] <= SAME["logits"]
        and found["share_of_counts"] >= SAME["share_of_counts"]
        and found["margins"] <= SAME["margins"]
    )
    return found | {"within": SAME, "holds": holds}


def verdicts(
    device: torch.device, model: str = "resnet18", samples: int = 200, draws: int = 100, rounds: int = 3
) -> Found:
    """Verdicts a second ÷ raw float32 forward passes a second, of five models: Gaussian, FGSM and PGD."""
    images = noise(samples)
    labels, taus = torch.arange(samples) % 10, tuple(np.linspace(0.003, 0.03, 4))
    models = {
        name: place(create_model(model, (3, 32, 32), 10, seed=k), images[:1].to(device)).eval()
        for k, name in enumerate(NAMES)
    }
    found = {}
    for attack, few in (("gaussian", draws), ("fgsm", draws), ("pgd", max(1, draws // 20))):

        def count(attack: str = attack, few: int = few) -> None:
            count_verdicts(
                models, NAMES[2:], images, labels, range(samples), attack=attack, taus=taus, draws=few, seed=0,
                classes=10, source="unlearned", device=device,
            )  # fmt: skip

        copies = samples * few * len(taus)
        counted, raw = in_turn(count, raw_forward(models, images, copies, device), rounds=rounds)
        rate = copies * len(models) / statistics.median(counted)
        found[attack] = ratios(raw, counted) | {"verdicts": copies * len(models), "verdicts_per_s": round(rate)}
    return found


def formats(device: torch.device, model: str = "resnet18", batch: int = 1000, rounds: int = 3) -> Found:
    """Images a second of a frozen network, by number format and memory format."""
    pixels = torch.rand(batch, 3, 32, 32, device=device)
    original = place(create_model(model, (3, 32, 32), 10), noise(1).to(device)).eval()
    found = {}
    for dtype in (torch.float32, torch.bfloat16):
        for name, layout in (("contiguous", torch.contiguous_format), ("channels_last", torch.channels_last)):
            net = frozen_copy(original, device).to(dtype).to(memory_format=layout)
            given = pixels.to(dtype).contiguous(memory_format=layout)
            found[f"{str(dtype)[6:]}, {name}"] = _rate(lambda net=net, given=given: net(given), batch, device, rounds)
    return {"images_per_s": found}


@torch.no_grad()
def graphs(
    device: torch.device,
    models: Sequence[str] = ("resnet18", "resnet9:16"),
    batches: Sequence[int] = (100, 1000),
    rounds: int = 3,
) -> Found:
    """Images a second of frozen networks as verdicts run them, and of the same pass recorded once and played again.

    A variant that the core does not have: it is worth building in where playing is much faster for small networks.
    """
    found: Found = {}
    for model in models:
        original = place(create_model(model, (3, 32, 32), 10), noise(1).to(device)).eval()
        net = frozen_copy(original, device, noise(1)).to(torch.bfloat16)
        for size in batches:
            one, other = (torch.rand(size, 3, 32, 32, device=device).to(torch.bfloat16) for _ in range(2))
            one, other = (x.contiguous(memory_format=memory_format(x, net)) for x in (one, other))
            played = _recorded(net, one)
            found[f"{model}, batches of {size}"] = {
                "plain": _rate(lambda net=net, other=other: net(other), size, device, rounds),
                "played": _rate(lambda played=played, other=other: played(other), size, device, rounds),
                "same": bool(torch.equal(played(other), net(other))),
            }
    return {"images_per_s": found}


def _recorded(net: nn.Module, like: torch.Tensor) -> Callable[[torch.Tensor], torch.Tensor]:
    """A pass over images of one shape as a CUDA graph; the network itself where there are none."""
    if like.device.type != "cuda":
        return net
    given, side = torch.empty_like(like).copy_(like), torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            net(given)
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        out = net(given)

    def play(images: torch.Tensor) -> torch.Tensor:
        given.copy_(images)
        graph.replay()
        return out

    return play


@torch.no_grad()
def _rate(run: Callable[[], object], batch: int, device: torch.device, rounds: int, passes: int = 10) -> int:
    run()
    wait(device)
    rates = []
    for _ in range(rounds):
        start = time.perf_counter()
        for _ in range(passes):
            run()
        wait(device)
        rates.append(passes * batch / (time.perf_counter() - start))
    return round(statistics.median(rates))


def to_accuracy(device: torch.device, data: Dataset, *, tiny: bool = False) -> Found:
    """Seconds and test accuracy of an Original and a Re-train, by our plain trainer and by the recipe ``fast``."""
    recipes = {"plain": ("resnet9:64", RESNET9_64), "fast": ("resnet9:64", find_recipe("fast", "cifar10").train)}
    found = {}
    for name, (network, config) in recipes.items():
        if tiny:
            network, config = "resnet9:4", TrainConfig.from_dict(config.to_dict() | {"epochs": 4, "batch": 64})
        found[name] = _trained(device, data, network, config)
    return found


def _trained(device: torch.device, data: Dataset, network: str, config: TrainConfig) -> Found:
    retain = retain_indices(data, forget_set(data, "class:0:0.5"))
    labels = data.train_labels.to(device)
    images = held(data.train_images, None, device)

    def trained(index: torch.Tensor, epochs: int, seed: int) -> nn.Module:
        model = create_model(network, data.input_shape, len(data.classes), seed=seed)
        index = index.to(device)
        settings = TrainConfig.from_dict(config.to_dict() | {"epochs": epochs})
        return fit(model, images[index], labels[index], settings, seed=seed)

    few = torch.arange(2 * config.batch).clamp(max=len(labels) - 1)
    trained(few, 4, 0)  # kernels are chosen and compiled before the clock starts
    found: Found = {"network": network, "settings": config.to_dict()}
    for which, index in (("original", torch.arange(len(labels))), ("retrain", retain)):
        wait(device)
        start = time.perf_counter()
        model = trained(index, config.epochs, 1)
        wait(device)
        seconds = time.perf_counter() - start
        right = logits_of(model, held(data.test_images, None, device)).argmax(1).cpu() == data.test_labels
        found[which] = {"seconds": round(seconds, 2), "test_accuracy": round(right.float().mean().item(), 4)}
    return found


def references(device: torch.device, *, tiny: bool = False) -> Found:
    """K references one after another ÷ together (stacked on a GPU, in workers on a CPU)."""
    if tiny:
        return {"digits, cnn:2": _together(device, "digits", "cnn:2", 1, k=2, rounds=1, samples=128)}
    return {
        "digits, cnn": _together(device, "digits", "cnn", 5),
        "small_cifar5, resnet9:16": _together(device, "small_cifar5", "resnet9:16", 3),
    }


def _together(
    device: torch.device,
    dataset: str,
    network: str,
    epochs: int,
    k: int = 8,
    rounds: int = 3,
    samples: int | None = None,
) -> Found:
    data = load_dataset(dataset)
    config = TrainConfig(epochs=epochs, batch=64)
    given = (data.train_images[:samples].to(device), data.train_labels[:samples].to(device), config)

    def build(seed: int):
        return create_model(network, data.input_shape, len(data.classes), seed=seed)

    def one_by_one() -> None:
        for seed in range(k):
            fit(build(seed), *given, seed=seed)
        wait(device)

    def together() -> None:
        list((fit_stacked if device.type == "cuda" else fit_references)(build, *given, seeds=range(k)))
        wait(device)

    return ratios(*in_turn(one_by_one, together, rounds=rounds)) | {"k": k}


def gradients(device: torch.device, name: str = "resnet18", samples: int = 100, rounds: int = 3) -> Found:
    """Squared gradients of single samples: a loop ÷ all together."""
    few = Samples(noise(samples).to(device), (torch.arange(samples) % 10).to(device))
    model = place(create_model(name, (3, 32, 32), 10), few.images).eval()
    each = [few.take(torch.tensor([at], device=device)) for at in range(samples)]

    def loop() -> None:
        for one in each:
            diagonal_importance(model, one)
        wait(device)

    def together() -> None:
        diagonal_importance(model, few)
        wait(device)

    return ratios(*in_turn(loop, together, rounds=rounds))


def methods(device: torch.device, name: str = "resnet18", n_f: int = 100, n_r: int = 900) -> Found:
    """Seconds of every method at its default on images in the number and size of small CIFAR-5's; or its sentence."""
    model, retain, forget = like_small_cifar5(name, n_f, n_r, device)
    rest = like_small_cifar5(name, n_f, n_f, device)[1]  # as the held-out part
    found: Found = {}
    for key, method in METHODS.items():
        wait(device)
        start = time.perf_counter()
        try:
            generator = torch.Generator(device).manual_seed(0)
            unlearn(method, model, retain, forget, method_config(method), validation=rest, generator=generator)
            wait(device)
            found[key] = {"seconds": round(time.perf_counter() - start, 2)}
        except (RurkError, RuntimeError) as error:
            found[key] = {"says": " ".join(str(error).split())[:200]}
    return {"network": name, "forget": n_f, "retain": n_r, "methods": found}


def out_of_memory(device: torch.device) -> Found:
    """Verdicts under a limit of memory that the first batch does not fit: the same counts in smaller ones."""
    if device.type != "cuda":
        return {"says": "a CPU's memory is not limited here"}
    images = noise(64)
    models = {name: create_model("resnet18", (3, 32, 32), 10, seed=k).eval() for k, name in enumerate(NAMES)}
    asked = {"attack": "gaussian", "taus": (0.01,), "draws": 100, "seed": 0, "classes": 10, "device": device}
    labels, said = torch.arange(64) % 10, []
    torch.cuda.empty_cache()
    free = count_verdicts(models, NAMES[2:], images, labels, range(64), batch=400, **asked)
    used = torch.cuda.max_memory_allocated(device) + 2**28
    torch.cuda.empty_cache()
    try:
        torch.cuda.set_per_process_memory_fraction(used / torch.cuda.get_device_properties(device).total_memory, device)
        tight = count_verdicts(
            models, NAMES[2:], images, labels, range(64), batch=200_000, on_note=said.append, **asked
        )
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0, device)
    return {"notes": said, "counts_equal": bool((free.counts == tight.counts).all()), "limit_mb": round(used / 1e6)}
