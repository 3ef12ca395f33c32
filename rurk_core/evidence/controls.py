"""Models that must not be accused: honest re-trainings that differ from the references in all but the forget set.

*Brittle* ones are trained with another augmentation or far more weight decay, and may be worse or better as a whole.
*Substitutes* have as many other samples of the forgotten classes in place of the forget set: they know the class as
well as the Original does, and no forget sample.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from ..data import Dataset, held, joined, retain_indices
from ..data.dataset import numbered
from ..data.forget import checked
from ..data.recipes import TrainConfig
from ..errors import UsageError
from ..measure.residual import Verdicts
from ..measure.verdicts import count_alike
from ..models import Classifier, create_model
from ..run.plan import derived_seed
from ..run.spec import spec_from_dict
from ..training.fit import fit
from .case import Case

OTHERWISE: tuple[dict[str, Any], ...] = ({"weight_decay": 1e-2}, {"augment": "crop_flip"})
"""Settings of brittle re-trainings, in turn: those of the recipe with one of these on top."""
FEWEST = 0.25
"""Substitutes are trained where there are at least so many spare samples for each forget sample."""
Trained = Callable[[str], None]
"""Called with the name of a control before it is trained."""


def train_controls(
    case: Case, data: Dataset, each: int, device: torch.device, on_control: Trained = lambda name: None
) -> dict[str, Classifier]:
    """``each`` brittle and, where validation samples are held out, substitute re-trainings by name: "brittle-1", ...

    Args:
        data: the data set of the run, with what it holds out; on_control: may raise to stop.

    Raises:
        UsageError: other data, or the models of the run start from a pre-trained one.
    """
    case.of(data)
    spec = spec_from_dict(case.result["spec"])
    recipe = spec.training()
    if recipe.pretrain and recipe.pretrain.epochs:
        raise UsageError(
            "Controls are trained from fresh weights, and the models of this run start from a pre-trained one; run it "
            "without pre-training (--pretrain epochs=0)."
        )
    forget = checked(data, case.result["forget"]["rule"], case.result["forget"]["indices"])
    retain, spare = retain_indices(data, forget), _spare(data, torch.tensor(forget.indices))
    images, labels = held(data.train_images, retain, device), data.train_labels[retain].to(device)
    found: dict[str, Classifier] = {}

    def train(name: str, images: Any, labels: Tensor, config: TrainConfig) -> None:
        on_control(name)
        seed = derived_seed(spec.seed, name.partition("-")[0], int(name.partition("-")[2]))
        model = create_model(spec.model, data.input_shape, len(data.classes), seed=seed)
        found[name] = fit(model, images, labels, config, seed=seed).cpu()

    for k in range(each):
        changed = TrainConfig.from_dict({**recipe.reference.to_dict(), **OTHERWISE[k % len(OTHERWISE)]})
        train(f"brittle-{k + 1}", images, labels, changed)
    for k in range(each if len(spare) >= FEWEST * len(forget.indices) else 0):
        assert data.validation_images is not None and data.validation_labels is not None
        generator = torch.Generator().manual_seed(derived_seed(spec.seed, "spare", k))
        few = spare[torch.randperm(len(spare), generator=generator)[: len(forget.indices)]]
        more = joined([images, held(data.validation_images, few, device)])
        train(
            f"substitute-{k + 1}", more, torch.cat([labels, data.validation_labels[few].to(device)]), recipe.reference
        )
    return found


def _spare(data: Dataset, forget: Tensor) -> Tensor:
    """Validation samples of the forgotten classes, which no model of a run has seen."""
    if data.validation_labels is None:
        return torch.empty(0, dtype=torch.int64)
    classes = data.train_labels[forget].unique()
    return torch.isin(data.validation_labels, classes).nonzero()[:, 0]


def cases_of(case: Case, data: Dataset, controls: dict[str, Classifier], device: torch.device) -> dict[str, Case]:
    """The case of every control: judged beside the Original and the references, on the copies of the run."""
    models = {name: case.model(name) for name in ("original", *case.verdicts.references)} | controls

    def counted(table: Verdicts) -> Verdicts:
        index = torch.from_numpy(table.samples)
        images, labels = numbered(data, index)
        return count_alike(table, models, images, labels, index.tolist(), classes=len(data.classes), device=device)

    verdicts, peers = counted(case.verdicts), case.peers and counted(case.peers)
    return {name: replace(case, method=name, verdicts=verdicts, peers=peers) for name in controls}
