"""The samples that an experiment forgot, in orders that take models with and without them: for what to forget next.

Who remembers a sample is told by models that saw it and models that did not. An experiment has both of the samples it
forgot, and of no others: the Original and its siblings, and the re-trained models. What they say of the clean samples
is stored, so nothing is run.

* memorised: by how much the Original knows it better, mean p(label) of models that saw it minus that of those that did
  not (Feldman & Zhang 2020, equation 1, with the probability in place of right or wrong);
* vulnerable: by how far the Original's log-odds lie beyond those of re-trainings, in deviations of one more of them,
  which is what a likelihood-ratio attack reads (Carlini et al. 2022); protected are those it cannot tell.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from ..arrays import Floats
from ..errors import UsageError
from ..run.stored import stored_scores
from ..store.store import Store
from .null import BOUND, compressed, fit_null

ORDERS = {
    "most_memorised": "known better by models that saw them than by models that did not, the most first",
    "least_memorised": "known alike by models that saw them and models that did not first",
    "vulnerable": "told to have been trained on by a likelihood-ratio attack, the most surely first",
    "protected": "those first that such an attack can tell least",
}
"""Order → which samples come first."""


def ordered(store: Store, result: dict[str, Any], order: str) -> list[int]:
    """The training indices that a run or audit forgot, in one of :data:`ORDERS`.

    Raises:
        UsageError: no such order, or no scores of an Original and two re-trained models.
        RurkError: stored scores are damaged.
    """
    if order not in ORDERS:
        raise UsageError(f"There is no order '{order}'; choose one of {', '.join(ORDERS)}.")
    rows = [*result["models"], *result.get("members", {}).get("models", ())]
    scored = [row for row in rows if row.get("scores") and store.has(row["scores"])]
    inside = [row["scores"] for row in scored if row["name"] == "original" or row["name"].startswith("member-")]
    outside = [row["scores"] for row in scored if row["role"] == "reference"]
    if not inside or len(outside) < 2:
        raise UsageError("This order takes an Original and at least two re-trained models with stored scores.")
    samples = list(result["forget"]["indices"])
    seen, unseen = (_losses(store, keys, samples) for keys in (inside, outside))
    if order.endswith("memorised"):
        known = np.exp(-seen).mean(0) - np.exp(-unseen).mean(0)
        key = -known if order == "most_memorised" else known
    else:
        deviate = fit_null(compressed(_log_odds(unseen))).statistic(compressed(_log_odds(seen).mean(0)))
        key = -deviate if order == "vulnerable" else np.abs(deviate)
    return [samples[place] for place in np.argsort(key, kind="stable")]


def _losses(store: Store, keys: list[str], samples: list[int]) -> Floats:
    """Cross-entropies float64 [models, samples]."""
    each = [stored_scores(store, key)["train_loss"][torch.tensor(samples)] for key in keys]
    return torch.stack(each).double().numpy()


def _log_odds(losses: Floats) -> Floats:
    """log p − log(1 − p) of p = exp(−loss), within ±12."""
    with np.errstate(divide="ignore"):
        return np.clip(-losses - np.log(-np.expm1(-losses)), -BOUND, BOUND)
