"""Every sample of a forget set beside every signal that there is on it, and a map of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from ..arrays import Floats
from ..data import Dataset
from ..errors import RurkError
from ..evidence.case import Case
from ..evidence.findings import Findings, plain
from ..evidence.radii import radii_of, radius_key
from ..measure.membership import logit_confidence
from ..run.stored import role_of, stored_scores
from .maps import encode
from .reduction import pca


@dataclass(frozen=True)
class Signal:
    """A column of the matrix.

    Attributes:
        name, title, unit: for CSV and for people; meaning: one sentence.
        values: float64 [N] in the order of the findings' samples, NaN where undefined.
    """

    name: str
    title: str
    unit: str
    meaning: str
    values: Floats

    def plain(self) -> list[float | None]:
        return [plain(value) for value in self.values]


def matrix(case: Case, found: Findings, data: Dataset | None) -> list[Signal]:
    """The signals on the samples of a case, those that nothing has to be measured for and that have a value.

    Args:
        found: what is said of the case; data: the run's data, None where they cannot be read: no representation then.
    """
    counted = [100 * one.recognised / one.copies if one.excess is None else one.excess for one in found.samples]
    beyond = " beyond the mean of the re-trained models" if case.references else ""
    signals = [Signal("excess_copies", "copies", "% of copies", f"Copies recognised{beyond}.", np.array(counted))]
    judged, places = found.judged, [one.place for one in found.samples]
    if judged is not None:
        signals += [
            Signal(
                "excess_total",
                "total",
                "log-odds",
                "Mean log-odds of the label beyond a re-training.",
                (judged.own - judged.expected)[places],
            ),
            Signal(
                "deviate",
                "how unusual",
                "deviations",
                "What the finding rests on: beyond a re-training, in deviations of one more.",
                judged.deviate[places],
            ),
        ]
        if judged.specific is not None:
            signals.append(
                Signal(
                    "excess_specific",
                    "this very sample",
                    "deviations",
                    "What is beyond held-out samples of the class.",
                    judged.specific.deviate[places],
                )
            )
    samples = [one.sample for one in found.samples]
    more = [_membership(case, samples), _radius(case, samples, data), _moved(case, samples, data)]
    signals += [signal for signal in more if signal is not None]
    return [signal for signal in signals if np.isfinite(signal.values).any()]


def _membership(case: Case, samples: Sequence[int]) -> Signal | None:
    """LiRA without models that saw the samples: the clean confidence against that of the re-trained models."""
    keys = {row["name"]: row["scores"] for row in case.result["models"] if row.get("scores")}
    others = [name for name in keys if role_of(name) == "reference" and name != case.method]
    if case.method not in keys or len(others) < 2:
        return None
    try:
        losses = [stored_scores(case.store, keys[name])["train_loss"] for name in (case.method, *others)]
    except RurkError:
        return None
    own, *each = (logit_confidence(loss[list(samples)].numpy()) for loss in losses)
    spread = np.std(each, axis=0, ddof=1)
    return Signal(
        "membership",
        "membership",
        "deviations",
        "Confidence on the unchanged sample against the re-trained models (offline LiRA).",
        (own - np.mean(each, axis=0)) / np.maximum(spread, 1e-6),
    )


def _radius(case: Case, samples: Sequence[int], data: Dataset | None) -> Signal | None:
    """Re-recognition radii beyond the re-trained models', where they have been measured."""
    names = [case.method, *case.references]
    if data is None or not all(case.store.has(radius_key(case, data, name, norm="linf")) for name in names):
        return None
    radii = [each.lost() for each in radii_of(case, data, norm="linf", models=names).values()]
    order = [case.result["forget"]["indices"].index(sample) for sample in samples]
    with np.errstate(invalid="ignore"):  # where no search found a border there is no difference
        beyond = radii[0] - np.mean(radii[1:], axis=0) if case.references else radii[0]
    return Signal(
        "radius",
        "radius",
        "pixel units, l∞",
        f"How {'much further than from re-trained models' if case.references else 'far'} the border lies.",
        beyond[order],
    )


def _moved(case: Case, samples: Sequence[int], data: Dataset | None) -> Signal | None:
    """How far unlearning moved a sample's features."""
    if data is None or role_of(case.method) != "unlearned" or "original" not in case.keys:
        return None
    images = data.train_images[list(samples)]
    try:
        before, after = (encode(case.model(name), images, "features") for name in ("original", case.method))
    except RurkError:  # an exported program whose inner layers are unknown
        return None
    if before.shape != after.shape:
        return None
    return Signal(
        "representation",
        "representation",
        "1 − cosine",
        "How far unlearning moved the sample's features from where the Original has them.",
        (1 - torch.cosine_similarity(before, after)).double().numpy(),
    )


def flat_map(case: Case, samples: Sequence[int], data: Dataset) -> Floats:
    """float64 [N, 2] in [0, 1]: samples by the class scores of the model, along their two main directions (PCA)."""
    if len(samples) < 3:
        return np.full((len(samples), 2), 0.5)
    scores = encode(case.model(case.method), data.train_images[list(samples)], "scores")
    mean, axes, _ = pca(scores, 2)
    places = ((scores - mean) @ axes).double().numpy()
    low, high = places.min(0), places.max(0)
    return (places - low) / np.where(high > low, high - low, 1.0)
