"""The bars of the law of evidence, each a row, on the models of the bank (:mod:`benchmarks.evidence_bank`).

``python -m benchmarks evidence_bars`` prints them for every experiment whose models are there. What is judged was not
looked at while the law was chosen: references from :data:`DEVELOPED` on, where there are enough.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rurk_core.errors import RurkError
from rurk_core.evidence.law import FINDINGS, Judged, Peers, judge, log_odds_of_counts
from rurk_core.evidence.membership_law import ModelAuc, auc_of_model, rmia, student_ratio
from rurk_core.evidence.null import compressed, expanded
from rurk_core.evidence.specific import SPECIFIC
from rurk_core.measure.roc import auc
from rurk_core.store.tensors import load_tensors

from .evidence_bank import EXPERIMENTS, FEW, bank_folder
from .evidence_laws import LAWS, draw

Floats = NDArray[np.floating]

DEVELOPED = 24
"""References of c5 before this one were used to choose the law."""
SPLITS = 10
"""How often references are drawn anew."""
SIBLINGS = 7
ATTACKS = ("gaussian", "fgsm", "pgd")


@dataclass(frozen=True)
class Measured:
    """One experiment's margins: (role, key) → [models, samples], mean over radii."""

    name: str
    tables: dict[str, list[dict[str, Floats]]]

    def of(self, role: str, key: str) -> Floats:
        return np.stack([table[key].reshape(len(table[key]), -1).mean(1).astype(float) for table in self.tables[role]])

    def peers(self, role: str, key: str) -> Floats:
        return self.of(role, f"held_{key}")


def load_measured(name: str, folder: Path) -> Measured:
    """All that is measured of an experiment; references from :data:`DEVELOPED` on where 12 of those are there.

    Raises:
        RurkError: too little is there.
    """
    tables: dict[str, dict[int, dict[str, Floats]]] = {}
    for path in sorted((folder / name / "measured").glob("*.safetensors")):
        found = re.fullmatch(r"(\w+)-(\d+)", path.stem)
        assert found
        tensors = {key: value.numpy() for key, value in load_tensors(path.read_bytes()).items()}
        tables.setdefault(found[1], {})[int(found[2])] = tensors
    references = tables.get("reference", {})
    if len(references) < 10 or len(tables.get("original", {})) < 2:
        raise RurkError(f"The bank has too few models of {name}; make them with: python -m benchmarks.evidence_bank 40")
    fresh = [n for n in references if n >= DEVELOPED]
    if name == "c5" and len(fresh) >= 12:
        tables["reference"] = {n: references[n] for n in fresh}
    return Measured(name, {role: [each[n] for n in sorted(each)] for role, each in tables.items()})


@dataclass(frozen=True)
class Audit:
    """A model handed in: its role and what was said."""

    role: str
    number: int
    references: tuple[int, ...]
    found: Judged


def audits(
    bank: Measured, k: int, key: str = "gaussian", siblings: int = 0, roles: tuple[str, ...] = ("null", "original")
) -> Iterator[Audit]:
    """Models of the roles against K references drawn anew; "null" is every reference that is not among the K.

    The Original that stands for "saw everything" is drawn, and never the model itself but for the role "own".
    """
    references, originals = bank.of("reference", key), bank.of("original", key)
    held, held_originals = bank.peers("reference", key), bank.peers("original", key)
    for split in range(SPLITS):
        rng = np.random.default_rng(split)
        order, seen = rng.permutation(len(references)), rng.permutation(len(originals))
        used, inside = order[:k], seen[: 1 + siblings]
        which = {
            "null": (references[order[k:]], held[order[k:]]),
            "original": (originals[seen[1 + siblings :]], held_originals[seen[1 + siblings :]]),
            "own": (originals[seen[:1]], held_originals[seen[:1]]),
        }
        for role in roles:
            own, own_held = which.get(role) or (bank.of(role, key), bank.peers(role, key))
            for number, (values, peers) in enumerate(zip(own, own_held, strict=True)):
                found = judge(
                    values,
                    references[used],
                    originals=originals[inside],
                    peers=Peers(peers, held[used], held_originals[inside]),
                )
                yield Audit(role, number, tuple(used), found)


def share(found: list[Audit], what: Callable[[Judged], object], role: str) -> float:
    """Mean of a share over the audits of a role, in percent."""
    return 100 * float(
        np.mean([np.mean(np.asarray(what(audit.found), float)) for audit in found if audit.role == role])
    )


def residual(found: Judged) -> NDArray[np.bool_]:
    return found.finding == FINDINGS.index("residual")


def remembered(found: Judged) -> NDArray[np.bool_]:
    """Samples of which it is said that the model remembers them; none without a specific part."""
    assert found.specific is not None
    return found.specific.said == SPECIFIC.index("shown")


def power(bank: Measured) -> None:
    hard = bank.of("reference", "gaussian_counts") / 100
    for k in (3, 8):
        found = list(audits(bank, k))
        unknown = [
            residual(a.found)[hard[list(a.references)].mean(0) < 0.5].mean() for a in found if a.role == "original"
        ]
        print(
            f"  K = {k}: Original listed {share(found, residual, 'original'):.1f}% (null "
            f"{share(found, residual, 'null'):.2f}%), of samples whose references recognise < 50% "
            f"{100 * np.mean(unknown):.1f}%; bars 25% at K = 3, 32% and 50% at K = 8"
        )
        clear = [share(found, lambda f: f.finding == FINDINGS.index("clear"), role) for role in ("original", "null")]
        print(f"    clear: Original {clear[0]:.2f}%, re-training {clear[1]:.1f}%; bars ≤ 5%, ratio ≥ 10")
        inside = share(found, lambda f: (f.low <= f.own) & (f.own <= f.high), "null")
        print(f"    prediction interval holds one more re-training {inside:.1f}%; bar 95 ± 2%")


def nulls(bank: Measured) -> None:
    for key in (*ATTACKS, "few"):
        for k in (3, 8):
            if f"held_{key}" in bank.tables["reference"][0]:
                found = [audit.found for audit in audits(bank, k, key, roles=("null",))]
            else:
                found = list(_without_peers(bank, k, key))
            print(_null_row(f"{key}, K = {k}", found))
    counted = list(_without_peers(bank, 8, "gaussian_counts", draws=100))
    print(_null_row("counts alone (100 draws), K = 8", counted))


def passes(bank: Measured) -> None:
    """What fewer copies cost in power: the Original's samples that are listed, from log-odds of 100 copies and of few.

    Beside it the paper's protocol: counts of 100 copies, and no log-odds.
    """
    references, originals = bank.of("reference", "gaussian"), bank.of("original", "gaussian")
    for k in (3, 8):
        listed: dict[str, list[float]] = {}
        for split in range(SPLITS):
            rng = np.random.default_rng(split)
            order, seen = rng.permutation(len(references))[:k], rng.permutation(len(originals))[1:]
            for name, key in (("log-odds of 100", "gaussian"), (f"log-odds of {FEW}", "few"), ("counts of 100", "")):
                values = bank.of("reference", key or "gaussian_counts")[order]
                own = bank.of("original", key or "gaussian_counts")
                if not key:
                    values, own = log_odds_of_counts(values, 100), log_odds_of_counts(own, 100)
                listed.setdefault(name, []).extend(residual(judge(own[n], values)).mean() for n in seen)
        said = "; ".join(f"{name} copies {100 * np.mean(each):.1f}%" for name, each in listed.items())
        noise = bank.of("original", "few") - originals
        spread = references.std(0, ddof=1)
        print(
            f"  K = {k}: Original listed, no held-out samples: {said}; bar: a fifth of the passes, the same power. "
            f"Noise of {FEW} draws: {100 * np.median((noise.std(0) / spread) ** 2):.1f}% of the variance between "
            "re-trainings"
        )


def _without_peers(bank: Measured, k: int, key: str, draws: int = 0) -> Iterator[Judged]:
    values = bank.of("reference", key)
    values = log_odds_of_counts(values, draws) if draws else values
    for split in range(SPLITS):
        order = np.random.default_rng(split).permutation(len(values))
        for number in order[k:]:
            yield judge(values[number], values[order[:k]])


def _null_row(name: str, found: list[Judged]) -> str:
    above, below = (
        100 * np.mean([(getattr(f, p) <= 0.05).mean() for f in found]) for p in ("p_residual", "p_forgotten")
    )
    lists = [100 * np.mean([(getattr(f, q) <= f.rate).any() for f in found]) for q in ("q_residual", "q_forgotten")]
    return (
        f"  re-trainings, {name}: p ≤ .05 residual {above:.1f}%, over-forgotten {below:.1f}% (bar 5 ± 1%); audits with "
        f"any false list {lists[0]:.1f}% and {lists[1]:.1f}% (bar ≤ 7%); {len(found)} audits"
    )


def controls(bank: Measured) -> None:
    roles = tuple(role for role in ("substitute", "brittle") if role in bank.tables)
    for siblings in (0, min(SIBLINGS, len(bank.tables["original"]) - 2)):
        found = list(audits(bank, 8, siblings=siblings, roles=("null", "original", *roles)))
        for role in (*roles, "null", "original"):
            sets = share(found, lambda f: f.specific is not None and f.specific.set_p <= 0.05, role)
            print(
                f"  {role}, {siblings} siblings: said to remember {share(found, remembered, role):.2f}% of samples, "
                f"sets {sets:.1f}%; any sample in {share(found, lambda f: remembered(f).any(), role):.1f}% of audits"
                + ("; bar ≤ 5%" if role != "original" else "")
            )


def specific_power(bank: Measured) -> None:
    for siblings in (0, SIBLINGS):
        if len(bank.tables["original"]) < siblings + 2:
            continue
        scores: dict[str, list[Floats]] = {"null": [], "original": []}
        for audit in audits(bank, 8, siblings=siblings):
            specific = audit.found.specific
            assert specific is not None
            scores[audit.role].append(specific.deviate if specific.ratio is None else specific.ratio)
        positive, negative = np.concatenate(scores["original"]), np.concatenate(scores["null"])
        at = 100 * (positive > np.quantile(negative, 0.95)).mean()
        bar = ".82 / 38%" if siblings else ".74 / 30%"
        print(
            f"  sample-specific, K = 8, {siblings} siblings: AUC {auc(positive, negative):.3f}, "
            f"TPR at 5% {at:.1f}%; bar {bar}"
        )


def foretold(bank: Measured) -> None:
    """Plant exactly the excess that is said to be seen in 4 of 5 cases on a re-training's sample, in an Original."""
    values, originals = bank.of("reference", "gaussian"), bank.of("original", "gaussian")
    for k in (3, 8):
        seen = []
        for split in range(2 * SPLITS):
            rng = np.random.default_rng(split)
            order = rng.permutation(len(values))
            references, honest = values[order[:k]], values[order[k:]]
            for sample in rng.permutation(values.shape[1])[:25]:
                own = originals[rng.integers(len(originals))].copy()
                own[sample] = rng.choice(honest[:, sample])
                found = judge(own, references)
                if np.isfinite(found.detectable[sample]):
                    expected = found.expected[sample]
                    needed = compressed(expected + found.detectable[sample]) - compressed(expected)
                    own[sample] = expanded(compressed(own[sample]) + needed)
                    seen.append(residual(judge(own, references))[sample])
        print(
            f"  K = {k}: would be listed in 4 of 5 cases: listed {100 * np.mean(seen):.0f}% of {len(seen)}; bar 80 ± 5%"
        )


def sets(bank: Measured) -> None:
    methods = tuple(r for r in ("gd", "scrub", "ssd", "neggrad_plus", "rurk") if r in bank.tables)
    found = list(audits(bank, 8, roles=("null", "own", "original", *methods)))
    for role in ("null", "original", *methods):
        mine = [a.found.whole for a in found if a.role == role and a.found.whole]
        near = {side: 100 * np.mean([w.nearer == side for w in mine]) for side in ("retraining", "original")}
        p = [100 * np.mean([getattr(w, side) <= 0.025 for w in mine]) for side in ("p_residual", "p_forgotten")]
        truth = {"null": 0.0, "original": 1.0}.get(role)
        told = [w for w in mine if np.isfinite(w.share)]  # elsewhere the Original does not stand out as a whole
        known = (
            f"{100 * np.mean([w.share for w in told]):.0f}% ({len(told)} of {len(mine)} audits)" if told else "unsaid"
        )
        held = 100 * np.mean([w.share_low <= (truth or 0) <= w.share_high for w in told]) if told else np.nan
        covers = "" if truth is None else f"; its interval holds {truth:g} in {held:.0f}%"
        rows = {name: share(found, lambda f, c=c: f.finding == c, role) for c, name in enumerate(FINDINGS)}
        print(
            f"  {role}: share still known {known}{covers}; nearer a re-training "
            f"{near['retraining']:.0f}%, the Original {near['original']:.0f}%; set p ≤ .025 {p[0]:.0f}% / {p[1]:.0f}%; "
            + ", ".join(f"{name} {value:.1f}%" for name, value in rows.items())
        )


def speed() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(0, 2, (9, 2000, 12))
    start = time.perf_counter()
    for column in range(values.shape[2]):
        judge(values[0, :, column], values[1:, :, column], originals=values[0, :, column])
    print(f"  2,000 samples × (11 radii and all together) × 8 references: {time.perf_counter() - start:.2f} s; bar 2 s")


def synthetic(audits: int = 100) -> None:
    """Nulls from laws the evidence does not assume: one row a law and K."""
    for law in LAWS:
        for k in (2, 3, 8, 20):
            rng = np.random.default_rng(k)
            values = [draw(rng, law, k + 1) for _ in range(audits)]
            found = [judge(each[0], each[1:]) for each in values]
            inside = 100 * np.mean([((f.low <= f.own) & (f.own <= f.high)).mean() for f in found])
            print(_null_row(f"{law}, K = {k}", found) + f"; interval holds {inside:.1f}%")


def membership(bank: Measured) -> None:
    """Intervals of the AUC of honest re-trainings, and of Originals, K = 8; siblings where there are enough."""
    values, originals = bank.of("reference", "clean"), bank.of("original", "clean")
    held, held_originals = bank.of("reference", "held_clean"), bank.of("original", "held_clean")
    found: dict[tuple[str, str], list[ModelAuc]] = {}
    for split in range(SPLITS):
        rng = np.random.default_rng(split)
        order, seen = rng.permutation(len(values)), rng.permutation(len(originals))
        used, inside = order[:8], originals[seen[:SIBLINGS]] if len(originals) > SIBLINGS + 1 else None
        for role, models, peers in (
            ("re-training", values[order[8:]], held[order[8:]]),
            ("Original", originals[seen[SIBLINGS:]], held_originals[seen[SIBLINGS:]]),
        ):
            for own, mine in zip(models, peers, strict=True):
                for name, scores in (
                    ("Student LiRA, offline", student_ratio(own, values[used])),
                    ("Student LiRA, siblings", student_ratio(own, values[used], inside)),
                    ("RMIA", _rmia(own, values[used], mine, held[used])),
                ):
                    found.setdefault((name, role), []).append(auc_of_model(*scores))
    for (name, role), each in found.items():
        out = 100 * np.mean([not one.low <= 0.5 <= one.high for one in each])
        print(
            f"  {name}, {role}: mean AUC {np.mean([one.auc for one in each]):.3f}, interval without 0.5 in {out:.1f}%"
            + ("; bar ≤ 7%" if role == "re-training" else "")
        )


def _rmia(own: Floats, references: Floats, held: Floats, held_references: Floats) -> tuple[Floats, Floats]:
    """Scores of the model and of every reference against the others."""
    rest = [np.delete(references, k, 0) for k in range(len(references))]
    held_rest = [np.delete(held_references, k, 0) for k in range(len(references))]
    theirs = [rmia(references[k], rest[k], held_references[k], held_rest[k]) for k in range(len(references))]
    return rmia(own, references, held, held_references), np.stack(theirs)


def main() -> None:
    print("law of evidence")
    speed()
    synthetic()
    for name in EXPERIMENTS:
        try:
            bank = load_measured(name, bank_folder())
        except RurkError as error:
            print(error)
            continue
        print(f"{name}: " + ", ".join(f"{len(models)} {role}" for role, models in bank.tables.items()))
        for part in (power, passes, nulls, controls, specific_power, foretold, membership, sets):
            part(bank)


if __name__ == "__main__":
    main()
