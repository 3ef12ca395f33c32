"""Evidence on the models of a finished run: computed from stored counts, kept in the store, cheap to ask again."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import digamma, polygamma
from scipy.stats import spearmanr
from scipy.stats import t as student
from torch import Tensor

from .data import Dataset, to_pixels
from .errors import RurkError, UsageError
from .evidence import MARGIN, RATE, SampleEvidence, adjusted, evidence_from_bytes, evidence_to_bytes, sample_evidence
from .membership import (
    MembershipSignal,
    confidence,
    logit_confidence,
    per_sample_attack,
    plain_signal,
    signals,
    svc_decision,
)
from .radius import RESTARTS, STEPS, OnSample, Radii, largest_radius, measure
from .radius import VERSION as SEARCH
from .residual import Verdicts
from .stages import load_model, load_verdicts, role_of, stored_scores
from .store import Store, load_tensors, save_tensors, tensor_metadata
from .twins import candidates, unit_features
from .verdicts import OnChunk, count_verdicts, verdicts_from_bytes, verdicts_to_bytes

Floats = NDArray[np.floating]
T = TypeVar("T")

VERSION = 1
"""Of the computations behind the entries; a change of what they hold makes them anew."""


def evidence_of_run(
    store: Store,
    run_key: str,
    *,
    method: str,
    attack: str = "",
    rate: float = RATE,
    margin: float = MARGIN,
) -> SampleEvidence:
    """Evidence for every sample of a run's forget set under one model.

    The first call computes it from the stored verdict counts (2,000 samples × 11 radii × 8 references: about a
    second) and keeps it beside them; later ones read it.

    Args:
        method: a model of the run: an unlearned one, "original", or (random draws only) a reference, which is then
            left out of the null.
        attack: key of the attack; the run's first by default.

    Raises:
        UsageError: no such model or attack in the run, or fewer than two references.
        RurkError: the run is not in the store, or damaged.
    """
    key, _ = verdicts_of_run(store, run_key, method=method, attack=attack)
    inputs = {"verdicts": key, "model": method, "rate": rate, "margin": margin, "version": VERSION}
    return kept(
        store,
        "evidence",
        inputs,
        lambda: sample_evidence(load_verdicts(store, key), method, rate=rate, margin=margin),
        evidence_to_bytes,
        evidence_from_bytes,
    )


def verdicts_of_run(store: Store, run_key: str, *, method: str, attack: str = "") -> tuple[str, dict[str, Any]]:
    """Key of the verdict table that ``method`` is judged in, and the run's result document; raises as above."""
    result = store.read_json(run_key, "result.json")
    entries = [entry for entry in result["residual"] if entry["attack"] == (attack or result["residual"][0]["attack"])]
    if not entries:
        known = ", ".join(dict.fromkeys(entry["attack"] for entry in result["residual"]))
        raise UsageError(f"The run was not measured under the attack '{attack}'; it has {known}.")
    found = next((entry["verdicts"] for entry in entries if entry["method"] == method), None)
    if found is None and method.startswith("reference-") and len({entry["verdicts"] for entry in entries}) == 1:
        found = entries[0]["verdicts"]
    if found is None:
        raise UsageError(f"The run has no model '{method}' under '{entries[0]['attack']}'.")
    return found, result


def kept(
    store: Store,
    kind: str,
    inputs: dict[str, Any],
    make: Callable[[], T],
    write: Callable[[T], bytes],
    read: Callable[[bytes], T],
) -> T:
    """What ``make`` returns, from the store where it is there; a store that cannot be written to costs time only."""
    key = store.key(kind, inputs)
    if store.has(key):
        with contextlib.suppress(RurkError):  # damaged: made anew
            return read(store.read(key, f"{kind}.safetensors"))
    found = make()
    with contextlib.suppress(RurkError):
        store.put(key, inputs, {f"{kind}.safetensors": write(found)})
    return found


# --- the re-recognition radius and membership ---------------------------------------------------------------------


def radii_of_run(
    store: Store,
    run_key: str,
    data: Dataset,
    *,
    norm: str = "linf",
    models: Sequence[str] | None = None,
    device: str = "cpu",
    seed: int = 0,
    on_sample: OnSample | None = None,
) -> dict[str, Radii]:
    """Re-recognition radii of the forget set under the models of a run, each kept in the store.

    About 2 s a model for 71 digits on two cores, minutes for large networks: a page asks for what is kept
    (``store.has`` of :func:`radius_key`) and leaves the rest to a background job.

    Args:
        data: the run's data set; norm: "l2" or "linf"; models: names, all by default.
        on_sample: called as ``on_sample(samples done, samples in all)`` over all models; raising in it stops.

    Returns:
        Model → :class:`~rurk_core.radius.Radii`, in the order of the forget set.
    """
    result = _result_for(store, run_key, data)
    index = torch.tensor(result["forget"]["indices"])
    keys = {row["name"]: row["key"] for row in result["models"] if row.get("key")}
    names = list(keys) if models is None else list(models)
    for name in names:
        if name not in keys:
            raise UsageError(f"The run has no model '{name}'; it has {', '.join(keys)}.")
    found = {}
    for done, name in enumerate(names):

        def report(here: int, total: int, done: int = done) -> None:
            if on_sample:
                on_sample(done * total + here, len(names) * total)

        def search(name: str = name, report: OnSample = report) -> Radii:
            return measure(
                load_model(store, keys[name]),
                data.train_images[index],
                data.train_labels[index],
                index.tolist(),
                norm=norm,
                device=device,
                seed=seed,
                on_sample=report,
            )

        inputs = _radius_inputs(data, result["forget"]["indices"], keys[name], norm, seed)
        found[name] = kept(store, "radii", inputs, search, radii_to_bytes, radii_from_bytes)
        report(1, 1)
    return found


def radius_key(store: Store, data: Dataset, result: dict[str, Any], model: str, *, norm: str, seed: int = 0) -> str:
    """The entry of :func:`radii_of_run` for one model, by its name in the result document."""
    key = next(row["key"] for row in result["models"] if row["name"] == model)
    return store.key("radii", _radius_inputs(data, result["forget"]["indices"], key, norm, seed))


def _radius_inputs(data: Dataset, indices: Sequence[int], model: str, norm: str, seed: int) -> dict[str, Any]:
    return {
        "model": model,
        "data": data.fingerprint,
        "samples": list(indices),
        "norm": norm,
        "steps": STEPS,
        "restarts": RESTARTS,
        "seed": seed,
        "version": SEARCH,
    }


def signals_of_run(
    store: Store, run_key: str, data: Dataset, method: str, *, radii: dict[str, dict[str, Radii]] | None = None
) -> list[MembershipSignal]:
    """What tells the unlearned model from re-trained ones on the forget set: ROC curves side by side.

    The paper's SVC (its decision value, fitted for every model on its own retained and test samples), the confidence
    itself, U-LiRA and RULI, and for every norm in ``radii`` the signed re-recognition radius: as it is, and per sample.

    U-LiRA and RULI know both sides where the store has at least two models of :func:`siblings`; else only how
    re-trained models score, and a signal says which (``inside``).

    Args:
        radii: norm → :func:`radii_of_run` with ``method`` and all references in it.

    Raises:
        UsageError: the run has no such model, or no reference.
    """
    result = _result_for(store, run_key, data)
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


def radii_to_bytes(radii: Radii) -> bytes:
    """A safetensors file."""
    arrays = {name: torch.from_numpy(getattr(radii, name)) for name in ("said", "strong", "random")}
    return save_tensors(arrays, {"norm": radii.norm})


def radii_from_bytes(data: bytes) -> Radii:
    """Read :func:`radii_to_bytes` back; a RurkError where it is something else."""
    arrays, about = load_tensors(data), tensor_metadata(data)
    try:
        return Radii(about["norm"], *(arrays[name].numpy() for name in ("said", "strong", "random")))
    except KeyError:
        raise RurkError("The file of radii is damaged or of another kind; delete it and ask again.") from None


# --- samples that were not to be forgotten ------------------------------------------------------------------------


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
    _result_for(store, run_key, data)
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
    verdicts = _more_verdicts(
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
    store: Store,
    run_key: str,
    data: Dataset,
    *,
    method: str,
    attack: str = "",
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
        UsageError: no such model in the run, or the data set has no test samples of a forgotten class at all.
    """
    key, result = verdicts_of_run(store, run_key, method=method, attack=attack)
    _result_for(store, run_key, data)
    table = load_verdicts(store, key)
    rows = {row["name"]: row for row in result["models"] if row.get("key")}
    forget = torch.tensor(result["forget"]["indices"])
    labels = data.train_labels[forget]
    held = held_out(data, labels)
    if not len(held):
        raise UsageError("The data set has no test samples of the forgotten classes to compare with.")
    # test samples are numbered behind the training samples, so that their draws are their own
    ids = held + len(data.train_labels)
    verdicts = _more_verdicts(
        store, table, rows, data.test_images[held], data.test_labels[held], ids, data, device, on_chunk
    )
    own, others = table.recognised(method).mean(1), verdicts.recognised(method).mean(1)
    stays = torch.ones(len(data.train_labels), dtype=torch.bool)
    stays[forget] = False
    around = stays.nonzero()[:, 0]
    around = around[:: -(-len(around) // NEIGHBOURS)]
    kept_images, kept_labels = data.train_images[around], data.train_labels[around]
    hard = difficulty(data.train_images[forget], labels, kept_images, kept_labels)
    hard_held = difficulty(data.test_images[held], data.test_labels[held], kept_images, kept_labels)
    upper, lower, expected = (np.full(len(forget), np.nan) for _ in range(3))
    peers = np.zeros(len(forget), np.int64)
    for at in range(len(forget)):
        same = np.flatnonzero(data.test_labels[held].numpy() == int(labels[at]))
        if len(same) < FEW_PEERS:
            continue
        near = same[np.abs(hard_held[same] - hard[at]).argsort(kind="stable")[:PEERS]]
        peers[at], expected[at] = len(near), others[near].mean() / table.draws
        upper[at] = (1 + (others[near] >= own[at]).sum()) / (1 + len(near))
        lower[at] = (1 + (others[near] <= own[at]).sum()) / (1 + len(near))
    # a rank among at most 50 cannot survive a correction for many samples: the level is that of single samples
    verdict = np.where(upper <= rate, "residual", np.where(lower <= rate, "over_forgotten", "cannot_tell"))
    agreement = None
    if len([name for name in table.references if name != method]) >= 2:
        agreement = agreement_of(
            sample_evidence(table, method, rate=rate), upper, lower, own / table.draws - expected, rate
        )
    return Unreferenced(
        table.samples, own / table.draws, expected, upper, lower, peers, tuple(verdict.tolist()), agreement
    )


def held_out(data: Dataset, labels: Tensor) -> Tensor:
    """Test indices of the classes of ``labels``, at most 4 × :data:`PEERS` of each; int64."""
    return torch.cat([(data.test_labels == label).nonzero()[:, 0][: 4 * PEERS] for label in labels.unique()])


def agreement_of(
    calibrated: SampleEvidence, upper: Floats, lower: Floats, excess: Floats, rate: float
) -> dict[str, float]:
    """The weaker answer against the calibrated one, both at level ``rate`` for single samples.

    Returns:
        ``same``: share of samples with the same answer (above, below, neither); ``alarms``, ``alarms_calibrated``: how
        many each accuses; ``both``: share of the weaker answer's accusations that the calibrated one makes too, NaN
        as 0 where it makes none; ``rank_correlation`` of the excesses (Spearman).
    """
    strong = np.where(
        calibrated.combined.p_residual <= rate, 1, np.where(calibrated.combined.p_forgotten <= rate, -1, 0)
    )
    weak = np.where(upper <= rate, 1, np.where(lower <= rate, -1, 0))
    both = np.isfinite(excess)
    varied = both.sum() > 2 and np.ptp(excess[both]) > 0 and np.ptp(calibrated.combined.excess[both]) > 0
    return {
        "same": float((strong == weak).mean()),
        "alarms": float((weak != 0).mean()),
        "alarms_calibrated": float((strong != 0).mean()),
        "both": float((strong == weak)[weak != 0].mean()) if (weak != 0).any() else 0.0,
        "rank_correlation": float(spearmanr(excess[both], calibrated.combined.excess[both])[0]) if varied else 0.0,
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


def _more_verdicts(
    store: Store,
    table: Verdicts,
    rows: dict[str, Any],
    images: Tensor,
    labels: Tensor,
    samples: Tensor,
    data: Dataset,
    device: str,
    on_chunk: OnChunk | None,
) -> Verdicts:
    """Verdicts of the models of ``table`` on other samples, under its attack, radii, draws and seed; kept."""
    inputs = {
        "data": data.fingerprint,
        "attack": table.attack,
        "source": table.source,
        "taus": table.taus.tolist(),
        "draws": table.draws,
        "seed": table.seed,
        "samples": samples.tolist(),
        "models": {name: rows[name]["key"] for name in table.models},
    }
    return kept(
        store,
        "more_verdicts",
        inputs,
        lambda: count_verdicts(
            {name: load_model(store, rows[name]["key"]) for name in table.models},
            table.references,
            images,
            labels,
            samples.tolist(),
            attack=table.attack,
            taus=table.taus.tolist(),
            draws=table.draws,
            seed=table.seed,
            classes=len(data.classes),
            source=table.source,
            device=device,
            on_chunk=on_chunk,
        ),
        verdicts_to_bytes,
        verdicts_from_bytes,
    )


def _result_for(store: Store, run_key: str, data: Dataset) -> dict[str, Any]:
    """The result document, once it is certain that ``data`` is what the run saw."""
    result = store.read_json(run_key, "result.json")
    if data.fingerprint != result["dataset"]["fingerprint"]:
        raise UsageError(
            f"The data set '{data.name}' has the fingerprint {data.fingerprint}, but the run was made on "
            f"{result['dataset']['fingerprint']}; give the same data."
        )
    return result
