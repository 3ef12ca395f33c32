"""All methods over the radius."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import streamlit as st

from rurk_core.compare.table import BANDS, CURVES
from rurk_core.perturb.copies import ATTACKS
from rurk_core.report.units import tau_title
from ui import figures
from ui.components.multiples import multiples
from ui.sections.comparison import View, pick
from ui.session import state

SHORT = {
    "ratio_of_means": "r̂, ratio of means",
    "r_mean": "r̂, mean of ratios",
    "prevalence": "prevalence",
    "disagreement": "disagreement",
    "unlearn_accuracy": "unlearn accuracy",
}


def nothing(view: View, figure: str) -> str:
    """Why a figure has no value at all."""
    if view.retrained and figure in ("ratio_of_means", "r_mean", "prevalence"):
        return "no re-trained model recognises any copy"
    return "there is no re-trained model to compare with"


def scaled(values: Sequence[float | None], scale: float) -> list[float | None]:
    return [None if value is None else scale * value for value in values]


def small(view: View, curves: list[dict[str, Any]], figure: str, scale: float, ratio: bool) -> None:
    """A small figure a model: one for all of them would be a tangle."""
    panels = []
    for c in curves:
        look = view.looks[c["name"]]
        band = c["bands"][figure] if figure in BANDS else None
        panels.append(
            {name: getattr(look, name) for name in ("title", "letter", "colour", "ink")}
            | {"name": c["name"], "taus": c["taus"], "nothing": f"undefined: {nothing(view, figure)}"}
            | {edge: scaled(c[figure][edge], scale) for edge in ("mean", "low", "high")}
            | {"band": band and [scaled(band[edge], scale) for edge in ("low", "high")]}
        )
    picked = multiples(
        f"small-{figure}",
        panels,
        across=tau_title(curves[0]["attack"]),
        up=CURVES[figure] + ("" if ratio else " (%)"),
        level=1.0 if ratio else None,
        selected=view.chosen,
    )
    if picked is not None:
        pick(picked, view.chosen)
        st.rerun()


def over_radii(view: View, attack: str, figure: str) -> None:
    """One figure over τ, a line per method."""
    curves = [c for c in view.comparison["curves"] if c["attack"] == attack]
    ratio = figure in ("ratio_of_means", "r_mean")
    scale = 1 if ratio else 100
    if not any(value is not None for c in curves for value in c[figure]["mean"]):
        st.info(f"Undefined at every radius: {nothing(view, figure)}.", icon=":material/block:")
        return
    small(view, curves, figure, scale, ratio)
    see = {
        "ratio_of_means": "above 1 a model recognises more copies than re-trained models do on average, below 1 fewer; "
        "whether that is residual knowledge or over-forgetting is what the evidence above says.",
        "r_mean": "the paper's mean over the samples where r̂ is defined. An honest re-training’s is not 1.",
        "prevalence": "how many forget samples are recognised more often than by a re-trained model, the mean over the "
        "re-trained models.",
        "disagreement": "how often a model and a re-trained one give a copy different classes. Two re-trainings "
        "disagree as well: 0 is not the target.",
        "unlearn_accuracy": "the share of copies a model gives another class than their sample's.",
    }[figure]
    edges = [edge for c in curves if figure in BANDS for edge in c["bands"][figure]["low"]]
    several = any(edge is not None for edge in edges)
    band = " Green: how the re-trained models fare among each other." if several else ""
    seeds = " Shaded: from the lowest to the highest seed." if len(view.results) > 1 else ""
    st.html(f'<div class="rk-see">See: {see}{band}{seeds}</div>')
    name = f"{figure}-{attack}"
    rows = [
        {"model": view.looks[c["name"]].title, "tau": tau, "figure": figure, "attack": attack}
        | {edge: c[figure][edge][at] for edge in ("mean", "low", "high")}
        | {f"band_{edge}": c["bands"][figure][edge][at] for edge in ("low", "high") if figure in BANDS}
        for c in curves
        for at, tau in enumerate(c["taus"])
    ]
    if rows:
        figures.download(rows, name, f"{figure}_csv")


def choose_attack(view: View) -> str:
    """The perturbation that findings and curves are of; "" where nothing was measured."""
    attacks = list(dict.fromkeys(curve["attack"] for curve in view.comparison["curves"]))
    attack = state.choice("attack", attacks[0], state.one_of(attacks)) if attacks else ""
    if len(attacks) > 1:
        state.bound(
            st.segmented_control,
            "Perturbation",
            "attack",
            attack,
            options=attacks,
            format_func=lambda key: ATTACKS[key].title,
            required=True,
        )
    return attack


def show_curves(view: View, attack: str) -> None:
    st.header("Over all radii", anchor=False)
    if not attack:
        st.caption("No model of these runs was judged on perturbed copies.")
        return
    figure = st.segmented_control(
        "Figure",
        list(SHORT),
        format_func=SHORT.__getitem__,
        default=next(iter(SHORT)),
        required=True,
        key="which_curve",
        persist_state="session",
        label_visibility="collapsed",
    )
    over_radii(view, attack, str(figure))
