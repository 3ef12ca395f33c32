"""What an experiment found, in one sentence, and how far it can be trusted."""

from __future__ import annotations

from typing import Any

import numpy as np
import streamlit as st

from rurk_core.evidence.numbers import radii_text
from rurk_core.evidence.tables import moving
from rurk_core.evidence.words import caveats, set_words, short_words
from rurk_core.measure.residual import Verdicts
from ui.figures.look import Look
from ui.session.evidence import case_of, findings_of
from ui.session.view import tables_of
from ui.text import escape, plain


def recognised_share(verdicts: Verdicts, name: str) -> float:
    """Percentage of the copies that a model recognises, over all samples and all radii above 0."""
    at = moving(verdicts.taus)
    return float(100 * verdicts.recognised(name)[:, at].mean() / verdicts.draws)


def questions(result: dict[str, Any]) -> tuple[str, list[str]]:
    """The first attack of a run, and its unlearned models; the Original where there is none."""
    tables = tables_of(result)
    attack = next(iter(tables))[0]
    methods = [method for of, method in tables if of == attack]
    return attack, [method for method in methods if method != "original"] or methods


def verdict(run: str, result: dict[str, Any], looks: dict[str, Look]) -> tuple[str, list[str]]:
    """What the experiment found, as HTML: one sentence of counts and findings, and what is said of each model."""
    attack, methods = questions(result)
    table = case_of(run, methods[0], attack).verdicts
    found = {method: findings_of(run, method, attack) for method in methods}
    each = [recognised_share(table, name) for name in table.references]
    said = [
        f"{looks[method].label()} (<b>{recognised_share(case_of(run, method, attack).verdicts, method):.1f}%</b>): "
        f"{escape(short_words(of))}"
        for method, of in found.items()
    ]
    retrained = ""
    if each:
        who = (
            f"the {len(each)} re-trained models <b>{np.mean(each):.1f}%</b> on average"
            if len(each) > 1
            else (f"the re-trained model <b>{each[0]:.1f}%</b>")
        )
        retrained = f"{who}; "
    samples = "sample" if len(table.samples) == 1 else "samples"
    over = radii_text(table.taus.tolist())
    head = f"Copies of the forgotten {samples} still recognised, {over}: {retrained}{'; '.join(said)}."
    return head, [f"{looks[method].title}: {set_words(of)}" for method, of in found.items()]


def caution(*results: dict[str, Any]) -> bool:
    """What a reader must know before any number, on top of a page; whether there is such a thing.

    Of several seeds, what does not hold for all of them is said with its seed.
    """
    said = [(result["seed"], words) for result in results for words in caveats(result)]
    each = [words for _, words in said]
    shown = dict.fromkeys(
        words if each.count(words) == len(results) else f"Seed {seed}: {words}" for seed, words in said
    )
    if shown:
        st.warning(plain(" ".join(shown)), icon=":material/info:")
    return bool(shown)
