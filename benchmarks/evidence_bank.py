"""A bank of real models on which the law of evidence is measured: trained once, kept, and taken up where it was left.

``python -m benchmarks evidence_bank 40 c5`` trains and measures (40 honest re-trainings) under ``RURK_STORE``, or in a
folder of the user's cache. The experiments:

    c5       small CIFAR-5 without pre-training, cnn:8, 25 epochs; to forget: 100 of the 200 airplanes
    fashion  500 images a class of Fashion-MNIST, cnn, 12 epochs; to forget: 250 of the 500 of class 0
    digits   8×8 digits, cnn, 15 epochs; to forget: half of the zeros, of which there is nothing to remember

Roles of models, each with a number that is its seed:

    reference     an honest re-training, without the forget set
    original      trained on everything
    substitute    an honest re-training with as many *other* images of the class in place of the forget set (c5 alone):
                  it knows the class as well as the Original does, and no forget sample
    brittle       an honest re-training with another augmentation (even numbers) or much more weight decay (odd ones)
    gd, scrub, ssd, neggrad_plus, rurk   unlearned from the Original of the same number

Of every model: margins and counts on the forget set and on held-out samples of the class, of Gaussian copies that all
models share, and of targeted FGSM and PGD copies that are built on the model itself.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from rurk_core.data import data_root, forget_set, load_dataset, retain_indices
from rurk_core.data.dataset import Dataset
from rurk_core.data.recipes import TrainConfig
from rurk_core.device import logits_of
from rurk_core.measure.verdicts import count_on_themselves, count_verdicts, log_odds
from rurk_core.models import Classifier, create_model
from rurk_core.store.tensors import load_tensors, save_tensors
from rurk_core.training.fit import fit
from rurk_core.unlearning import METHODS
from rurk_core.unlearning.base import Samples, method_config, unlearn

FEW = 10
"""Draws of the few-draw variant."""
METHODS_USED = ("gd", "scrub", "ssd", "neggrad_plus", "rurk")


@dataclass(frozen=True)
class Experiment:
    """What is trained and what is measured.

    Attributes:
        data: (root) → data set; model, train: of every model; forget: rule of the forget set.
        taus: radii of Gaussian copies; attack_taus: of FGSM and PGD.
        spare: (root) → further images of the class that no model was to see, uint8 [M, ...]; None where there are none.
    """

    data: Callable[[], Dataset]
    model: str
    train: TrainConfig
    forget: str
    taus: tuple[float, ...]
    attack_taus: tuple[float, ...]
    spare: Callable[[], Tensor] | None = None


def _spare_airplanes() -> Tensor:
    """CIFAR-10's training airplanes behind the 200 of small CIFAR-5."""
    whole = load_dataset("cifar10")
    return whole.train_images[(whole.train_labels == 0).nonzero()[200:, 0]]


EXPERIMENTS = {
    "c5": Experiment(
        lambda: load_dataset("small_cifar5"),
        "cnn:8",
        TrainConfig(epochs=25, lr=0.05, batch=64, precision="float32"),
        "class:0:0.5",
        (0.0236,),
        (0.008,),
        _spare_airplanes,
    ),
    "fashion": Experiment(
        lambda: load_dataset(str(data_root() / "fashion")),
        "cnn",
        TrainConfig(epochs=12, lr=0.05, batch=64, precision="float32"),
        "class:0:0.5",
        (0.12,),
        (0.02,),
    ),
    "digits": Experiment(
        lambda: load_dataset("digits?validation=0"),
        "cnn",
        TrainConfig(epochs=15, lr=0.1, batch=64, precision="float32"),
        "class:0:0.5",
        (0.2,),
        (0.05,),
    ),
}


def bank_folder() -> Path:
    """Where the bank lies."""
    return Path(os.environ.get("RURK_STORE") or Path.home() / ".cache" / "rurk") / "evidence_bank"


class Bank:
    """One experiment's models and measurements in a folder; what is there already is not made again."""

    def __init__(self, name: str, folder: Path | None = None) -> None:
        self.name, self.about = name, EXPERIMENTS[name]
        self.folder = (folder or bank_folder()) / name
        (self.folder / "models").mkdir(parents=True, exist_ok=True)
        self.data = self.about.data()
        forget = forget_set(self.data, self.about.forget)
        self.forget = torch.tensor(forget.indices)
        self.retain = retain_indices(self.data, forget)
        self.label = int(self.data.train_labels[self.forget[0]])
        self.held = (self.data.test_labels == self.label).nonzero()[:, 0]

    def build(self, seed: int) -> Classifier:
        return create_model(self.about.model, self.data.input_shape, len(self.data.classes), seed=seed)

    def model(self, role: str, number: int) -> Classifier:
        """The model of a role, trained now unless it is there."""
        path = self.folder / "models" / f"{role}-{number}.safetensors"
        if path.exists():
            model = self.build(0)
            model.load_state_dict(load_tensors(path.read_bytes()))
            return model.eval()
        model = self._unlearned(role, number) if role in METHODS_USED else self._trained(role, number)
        part = path.with_suffix(".part")
        part.write_bytes(save_tensors({name: value.contiguous() for name, value in model.state_dict().items()}))
        part.rename(path)
        return model

    def measured(self, role: str, number: int) -> dict[str, np.ndarray]:
        """Margins and counts of a model, measured now unless they are there: name → array.

        ``gaussian``, ``few`` (:data:`FEW` draws), ``fgsm``, ``pgd``: mean log-odds float32 [N, T] on the forget set,
        ``*_counts`` copies recognised; ``held_gaussian``, ``held_fgsm``, ``held_pgd``: [H, T] on held-out samples;
        ``clean``, ``held_clean``: log-odds of the samples themselves.
        """
        path = self.folder / "measured" / f"{role}-{number}.safetensors"
        if not path.exists():
            path.parent.mkdir(exist_ok=True)
            part = path.with_suffix(".part")
            part.write_bytes(save_tensors(self._measure(self.model(role, number))))
            part.rename(path)
        return {name: value.numpy() for name, value in load_tensors(path.read_bytes()).items()}

    def _measure(self, model: Classifier) -> dict[str, Tensor]:
        data, found = self.data, {}
        sides = {
            "": (data.train_images[self.forget], data.train_labels[self.forget], self.forget),
            "held_": (data.test_images[self.held], data.test_labels[self.held], self.held + len(data.train_labels)),
        }
        for name, attack, taus, draws in (
            ("gaussian", "gaussian", self.about.taus, {"": 100, "held_": 10}),
            ("few", "gaussian", self.about.taus, {"": FEW}),
            ("fgsm", "fgsm", self.about.attack_taus, {"": 20, "held_": 20}),
            ("pgd", "pgd", self.about.attack_taus, {"": 1, "held_": 1}),
        ):
            for side, count in draws.items():
                images, labels, ids = sides[side]
                asked: dict = {"attack": attack, "taus": taus, "draws": count, "classes": len(data.classes)}
                if attack == "gaussian":
                    table = count_verdicts({"m": model}, [], images, labels, ids.tolist(), seed=1, **asked)
                else:
                    table = count_on_themselves({"m": model}, images, labels, ids.tolist(), seed=1, **asked)
                found[f"{side}{name}"] = torch.from_numpy(table.margins[0])
                found[f"{side}{name}_counts"] = torch.from_numpy(table.recognised("m"))
        for side, (images, labels, _) in sides.items():
            found[f"{side}clean"] = log_odds(logits_of(model, images), labels)
        return found

    def _trained(self, role: str, number: int) -> Classifier:
        data, config = self.data, self.about.train
        seed = {"reference": 10_000, "original": 20_000, "substitute": 30_000, "brittle": 40_000}[role] + number
        images, labels = data.train_images, data.train_labels
        if role != "original":
            images, labels = images[self.retain], labels[self.retain]
        if role == "substitute":
            spare = self._spare()
            few = torch.randperm(len(spare), generator=torch.Generator().manual_seed(seed))[: len(self.forget)]
            images = torch.cat([images, spare[few]])
            labels = torch.cat([labels, torch.full((len(few),), self.label)])
        if role == "brittle":
            config = replace(config, weight_decay=1e-2) if number % 2 else replace(config, augment="crop_flip")
        return fit(self.build(seed), images, labels, config, seed=seed)

    def _spare(self) -> Tensor:
        if not hasattr(self, "spare"):
            assert self.about.spare is not None
            self.spare = self.about.spare()
        return self.spare

    def _unlearned(self, role: str, number: int) -> Classifier:
        sets = [Samples(self.data.train_images[at], self.data.train_labels[at]) for at in (self.retain, self.forget)]
        generator = torch.Generator().manual_seed(50_000 + number)
        method = METHODS[role]
        settings = {"alpha": 10.0} if role == "ssd" else {}
        config = method_config(method, **settings)
        return unlearn(method, self.model("original", number), *sets, config, generator=generator)[0]


def roles(bank: Bank, references: int, originals: int, others: int) -> list[tuple[str, int]]:
    """(role, number) of all models, those that are needed first first."""
    found = [("reference", n) for n in range(min(references, 24))] + [("original", n) for n in range(originals)]
    found += [("substitute", n) for n in range(others if bank.about.spare else 0)]
    found += [("brittle", n) for n in range(others)]
    found += [(method, 0) for method in METHODS_USED] + [("reference", n) for n in range(24, references)]
    return found + [(method, n) for n in range(1, 4) for method in METHODS_USED]


def main(references: int = 40, name: str = "", originals: int = 16, others: int = 10) -> None:
    torch.set_num_threads(1)
    for each in [name] if name else EXPERIMENTS:
        bank, start = Bank(each), time.perf_counter()
        for role, number in roles(bank, int(references), int(originals), int(others)):
            bank.measured(role, number)
            print(f"{each} {role}-{number} {time.perf_counter() - start:.0f} s", flush=True)


if __name__ == "__main__":
    import sys

    main(*sys.argv[1:])
