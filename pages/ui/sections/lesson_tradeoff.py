"""What λ and τ of RURK trade: a grid of runs that came with the app."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import streamlit as st

from rurk_core.explore.lesson_case import ATTACK
from rurk_core.report.units import tau_title
from ui import figures
from ui.figures.look import LEVEL
from ui.glossary import help_of
from ui.sections.lesson import SHIPPED, lettered, plane_looks, said
from ui.session import state


@st.cache_resource(show_spinner=False)
def grid_of_runs() -> dict[str, Any]:
    return json.loads((SHIPPED / "tradeoff.json").read_text())


def tradeoff() -> None:
    found = grid_of_runs()
    st.header("How hard to push, and how far around", anchor=False)
    weight, tau, radius = choose_run(found)
    radii = found["radii"]
    at = radii.index(radius)
    run = next(run for run in found["runs"] if (run["lambda"], run["tau"]) == (weight, tau))
    kept = np.mean(found["retrained"]["retain_accuracy"])
    below = found["denominator"][at]
    st.html(
        f'<div class="rk-head">At radius {radius:g} RURK recognises <b>{run["numerator"][at]:,}</b> of '
        f"{found['trials']:,} copies of the forgotten zeros, re-trained models {below:,.0f} on average: ratio of means "
        f"<b>{run['ratio'][at]:.2f}</b>. It is right on <b>{100 * run['retain_accuracy']:.1f}%</b> of what should stay "
        f"({100 * kept:.1f}% re-trained).</div>"
    )
    left, right = st.columns(2, gap="large")
    with left:
        figures.draw(trade_figure(found, run, at), "trade", "rurk-trade-off", "Ratio of means against retain accuracy")
    with right:
        figures.draw(radius_figure(found, run, radius), "trade_curve", "rurk-curve", "Ratio of means over the radius")
    said(
        "further down on the left less is recognised; further left more of the rest is lost. The green band is where "
        "honest re-trainings lie: the best setting is in it, as far to the right as can be.",
        "leave λ at its smallest and move τ: does it do anything? Then raise λ until the point falls through the "
        "band, and "
        "read off what that cost.",
    )
    st.caption(
        f"Handwritten digits, half of the zeros forgotten ({found['samples']} samples): {len(found['runs'])} RURK "
        f"runs with "
        "λ_f = λ_a, 50 Gaussian copies at every radius, computed once and shipped with the app."
    )
    figures.download(trade_rows(found), "rurk-trade-off", "trade_csv")


def choose_run(found: dict[str, Any]) -> tuple[float, float, float]:
    """(λ, τ of RURK, radius at which it is judged)."""
    one, two, three = st.columns(3, gap="large")
    with one:
        weight = state.bound(
            st.select_slider,
            "λ: weight on forgetting",
            "lambda",
            state.choice("lambda", found["lambdas"][2], state.nearest(found["lambdas"])),
            options=found["lambdas"],
            help="λ_f = λ_a, the weights of the two terms that RURK raises: the loss on forget samples and on their "
            "copies.",
        )
    with two:
        tau = state.bound(
            st.select_slider,
            "τ: how far around",
            "around",
            state.choice("around", found["taus"][3], state.nearest(found["taus"])),
            options=found["taus"],
            help="The radius within which RURK looks for copies that are still recognised.",
        )
    radii = found["radii"]
    with three:
        radius = state.bound(
            st.select_slider,
            "Judged on copies at radius",
            "at",
            state.choice("at", radii[-1], state.nearest(radii)),
            options=radii,
            help=help_of("radius"),
        )
    return weight, tau, radius


def trade_rows(found: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {
            "lambda": each["lambda"],
            "tau": each["tau"],
            "radius": r,
            "ratio_of_means": each["ratio"][i],
            "numerator": each["numerator"][i],
            "denominator": found["denominator"][i],
            **{name: each[name] for name in ("retain_accuracy", "test_accuracy", "unlearn_accuracy")},
        }
        for each in found["runs"]
        for i, r in enumerate(found["radii"])
    ]


def trade_figure(found: dict[str, Any], run: dict[str, Any], at: int) -> Any:
    import plotly.graph_objects as go

    looks, figure = plane_looks("rurk"), go.Figure()
    low, high = found["band"][at]
    figure.add_hrect(y0=low, y1=high, fillcolor="rgba(0,158,115,.2)", line_width=0)
    for tau in found["taus"]:
        line = [each for each in found["runs"] if each["tau"] == tau]
        chosen = tau == run["tau"]
        figure.add_scatter(
            x=[100 * each["retain_accuracy"] for each in line],
            y=[each["ratio"][at] for each in line],
            mode="lines+markers",
            line={"color": looks["unlearned"].colour if chosen else LEVEL, "width": 2.6 if chosen else 1},
            marker={"size": 8 if chosen else 5, "symbol": looks["unlearned"].symbol},
            opacity=1 if chosen else 0.55,
            customdata=[f"λ = {each['lambda']:g}, τ = {each['tau']:g}" for each in line],
            hovertemplate="%{customdata}<br>retain %{x:.2f}%, ratio %{y:.2f}<extra></extra>",
            name=f"RURK, τ = {tau:g}, λ rising",
            showlegend=chosen,
        )
    others = (
        ("original", found["original"]["retain_accuracy"], found["original"]["ratio"][at]),
        ("references", np.mean(found["retrained"]["retain_accuracy"]), 1.0),
    )
    for name, kept, ratio in others:
        look = looks[name]
        figure.add_scatter(
            x=[100 * kept],
            y=[ratio],
            mode="markers",
            marker={"size": 13, "symbol": look.symbol, "color": look.colour},
            name=look.title,
            hovertemplate=f"{look.title}<br>retain %{{x:.2f}}%, ratio %{{y:.2f}}<extra></extra>",
        )
    figure.add_scatter(
        x=[100 * run["retain_accuracy"]],
        y=[run["ratio"][at]],
        mode="markers",
        marker={
            "size": 19,
            "symbol": f"{looks['unlearned'].symbol}-open",
            "color": looks["unlearned"].colour,
            "line": {"width": 3},
        },
        name="chosen",
        hoverinfo="skip",
    )
    figure.update_xaxes(title="retain accuracy (%)", zeroline=False)
    figure.update_yaxes(title=f"ratio of means at radius {found['radii'][at]:g}", rangemode="tozero", zeroline=False)
    return lettered(figures.finished(figure, hovermode="closest"))


def radius_figure(found: dict[str, Any], run: dict[str, Any], radius: float) -> Any:
    looks, below = plane_looks("rurk"), found["denominator"]
    lines = []
    for look, values in ((looks["original"], found["original"]), (looks["unlearned"], run)):
        ratio = np.array([np.nan if value is None else value for value in values["ratio"]], float)
        hover = [
            f"{look.letter}: {u:,} / {v:,.0f} = {r:.2f}"
            for u, v, r in zip(values["numerator"], below, ratio, strict=True)
        ]
        lines.append(figures.Line(look, ratio, hover))
    low, high = (np.array([edge[i] for edge in found["band"]], float) for i in (0, 1))
    figure = figures.curve(
        found["radii"],
        lines,
        (low, high),
        radius,
        title="ratio of means over the forget set",
        across=tau_title(ATTACK),
        one=True,
    )
    return lettered(figure)
