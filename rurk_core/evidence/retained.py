"""What unlearning did to samples that were to stay."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import digamma, polygamma
from scipy.stats import t as student

from ..arrays import Floats
from ..data import Dataset
from ..measure.membership import logit_confidence
from ..measure.verdicts import OnChunk
from ..run.stored import load_model, load_verdicts, stored_scores
from ..store.store import Store
from .case import result_for, verdicts_of_run, verdicts_on
from .samples import SampleEvidence, adjusted, sample_evidence
from .twins import candidates, unit_features


@dataclass(frozen=True)
class Retained:
    """What unlearning did to samples that stay, those nearest to the forget set first.

    Attributes:
        evidence: as for the forget set; its references were trained on these samples, so "residual" reads "more firmly
            recognised than re-training makes it" and "over_forgotten" "damaged".
        distance: float64 [N], cosine distance of the Original's features to the nearest sample of the forget set.
        nearest: int64 [N], that sample.
        shift: float64 [N], logit of the confidence minus the references' mean, in deviations between them
            (:func:`spread_test`);
            q_shift: [N], adjusted (Benjamini–Hochberg) two-sided p-values of it.
    """

    evidence: SampleEvidence
    distance: Floats
    nearest: NDArray[np.integer]
    shift: Floats
    q_shift: Floats

    def changed(self) -> NDArray[np.integer]:
        """Positions whose recognition or membership signal is beyond the references' spread, at the evidence's rate."""
        recognition = np.minimum(self.evidence.q_residual, self.evidence.q_forgotten)
        return np.flatnonzero(np.minimum(recognition, self.q_shift) <= self.evidence.rate)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values; ``changed`` holds the training indices of :meth:`changed`."""
        evidence = self.evidence.to_dict()
        for position, row in enumerate(evidence["samples"]):
            row["distance"], row["nearest"] = round(float(self.distance[position]), 6), int(self.nearest[position])
            row["shift"], row["q_shift"] = round(float(self.shift[position]), 4), float(self.q_shift[position])
        return evidence | {"changed": self.evidence.samples[self.changed()].tolist()}


RETAINED = 100
"""Retained samples that are looked at, the nearest to the forget set."""


def retained_of_run(
    store: Store,
    run_key: str,
    data: Dataset,
    *,
    method: str,
    attack: str = "",
    count: int = RETAINED,
    device: str = "cpu",
    on_chunk: OnChunk | None = None,
) -> Retained:
    """The evidence for the ``count`` retained samples nearest to the forget set, under the settings of the run.

    Nearest in the Original's features, among at most 4,000 candidates of every forgotten class. Verdicts are counted
    once (count × radii × draws × models copies) and kept; it is work for a background job.

    Raises:
        UsageError: no such model, or fewer than two references.
    """
    key, result = verdicts_of_run(store, run_key, method=method, attack=attack)
    result_for(store, run_key, data)
    table = load_verdicts(store, key)
    rows = {row["name"]: row for row in result["models"] if row.get("key")}
    forget = torch.tensor(result["forget"]["indices"])
    original = load_model(store, rows["original"]["key"])
    pool = torch.cat(
        [candidates(data.train_labels, forget, int(label)) for label in data.train_labels[forget].unique()]
    ).unique()
    similarity = unit_features(original, data.train_images[pool]) @ unit_features(original, data.train_images[forget]).T
    closest, which = (1 - similarity).clamp(min=0).min(1)
    order = closest.argsort(stable=True)[:count]
    samples = pool[order]
    verdicts = verdicts_on(
        store, table, rows, data.train_images[samples], data.train_labels[samples], samples, data, device, on_chunk
    )
    references = [name for name in table.references if name != method]
    evidence = sample_evidence(verdicts, method)
    logits = {
        name: logit_confidence(stored_scores(store, rows[name]["scores"])["train_loss"][samples].numpy())
        for name in [method, *references]
    }
    shift, p = spread_test(logits[method], np.stack([logits[name] for name in references]))
    return Retained(evidence, closest[order].double().numpy(), forget[which[order]].numpy(), shift, adjusted(p))


def spread_test(own: Floats, references: Floats) -> tuple[Floats, Floats]:
    """Scores [N] against those of K references [K, N]: moderated t and its two-sided p-value.

    A variance from K references is too rough by itself; each is drawn to the common one as far as samples are alike
    (empirical Bayes, Smyth 2004, the ``limma`` of genetics): variances follow a scaled inverse-χ² law whose
    parameters are fitted to the mean and variance of log s² over samples.
    """
    k = len(references)
    own_freedom = k - 1
    variance = references.var(0, ddof=1)
    variance = np.maximum(variance, 1e-4 * max(float(np.median(variance)), 1e-8))
    logs = np.log(variance) - digamma(own_freedom / 2) + np.log(own_freedom / 2)
    beyond = (logs.var(ddof=1) if len(logs) > 1 else 0.0) - polygamma(1, own_freedom / 2)
    if beyond > 1e-6:  # trigamma(d / 2) = beyond, d the strength of the common law
        strength = 2 * brentq(lambda half: polygamma(1, half) - beyond, 1e-4, 1e7)
        common = np.exp(logs.mean() + digamma(strength / 2) - np.log(strength / 2))
        pooled = (strength * common + own_freedom * variance) / (strength + own_freedom)
        freedom = strength + own_freedom
    else:  # no more apart than variances of so few are anyway
        pooled, freedom = np.full(len(variance), references.var(0, ddof=1).mean()), own_freedom * len(variance)
    shift = (own - references.mean(0)) / np.sqrt(np.maximum(pooled, 1e-12) * (1 + 1 / k))
    return shift, 2 * student.sf(np.abs(shift), freedom)
