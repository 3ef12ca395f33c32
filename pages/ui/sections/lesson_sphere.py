"""Why two models nearly always disagree somewhere near: Props. 1 and 2 of the paper."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import streamlit as st

from rurk_core.perturb.theory import adversarial_failure, share_near_disagreement, share_near_disagreement_bound
from ui import figures
from ui.figures.look import LEVEL
from ui.sections.lesson import lettered, said
from ui.session import state

DIMENSIONS = {
    2: "2 (a circle)",
    3: "3 (a ball)",
    5: "5",
    10: "10",
    30: "30",
    64: "64 (a handwritten digit)",
    300: "300",
    784: "784 (MNIST)",
    3072: "3,072 (CIFAR-10)",
    150_528: "150,528 (ImageNet)",
}


def sphere() -> None:
    st.header("Why some disagreement is always near", anchor=False)
    d, tau, disagree = choose_sphere()
    exact = float(share_near_disagreement(d, tau, disagree))
    bound = max(0.0, float(share_near_disagreement_bound(d, tau)))
    left, right = st.columns([1, 2], gap="large", vertical_alignment="center")
    with left:
        st.image(
            globe(d, tau, disagree),
            width="stretch",
            alt=f"A sphere in {d} dimensions seen from the side: {100 * disagree:g}% disagreement, and all within τ "
            f"of it",
        )
        st.html(
            '<div class="rk-key rk-chips"><span><i style="background:#D55E00"></i>the models disagree</span>'
            '<span><i style="background:#E8C069"></i>within τ of that</span>'
            '<span class="rk-quiet">dots: random points, by their distance from the pole on the right</span></div>'
        )
    with right:
        also = f" Prop. 2 promises at least <b>{digits(bound)}</b>." if disagree == 0.5 else ""
        st.html(
            f'<div class="rk-head">In {d:,} dimensions <b>{digits(exact)}</b> of all points are within τ = {tau:g} '
            f"of a "
            f"point where the two models disagree.{also}</div>"
        )
        figures.draw(sphere_figure(d, tau, disagree), "sphere", "near-disagreement", "Share of points against distance")
    said(
        "the more dimensions, the steeper the curve. Nearly all points of a high-dimensional sphere lie along its "
        "equator, so a short walk from almost anywhere crosses the border of the disagreement.",
        "let the models disagree on only 0.1% of the sphere. At which d is a walk of τ = 0.1 enough to meet it from "
        "nearly everywhere?",
    )
    figures.download(sphere_rows(disagree), "near-disagreement", "sphere_csv")
    certificate()


def choose_sphere() -> tuple[int, float, float]:
    """(dimensions, distance, share of the sphere on which the models disagree)."""
    one, two, three = st.columns(3, gap="large")
    with one:
        d = state.bound(
            st.select_slider,
            "Dimensions d",
            "d",
            state.choice("d", 3, state.whole_of(list(DIMENSIONS))),
            options=list(DIMENSIONS),
            format_func=DIMENSIONS.__getitem__,
            help="Values of a sample: pixels times colours.",
        )
    with two:
        taus = [round(0.02 * i, 2) for i in range(51)]
        tau = state.bound(
            st.select_slider,
            "Distance τ",
            "arc",
            state.choice("arc", 0.2, state.nearest(taus)),
            options=taus,
            help="How far one may walk on the unit sphere, as an angle in radians (1 is 57°).",
        )
    with three:
        shares = [0.001, 0.01, 0.1, 0.5]
        disagree = state.bound(
            st.select_slider,
            "Models disagree on",
            "disagree",
            state.choice("disagree", 0.5, state.nearest(shares)),
            options=shares,
            format_func=lambda share: f"{100 * share:g}% of the sphere",
        )
    return d, tau, disagree


def sphere_rows(disagree: float) -> list[dict[str, Any]]:
    """Exact share and bound over the distance, for every number of dimensions."""
    return [
        {
            "dimensions": dimension,
            "tau": float(t),
            "disagree": disagree,
            "exact_share": float(share_near_disagreement(dimension, t, disagree)),
            "bound_prop_2": float(share_near_disagreement_bound(dimension, t)) if disagree == 0.5 else "",
        }
        for dimension in DIMENSIONS
        for t in np.linspace(0, 1, 51)
    ]


def certificate() -> None:
    with st.expander("What a certificate promises, and what it does not (Prop. 1)", icon=":material/verified:"):
        one, two = st.columns(2, gap="large")
        epsilon = one.slider("ε of the certificate", 0.05, 5.0, 1.0, 0.05, key="epsilon")
        power = two.slider("δ of the certificate, as a power of ten", -10, -1, -5, key="delta")
        failure = float(adversarial_failure(epsilon, 10.0**power))
        st.html(
            f'<div class="rk-head">Models that are (ε = {epsilon:g}, δ = 10<sup>{power}</sup>)-indistinguishable may '
            f"be told apart twice as well on adversarial examples, by <b>2ε = {2 * epsilon:g}</b>, and with chance "
            f"2δ / (1 − e<sup>−ε</sup>) = <b>{failure:.2g}</b> even that does not hold.</div>"
        )


def digits(share: float) -> str:
    """A share as a percentage with as many digits as its distance from 100% needs.

    >>> digits(0.5), digits(0.99999)
    ('50.0%', '99.9990%')
    """
    rest = 1 - share
    places = 1 if rest > 0.01 else min(8, 1 - math.floor(math.log10(rest)) - 1) if rest > 1e-10 else 8
    return f"{100 * share:.{places}f}%"


def globe(d: int, tau: float, disagree: float) -> str:
    """A sphere from the side as SVG: the disagreement, all within τ of it, and where random points lie."""
    from rurk_core.perturb.theory import cap_angle

    own = float(cap_angle(d, disagree))
    reach = min(math.pi, own + tau)
    # angles from the pole on the right; a random point's is that of its first coordinate
    points = np.random.default_rng(0).normal(size=(260, min(d, 400)))
    angle = np.arccos(points[:, 0] / np.linalg.norm(points, axis=1))
    if d > 400:  # the spread of the angle shrinks as 1/√d
        angle = math.pi / 2 + (angle - math.pi / 2) * math.sqrt(400 / d)
    side = np.where(np.random.default_rng(1).random(len(angle)) < 0.5, 1, -1)
    radius = 96 + 9 * np.random.default_rng(2).normal(size=len(angle)).clip(-1.4, 1.4)

    def wedge(to: float, colour: str, opacity: float) -> str:
        x, y = 130 + 84 * math.cos(to), 84 * math.sin(to)
        flat = 1 if to > math.pi / 2 else 0
        shape = f"M {x:.1f} {130 - y:.1f} A 84 84 0 {flat} 1 {x:.1f} {130 + y:.1f} Z"
        if to > math.pi - 1e-3:
            shape = "M 214 130 A 84 84 0 1 1 46 130 A 84 84 0 1 1 214 130 Z"
        return f'<path d="{shape}" fill="{colour}" fill-opacity="{opacity}"/>'

    dots = "".join(
        f'<circle cx="{130 + r * math.cos(a):.1f}" cy="{130 - s * r * math.sin(a):.1f}" r="2.1" '
        f'fill="{"#D55E00" if a <= reach else LEVEL}"/>'
        for a, s, r in zip(angle, side, radius, strict=True)
    )
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 260 260">'
        f'<circle cx="130" cy="130" r="84" fill="{LEVEL}" fill-opacity=".16"/>'
        f"{wedge(reach, '#E69F00', 0.55)}{wedge(own, '#D55E00', 0.85)}"
        f'<circle cx="130" cy="130" r="84" fill="none" stroke="{LEVEL}" stroke-width="1.5"/>'
        f"{dots}"
        "</svg>"
    )


def sphere_figure(d: int, tau: float, disagree: float) -> Any:
    import plotly.graph_objects as go

    figure, walk = go.Figure(), np.linspace(0, 1, 201)
    for other in (2, 3, 10, 64, 784, 3072):
        if other != d:
            figure.add_scatter(
                x=walk,
                y=100 * share_near_disagreement(other, walk, disagree),
                mode="lines",
                line={"color": LEVEL, "width": 1},
                opacity=0.6,
                name=f"d = {other:,}",
                showlegend=False,
                hovertemplate=f"d = {other:,}: %{{y:.2f}}%<extra></extra>",
            )
    figure.add_scatter(
        x=walk,
        y=100 * share_near_disagreement(d, walk, disagree),
        mode="lines",
        line={"color": "#D55E00", "width": 3.2},
        name=f"exact, d = {d:,}",
        hovertemplate="exact: %{y:.4f}%<extra></extra>",
    )
    if disagree == 0.5:
        figure.add_scatter(
            x=walk,
            y=100 * share_near_disagreement_bound(d, walk).clip(0),
            mode="lines",
            line={"color": "#0072B2", "width": 2.4, "dash": "dash"},
            name="bound of Prop. 2",
            hovertemplate="bound: %{y:.4f}%<extra></extra>",
        )
    figure.add_vline(x=tau, line={"color": LEVEL, "width": 1.5, "dash": "dot"})
    figure.update_xaxes(title="distance τ on the unit sphere (radians)", zeroline=False)
    figure.update_yaxes(title="points within τ of a disagreement (%)", range=[-2, 104], zeroline=False)
    return lettered(figures.finished(figure, hovermode="x unified"))
