"""What held-out samples can say where there are no re-trained models."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import spearmanr
from torch import Tensor

from ..arrays import Floats, Ints
from ..data import Dataset, to_pixels
from ..errors import UsageError
from ..measure.verdicts import OnChunk
from ..run.plan import held_out
from .case import Case, judge_case, verdicts_on
from .law import RATE, Judged
from .null import NEEDED


@dataclass(frozen=True)
class Unreferenced:
    """What can be said without a re-trained model; weaker, for it compares a sample with *other* samples.

    Attributes:
        p_residual, p_forgotten: float64 [N], rank of the sample's recognition among its peers', from 1 / (peers + 1).
        expected: float64 [N], mean recognition of the peers, as a share of the copies; recognised: of the sample.
        peers: int64 [N], how many there were; 0 where its class has too few held-out samples to say anything.
        verdict: list of "residual", "over_forgotten" or "cannot_tell" [N]; "clear" cannot be shown this way.
        agreement: against the calibrated answer, None where the run has fewer than two references.
    """

    samples: NDArray[np.integer]
    recognised: Floats
    expected: Floats
    p_residual: Floats
    p_forgotten: Floats
    peers: NDArray[np.integer]
    verdict: tuple[str, ...]
    agreement: dict[str, float] | None

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        names = ("recognised", "expected", "p_residual", "p_forgotten")
        rows = [
            {"sample": int(sample), "verdict": self.verdict[at], "peers": int(self.peers[at])}
            | {name: None if np.isnan(value := getattr(self, name)[at]) else round(float(value), 6) for name in names}
            for at, sample in enumerate(self.samples)
        ]
        return {"weaker": True, "agreement": self.agreement, "samples": rows}


PEERS = 50
"""Held-out samples of the same class and about the same difficulty that a sample is compared with, at most."""
FEW_PEERS = 10
NEIGHBOURS = 5000
"""Retained samples, evenly spread, to whose pixels those of a sample are compared."""


def without_references(
    case: Case,
    data: Dataset,
    *,
    rate: float = RATE,
    device: str = "cpu",
    on_chunk: OnChunk | None = None,
) -> Unreferenced:
    """Recognition of forget samples against that of held-out samples of the same class and difficulty.

    If nothing is left of a sample it is one more unseen sample to the model, exchangeable with test samples that are as
    hard. Difficulty is taken from the *pixels*: the distance to the nearest retained samples of the class over that to
    the nearest of any other. The Original's own confidence would not do: it saw the forget set, so forget samples look
    easy to it, would be matched with easy test samples, and what is left of them would be explained away.

    Where the run does have references, the answer is held against theirs: that is what it is worth.

    Raises:
        UsageError: the data set has no test samples of a forgotten class at all.
    """
    data, table, method = case.of(data), case.verdicts, case.method
    forget = torch.tensor(case.result["forget"]["indices"])
    labels = data.train_labels[forget]
    held = held_out(data, labels)
    if not len(held):
        raise UsageError("The data set has no test samples of the forgotten classes to compare with.")
    # test samples are numbered behind the training samples, so that their draws are their own
    ids = held + len(data.train_labels)
    verdicts = case.peers
    if verdicts is None or case.on_itself:
        verdicts = verdicts_on(case, data, data.test_images[held], data.test_labels[held], ids, device, on_chunk)
    own, others = (each.recognised(method).mean(1) / each.draws for each in (table, verdicts))
    hard, hard_held = _difficulties(data, forget, labels, held)
    upper, lower, expected, peers = _ranks(own, others, hard, hard_held, labels, data.test_labels[held])
    # a rank among at most 50 cannot survive a correction for many samples: the level is that of single samples
    verdict = np.where(upper <= rate, "residual", np.where(lower <= rate, "over_forgotten", "cannot_tell"))
    agreement = None
    judged = judge_case(case)
    if judged is not None and judged.references >= NEEDED:
        agreement = agreement_of(judged, upper, lower, own - expected, rate)
    return Unreferenced(table.samples, own, expected, upper, lower, peers, tuple(verdict.tolist()), agreement)


def _difficulties(data: Dataset, forget: Tensor, labels: Tensor, held: Tensor) -> tuple[Floats, Floats]:
    """:func:`difficulty` of forget and held-out samples, against evenly spread samples that stay."""
    stays = torch.ones(len(data.train_labels), dtype=torch.bool)
    stays[forget] = False
    around = stays.nonzero()[:, 0]
    around = around[:: -(-len(around) // NEIGHBOURS)]
    kept = data.train_images[around], data.train_labels[around]
    return (
        difficulty(data.train_images[forget], labels, *kept),
        difficulty(data.test_images[held], data.test_labels[held], *kept),
    )


def _ranks(
    own: Floats, others: Floats, hard: Floats, hard_held: Floats, labels: Tensor, held_labels: Tensor
) -> tuple[Floats, Floats, Floats, Ints]:
    """(upper, lower, expected, peers) [N]: the rank of each sample among held-out ones of its class and difficulty."""
    upper, lower, expected = (np.full(len(own), np.nan) for _ in range(3))
    peers = np.zeros(len(own), np.int64)
    for at in range(len(own)):
        same = np.flatnonzero(held_labels.numpy() == int(labels[at]))
        if len(same) < FEW_PEERS:
            continue
        near = same[np.abs(hard_held[same] - hard[at]).argsort(kind="stable")[:PEERS]]
        peers[at], expected[at] = len(near), others[near].mean()
        upper[at] = (1 + (others[near] >= own[at]).sum()) / (1 + len(near))
        lower[at] = (1 + (others[near] <= own[at]).sum()) / (1 + len(near))
    return upper, lower, expected, peers


def agreement_of(calibrated: Judged, upper: Floats, lower: Floats, excess: Floats, rate: float) -> dict[str, float]:
    """The weaker answer against the calibrated one, both at level ``rate`` for single samples.

    Returns:
        ``same``: share of samples with the same answer (above, below, neither); ``alarms``, ``alarms_calibrated``: how
        many each accuses; ``both``: share of the weaker answer's accusations that the calibrated one makes too, NaN
        as 0 where it makes none; ``rank_correlation`` of the excesses (Spearman).
    """
    strong = np.where(calibrated.p_residual <= rate, 1, np.where(calibrated.p_forgotten <= rate, -1, 0))
    beyond = calibrated.own - calibrated.expected
    weak = np.where(upper <= rate, 1, np.where(lower <= rate, -1, 0))
    both = np.isfinite(excess)
    varied = both.sum() > 2 and np.ptp(excess[both]) > 0 and np.ptp(beyond[both]) > 0
    return {
        "same": float((strong == weak).mean()),
        "alarms": float((weak != 0).mean()),
        "alarms_calibrated": float((strong != 0).mean()),
        "both": float((strong == weak)[weak != 0].mean()) if (weak != 0).any() else 0.0,
        "rank_correlation": float(spearmanr(excess[both], beyond[both])[0]) if varied else 0.0,
    }


def difficulty(images: Tensor, labels: Tensor, others: Tensor, other_labels: Tensor, *, near: int = 5) -> Floats:
    """log of the mean pixel distance to the ``near`` nearest of ``others`` with the same label over that to the nearest
    with another: below 0 among its own class, above 0 among others. float64 [N]."""
    flat, labels_of = to_pixels(others).flatten(1), other_labels
    found = []
    for image, label in zip(to_pixels(images).flatten(1), labels, strict=True):
        distance = (flat - image).norm(dim=1)
        same = labels_of == label
        means = [distance[side].sort().values[:near].mean() for side in (same, ~same)]
        found.append((means[0].clamp(min=1e-6) / means[1].clamp(min=1e-6)).log().nan_to_num(0.0).item())
    return np.array(found)
