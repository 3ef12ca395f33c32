"""Membership signals of a run: what tells a model from re-trained ones on the forget set."""

from __future__ import annotations

import contextlib
from typing import Any

import numpy as np
import torch

from ..data import Dataset
from ..errors import RurkError, UsageError
from ..measure.membership import MembershipSignal, confidence, per_sample_attack, plain_signal, signals, svc_decision
from ..measure.radius import Radii, largest_radius
from ..run.stored import role_of, stored_scores
from ..store.store import Store
from .case import Case


def signals_of(
    case: Case, data: Dataset, *, radii: dict[str, dict[str, Radii]] | None = None
) -> list[MembershipSignal]:
    """What tells the unlearned model from re-trained ones on the forget set: ROC curves side by side.

    The paper's SVC (its decision value, fitted for every model on its own retained and test samples), the confidence
    itself, U-LiRA and RULI, and for every norm in ``radii`` the signed re-recognition radius: as it is, and per sample.

    U-LiRA and RULI know both sides where the store has at least two models of :func:`siblings`; else only how
    re-trained models score, and a signal says which (``inside``).

    Args:
        radii: norm → of :func:`~rurk_core.evidence.radii.radii_of` with the model and all references in it.

    Raises:
        UsageError: the run has no such model, or no reference.
    """
    data, store, result, method = case.of(data), case.store, case.result, case.method
    rows = {row["name"]: row for row in result["models"] if row.get("key")}
    references = [name for name in rows if role_of(name) == "reference" and name != method]
    if method not in rows or not references:
        raise UsageError(f"Membership signals of '{method}' need that model and a re-trained one in the run.")
    forget = torch.tensor(result["forget"]["indices"])
    stays = torch.ones(len(data.train_labels), dtype=torch.bool)
    stays[forget] = False
    losses, decisions = {}, {}
    for name in [method, *references]:
        scores = stored_scores(store, rows[name]["scores"])
        losses[name] = scores["train_loss"][forget].double().numpy()
        parts = (scores["train_loss"][stays], scores["test_loss"], scores["train_loss"][forget])
        decisions[name] = svc_decision(*(confidence(part.numpy()) for part in parts))
    # a re-trained model in place of an unlearned one never saw the samples, so others like it are not inside
    unlearned = role_of(method) != "reference"
    inside = siblings(store, rows[method]["key"], rows[method]["scores"]) if unlearned else {}
    for key, scores_key in inside.items():
        losses[key] = stored_scores(store, scores_key)["train_loss"][forget].double().numpy()
    found = [plain_signal(decisions[method], np.stack([decisions[name] for name in references]), name="SVC")]
    found += signals(losses, method, references, list(inside))
    for norm, each in (radii or {}).items():
        top = largest_radius(norm, data.input_shape)
        scored = {name: np.clip(each[name].signed(), -top, top) for name in [method, *references]}
        others = np.stack([scored[name] for name in references])
        found.append(plain_signal(scored[method], others, name=f"radius, {norm}"))
        if len(references) >= 3:
            found.append(per_sample_attack(scored[method], others, name=f"radius per sample, {norm}"))
    return found


def siblings(store: Store, model: str, scores: str) -> dict[str, str]:
    """Models of other runs that are one more draw of the same making: model key → key of its scores.

    The same in all that decides a model (data, network, recipe, forget set, method and its settings) but the seeds,
    so that for a model which saw the forget set and unlearned it these are more of its kind. A model made elsewhere
    has none, for nobody can say how it was made.

    Args:
        model: key of the model; scores: key of its scores on the data and forget set in question.
    """
    found: dict[str, str] = {}
    try:
        law, like = _law(store, model), store.read_json(scores, "spec.json")["spec"]
    except RurkError:  # what it was made from is not in this store, so nothing can be compared
        return found
    for entry in store.list(model.rpartition("-")[0]) if "sha256" not in law else []:
        key = store.key("scores", like | {"model": entry.key})
        with contextlib.suppress(RurkError):  # damaged, or something it rests on is gone
            if entry.key != model and store.has(key) and _law(store, entry.key) == law:
                found[entry.key] = key
    return dict(sorted(found.items()))


def _law(store: Store, key: str) -> dict[str, Any]:
    """What made a stored model, seeds aside: that of models it was made from in place of their keys."""
    made = store.read_json(key, "spec.json")["spec"]
    return {
        name: _law(store, value) if name in ("original", "start") and value else value
        for name, value in made.items()
        if name != "seed"
    }
