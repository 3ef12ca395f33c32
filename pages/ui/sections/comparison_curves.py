"""All methods over the radius."""

from __future__ import annotations

import streamlit as st

from rurk_core.compare.table import BANDS, CURVES
from rurk_core.perturb.copies import ATTACKS
from ui import figures
from ui.figures.look import GREEN, LEVEL, faded
from ui.sections.comparison import View, letters, lines_of, name_lines, picks
from ui.session import state

SHORT = {
    "ratio_of_means": "r̂, ratio of means",
    "r_mean": "r̂, mean of ratios",
    "prevalence": "prevalence",
    "disagreement": "disagreement",
    "unlearn_accuracy": "unlearn accuracy",
}


def over_radii(view: View, attack: str, figure: str) -> None:
    """One figure over τ, a line per method."""
    curves = [c for c in view.comparison["curves"] if c["attack"] == attack]
    ratio = figure in ("ratio_of_means", "r_mean")
    scale, unit = (1, "") if ratio else (100, "%")
    lines = [(c["name"], c["taus"], c[figure]) for c in curves]
    drawn = lines_of(view, lines, scale, unit)
    if figure in BANDS:
        bands = [c["bands"][figure] for c in curves]
        low, high = (
            [pick((x for x in edge if x is not None), default=None) for edge in zip(*each, strict=True)]
            for pick, each in ((min, [b["low"] for b in bands]), (max, [b["high"] for b in bands]))
        )
        low, high = ([None if x is None else scale * x for x in edge] for edge in (low, high))
        name = "re-trained, among each other"
        drawn.add_traces(figures.between(curves[0]["taus"], low, high, faded(GREEN, 0.2), name))
    if ratio:
        drawn.add_hline(y=1, line={"color": LEVEL, "width": 1})
    name_lines(view, drawn, lines, scale)
    drawn.update_xaxes(title=figures.TAU_TITLE, zeroline=False, tickformat="~g")
    drawn.update_yaxes(title=CURVES[figure] + ("" if ratio else " (%)"), zeroline=False)
    name = f"{figure}-{attack}"
    figures.draw(drawn, f"figure-{figure}", name, f"{CURVES[figure]} over the radius", on_pick=picks(view))
    letters(view, [c["name"] for c in curves])
    see = {
        "ratio_of_means": "above 1 a model recognises more than retraining would leave (residual knowledge), below 1 "
        "it over-forgets. Inside the green band it is as near to re-trainings as they are to each other.",
        "r_mean": "the paper's mean over the samples where r̂ is defined; samples that no re-trained model recognises "
        "are left out of it, which pulls it down, and rarely recognised ones push it up: an honest re-training’s is "
        "not 1, so hold it against the green band, how the re-trained models fare among each other.",
        "prevalence": "how many forget samples are recognised more often than by a re-trained model: the mean over the "
        "re-trained models of that against each. The green band is how they fare against each other.",
        "disagreement": "how often a model and a re-trained one give a copy different classes. Two re-trainings "
        "disagree as well: 0 is not the target.",
        "unlearn_accuracy": "the share of copies a model gives another class than their sample's.",
    }[figure]
    seeds = ""
    if len(view.results) > 1:
        whose = "" if len(curves) <= 2 else " of the highlighted model" if view.chosen else " of a highlighted model"
        seeds = f" The band{whose} reaches from the lowest to the highest seed."
    st.html(f'<div class="rk-see">See: {see}{seeds}</div>')
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
    st.subheader("Over all radii", anchor=False)
    if not attack:
        st.caption("No model of these runs was judged on perturbed copies.")
        return
    for column, options in zip(
        st.columns(2, gap="large"),
        (("ratio_of_means", "r_mean"), ("prevalence", "disagreement", "unlearn_accuracy")),
        strict=True,
    ):
        with column:
            figure = st.segmented_control(
                "Figure",
                options,
                format_func=SHORT.__getitem__,
                default=options[0],
                required=True,
                key=f"which-{options[0]}",
                persist_state="session",
                label_visibility="collapsed",
            )
            over_radii(view, attack, str(figure))
