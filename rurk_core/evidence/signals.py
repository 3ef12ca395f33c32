"""Membership signals of a run: what tells a model from re-trained ones on the forget set."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from ..arrays import Floats
from ..data import Dataset
from ..errors import RurkError, UsageError
from ..measure.membership import confidence, logit_confidence, svc_decision
from ..measure.radius import Radii, largest_radius
from ..measure.roc import CURVE_POINTS, FALSE_POSITIVE_RATES, roc_curve, tpr_at
from ..run.plan import held_out
from ..run.stored import role_of, stored_scores
from ..store.store import Store
from .case import Case, tables_of, why_not
from .findings import plain
from .membership_law import auc_of_model, rmia, student_ratio
from .null import NEEDED
from .tables import over_all_radii


@dataclass(frozen=True)
class MembershipSignal:
    """How well a score tells a model that once saw a sample from models that never did.

    Attributes:
        name: of the score.
        own: float64 [N], scores of the model in question; references: float64 [K, N], of re-trained models, each judged
            as if it were the model in question, by the others. High means "saw it".
        inside, outside: how many models that saw the samples, and that never did, the attack's rule rests on; 0 and 0
            for one rule for all samples.
    """

    name: str
    own: Floats
    references: Floats
    inside: int = 0
    outside: int = 0

    def curve(self, points: int = CURVE_POINTS) -> tuple[Floats, Floats]:
        """The ROC curve at ``points`` even false-positive rates from 0 to 1, each float64 [points]."""
        fpr, tpr = roc_curve(self.own, self.references)
        even = np.linspace(0, 1, points)
        at = np.searchsorted(fpr, even + 1e-12, side="right") - 1  # the best at no more false positives
        return even, tpr[at]

    def to_dict(self) -> dict[str, Any]:
        """AUC, its 95% interval (None below three references) and true-positive rates at low false-positive rates."""
        area = auc_of_model(self.own, self.references)
        return {
            "name": self.name,
            "auc": area.auc,
            "low": plain(area.low),
            "high": plain(area.high),
            "references": [plain(each) for each in area.references],
            "inside": self.inside,
            "outside": self.outside,
            "positives": self.own.size,
            "negatives": self.references.size,
            "smallest_fpr": 1 / self.references.size,
            "tpr": [tpr_at(self.own, self.references, rate).to_dict() for rate in FALSE_POSITIVE_RATES],
        }


def signals_of(
    case: Case, data: Dataset, *, radii: dict[str, dict[str, Radii]] | None = None
) -> tuple[list[MembershipSignal], str]:
    """What tells the model from re-trained ones on the forget set, and the sentences that say what is missing and why.

    The paper's SVC (its decision value, fitted for every model on its own retained and test samples); then confidence
    (log-odds of the label, one rule for all samples), LiRA and RMIA, each on the samples and on their perturbed copies
    (mean log-odds over the radii above 0); and for every norm in ``radii`` the signed re-recognition radius: as it is,
    and per sample.

    LiRA knows both sides where at least two models of :func:`siblings` judged the same; else only how re-trained models
    score, and a signal says which (``inside``).

    Args:
        radii: norm → of :func:`~rurk_core.evidence.radii.radii_of` with the model and all references in it.

    Raises:
        UsageError: the run has no such model, or no reference.
    """
    data, store, method = case.of(data), case.store, case.method
    made = {row["name"]: row for row in case.result["models"] if row.get("key")}
    references = [name for name in made if role_of(name) == "reference" and name != method]
    if method not in made or not references:
        raise UsageError(f"Membership signals of '{method}' need that model and a re-trained one in the run.")
    names = [method, *references]
    forget = torch.tensor(case.result["forget"]["indices"])
    stays = torch.ones(len(data.train_labels), dtype=torch.bool)
    stays[forget] = False
    peers = held_out(data, data.train_labels[forget])
    scores = {name: stored_scores(store, made[name]["scores"]) for name in names}
    decisions = [
        svc_decision(
            *(confidence(part.numpy()) for part in (s["train_loss"][stays], s["test_loss"], s["train_loss"][forget]))
        )
        for s in scores.values()
    ]
    # a re-trained model in place of an unlearned one never saw the samples, so others like it are not inside
    unlearned = role_of(method) != "reference"
    inside = siblings(store, made[method]["key"], made[method]["scores"]) if unlearned else {}
    seen = [stored_scores(store, key)["train_loss"][forget] for key in inside.values()]
    clean = np.stack([logit_confidence(s["train_loss"][forget].numpy()) for s in scores.values()])
    unseen = np.stack([logit_confidence(s["test_loss"][peers].numpy()) for s in scores.values()])
    found = [MembershipSignal("SVC", decisions[0], np.stack(decisions[1:]))]
    found += _on(clean, unseen, [logit_confidence(loss.numpy()) for loss in seen])
    missing = [why_not(case)]
    if not missing[0]:
        table, held = tables_of(case)
        beside = [
            over_all_radii(table, name) for name, key in case.keys.items() if key in inside and name in table.models
        ]
        if case.members:
            own = {row["name"]: row["key"] for row in case.result["members"]["models"]}
            beside += [over_all_radii(case.members[0], name) for name, key in own.items() if key in inside]
        there = np.stack([over_all_radii(held, name) for name in names]) if held else np.zeros((len(names), 0))
        found += _on(np.stack([over_all_radii(table, name) for name in names]), there, beside, ", copies")
    for norm, each in (radii or {}).items():
        found += _of_radii(norm, each, names, largest_radius(norm, data.input_shape))
    return found, " ".join(filter(None, [*missing, *_missing(len(references), bool(len(peers)))]))


def _on(each: Floats, unseen: Floats, inside: Sequence[Floats], what: str = "") -> Iterable[MembershipSignal]:
    """Signals from log-odds [1 + K, N], the model's first, and the same of samples nobody has seen [1 + K, Z]."""
    own, references = each[0], each[1:]
    yield MembershipSignal(f"confidence{what}", own, references)
    if len(references) >= NEEDED:
        used = inside if len(inside) >= 2 else []
        scores = student_ratio(own, references, np.stack(used) if used else None)
        yield MembershipSignal(f"LiRA{what}", *scores, len(used), len(references) - 1)
    if len(references) >= 2 and unseen.shape[1]:
        theirs = [
            rmia(references[k], np.delete(references, k, 0), unseen[1 + k], np.delete(unseen[1:], k, 0))
            for k in range(len(references))
        ]
        own = rmia(own, references, unseen[0], unseen[1:])
        yield MembershipSignal(f"RMIA{what}", own, np.stack(theirs), 0, len(references) - 1)


def _of_radii(norm: str, radii: dict[str, Radii], names: Sequence[str], top: float) -> Iterable[MembershipSignal]:
    """The signed radius as it is, and per sample in units of how far re-trained models differ, as log-odds are read."""
    signed = np.stack([np.clip(radii[name].signed(), -top, top) for name in names])
    own, references = signed[0], signed[1:]
    yield MembershipSignal(f"radius, {norm}", own, references)
    if len(references) >= NEEDED:
        unit = max(float(np.sqrt(references.var(0, ddof=1).mean())), 1e-12)
        scores = student_ratio(own / unit, references / unit)
        yield MembershipSignal(f"radius per sample, {norm}", *scores, 0, len(references) - 1)


def _missing(references: int, held: bool) -> Iterable[str]:
    if references < NEEDED:
        yield (
            f"With {references} re-trained model{'s' if references > 1 else ''} there is no interval, and no attack "
            f"with a law of its own for every sample (LiRA, the radius per sample): both need at least {NEEDED}."
        )
    if references < 2:
        yield "RMIA holds one re-trained model against another, so it needs at least 2."
    elif not held:
        yield "RMIA compares with samples that no model has seen, and there are no test samples of these classes."


def siblings(store: Store, model: str, scores: str) -> dict[str, str]:
    """Models of the store that are one more draw of the same making: model key → key of its scores.

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
