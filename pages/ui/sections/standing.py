"""What an experiment found, in one sentence, and how far it can be trusted."""

from __future__ import annotations

from typing import Any

import numpy as np

from rurk_core.evidence.samples import overall_excess
from rurk_core.measure.residual import Verdicts
from ui.figures.look import Look
from ui.glossary import term
from ui.session import state
from ui.session.view import tables_of


def standing(verdicts: Verdicts, method: str) -> tuple[int, float, np.ndarray]:
    """(1 above every re-trained model, −1 below, 0 among them; copies of 100 recognised; the same for each reference).

    Over all samples and all radii above 0.
    """
    moved = verdicts.taus > 0 if (verdicts.taus > 0).any() else verdicts.taus >= 0
    own = 100 * verdicts.recognised(method)[:, moved].mean() / verdicts.draws
    each = 100 * verdicts.reference_recognised()[:, :, moved].mean((1, 2)) / verdicts.draws
    if not len(each):
        return 0, float(own), each
    return (1 if own > each.max() else -1 if own < each.min() else 0), float(own), each


def verdict(result: dict[str, Any], looks: dict[str, Look]) -> tuple[str, str]:
    """What the experiment found, as HTML: one sentence, and how far it can be trusted."""
    tables = tables_of(result)
    attack = next(iter(tables))[0]
    found = {
        method: standing(state.verdicts_of(key), method)
        for (of, method), key in tables.items()
        if of == attack and method != "original"
    } or {"original": standing(state.verdicts_of(next(iter(tables.values()))), "original")}

    def named(where: int) -> list[str]:
        return [
            f"{looks[method].label()} (<b>{own:.1f}</b>)" for method, (side, own, _) in found.items() if side == where
        ]

    each = next(iter(found.values()))[2]
    if not len(each):
        return (
            f"Of 100 copies of a forgotten sample {joined(named(0))} recognise{s(named(0))} so many, over all radii.",
            "There is no re-trained model, so nothing says how many of them retraining would leave.",
        )
    many = len(each) > 1
    than = "every re-trained model" if many else "the re-trained model"
    parts = []
    if named(1):
        parts.append(f"{joined(named(1))} still recognise{s(named(1))} more than {than}: {term('residual knowledge')}")
    if named(0):
        parts.append(f"{joined(named(0))} cannot be told from re-training by this count")
    if named(-1):
        parts.append(f"{joined(named(-1))} recognise{s(named(-1))} less than {than}: {term('over-forgetting')}")
    spread = f"{each.min():.1f}–{each.max():.1f}" if many else f"{each[0]:.1f}"
    sentence = (
        f"Of 100 copies of a forgotten sample re-trained models recognise <b>{spread}</b>, over all radii. "
        + "; ".join(parts)
        + "."
    )
    if not many:
        return sentence, "With one re-trained model nobody can say how far honest re-trainings differ; run several."
    words = []
    for method, (_, own, references) in found.items():
        about = overall_excess(own, references)
        excess, low, high = (f"{about[name]:+.2f}".replace("-", "−") for name in ("excess", "low", "high"))
        words.append(f"{looks[method].letter} {excess} ({low} to {high})")
    trust = (
        f"Difference to re-training in copies of 100, with the 95% interval that {len(each)} re-trained models allow: "
        f"{', '.join(words)}. An interval that holds 0 leaves it open; more re-trained models make it narrower."
    )
    return sentence, trust


def s(names: list[str]) -> str:
    return "s" if len(names) == 1 else ""


def joined(names: list[str]) -> str:
    """``["A", "B", "C"]`` → "A, B and C"."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
