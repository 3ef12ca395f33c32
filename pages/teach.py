"""Teach: four pictures for a class, each with one thing to see and one thing to try."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st
from ui import figures, state
from ui.field import field
from ui.forgetting import indices_rule
from ui.glossary import help_of
from ui.look import REFERENCES, Look, looks_of
from ui.runs import start, watch
from ui.state import plain

from rurk_core.data.forget import parse_indices
from rurk_core.errors import RurkError
from rurk_core.theory import adversarial_failure, share_near_disagreement, share_near_disagreement_bound

SHIPPED = Path(__file__).parents[1] / "assets" / "teaching"
PANELS = {
    "moons": "Two moons",
    "iris": "Irises",
    "sphere": "Why it is inevitable",
    "tradeoff": "What RURK trades",
}
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
NEAR = 0.08
"""Radius of the ball at first, in the plane of a lesson."""
METHODS_SHOWN = ("gd", "neggrad_plus", "rurk")
LARGE = """<style>
html { font-size: 21px !important; }
.stMainBlockContainer { max-width: 1800px !important; }
.rk-see { font-size: 1.05rem !important; max-width: none !important; }
</style>"""


def said(see: str, ask: str) -> None:
    """What to see in a panel, and a question to try."""
    st.html(f'<div class="rk-see rk-below"><b>See:</b> {see}</div><div class="rk-see rk-below"><b>Try:</b> {ask}</div>')


def large() -> bool:
    return state.choice("type", "usual", state.one_of(("usual", "large"))) == "large"


# --- lessons in the plane -----------------------------------------------------------------------------------


@st.cache_resource(max_entries=24, show_spinner=False)
def shipped(plane: str, method: str) -> Any:
    """A lesson that came with the app."""
    from rurk_core.teaching import lesson_from_bytes

    return lesson_from_bytes((SHIPPED / f"{plane}-{method}.bin").read_bytes())


@st.cache_resource(max_entries=24, show_spinner=False)
def stored(url: str, key: str) -> Any:
    """A lesson that was made on demand."""
    from rurk_core.teaching import load_lesson

    return load_lesson(state.store(), key)


def plane_looks(method: str) -> dict[str, Look]:
    """Looks as everywhere; the lesson's re-trained models are drawn together."""
    rows = [{"name": "original", "role": "original"}, {"name": method, "role": "unlearned", "method": method}]
    looks = looks_of([*rows, *({"name": f"reference-{k}", "role": "reference"} for k in (1, 2, 3))])
    together = replace(looks[REFERENCES], title="Re-trained, 3 times")
    return {"original": looks["original"], "references": together, "unlearned": looks[method]}


def moons() -> None:
    from rurk_core.teaching import checked_points, find_plane, lesson_key, telling_point
    from rurk_core.unlearning import METHODS

    st.subheader("Watch a model forget", anchor=False)
    plane = find_plane("moons")
    n = len(plane.labels)

    def valid(text: str) -> tuple[int, ...]:
        return checked_points(plane, parse_indices(text, limit=n))

    methods = [key for key in METHODS if key != "retrain"]
    method = state.choice("by", "gd", state.one_of(methods))
    chosen = state.choice("points", plane.forget, valid)
    one, two = st.columns([1, 2], gap="medium", vertical_alignment="bottom")
    with one:
        state.bound(
            st.selectbox,
            "Unlearning method",
            "by",
            method,
            options=methods,
            format_func=lambda key: METHODS[key].title,
            help=f"{METHODS[method].title}: {METHODS[method].summary}.",
        )
    key, spec = lesson_key({"plane": "moons", "method": method, "forget": list(chosen)})
    came = chosen == plane.forget and method in METHODS_SHOWN
    made = came or state.store().has(key)
    with two:
        ready(key, spec, made, METHODS[method].title, chosen, plane.forget)
    instead = method if method in METHODS_SHOWN else "gd"
    lesson = shipped("moons", method) if came else stored(state.store().url, key) if made else shipped("moons", instead)
    picked = field(
        "moons",
        lesson,
        plane_looks(lesson.method),
        label="Two moons in the plane, with the borders that three kinds of models draw between them",
        look_at=telling_point(lesson, NEAR),
        play=True,
        choose=True,
        chosen=chosen,
    )
    if picked is not None and tuple(picked) != chosen:
        choose_points(plane, picked)
    said(
        "the orange border leaves the blue one (Original) and moves towards the green ones (re-trained). Where it "
        "stops "
        "short, filled dots remain in the ball around a forgotten point: residual knowledge.",
        "choose NegGrad+ or RURK above and play again: which one stops short, which overshoots? Then choose other "
        "points "
        "to forget, and guess the border before you unlearn them.",
    )


def choose_points(plane: Any, picked: list[int]) -> None:
    """What was clicked in the picture becomes the choice, or a sentence says why it cannot."""
    from rurk_core.teaching import checked_points

    try:
        checked_points(plane, picked)
    except RurkError as error:
        state.show(error)
        return
    state.choose("points", indices_rule(picked).removeprefix("indices:"))
    st.rerun()


def ready(
    key: str, spec: dict[str, Any], made: bool, title: str, chosen: tuple[int, ...], first: tuple[int, ...]
) -> None:
    """Whether the lesson asked for is there; a button that makes it, its progress, and a way back."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        if not made and "lesson_job" not in st.session_state:
            if st.button(
                f"Unlearn these {len(chosen)} points with {title}",
                type="primary",
                icon=":material/play_arrow:",
                key="make",
            ):
                try:
                    # a queue of its own: seconds of work need not wait for an experiment
                    st.session_state["lesson_job"] = start(
                        spec | {"title": "A lesson in the plane"}, device="lesson", kind="lesson"
                    )
                except RurkError as error:
                    state.show(error)
                st.rerun()
            st.caption("A few seconds. Until then the picture shows the lesson that came with the app.")
        elif made:
            st.markdown(f"**{len(chosen)}** points forgotten with **{plain(title)}**", width="content")
        if chosen != first:
            st.button(
                "Back to the first choice",
                on_click=lambda: state.choose("points", ""),
                icon=":material/undo:",
                key="first_points",
            )
    watch("lesson_job")


def iris() -> None:
    from rurk_core.teaching import telling_point

    st.subheader("Figure 1 of the paper: seven irises forgotten by gradient descent", anchor=False)
    lesson = shipped("iris", "gd")
    field(
        "iris",
        lesson,
        plane_looks("gd"),
        label="Irises by petal length and width, with the borders that three kinds of models draw between the species",
        look_at=telling_point(lesson, NEAR),
    )
    said(
        "around this forgotten iris the unlearned model still recognises more copies than any re-trained model does: "
        "residual knowledge, in a network of one hidden layer.",
        "click the other six irises with a thick ring: around which of them could nobody tell that it was ever "
        "unlearned?",
    )
    st.caption(
        "One hidden layer of 100 units on two of Iris’ four measurements, so that what is drawn is all that the "
        "network "
        "sees; seven of 150 forgotten over the three species, GD on the others."
    )


# --- the sphere ---------------------------------------------------------------------------------------------


def sphere() -> None:
    st.subheader("Why some disagreement is always near", anchor=False)
    one, two, three = st.columns(3, gap="large")
    with one:
        d = state.bound(
            st.select_slider,
            "Dimensions d",
            "d",
            state.choice("d", 3, state.whole_of(list(DIMENSIONS))),
            options=list(DIMENSIONS),
            format_func=DIMENSIONS.get,
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
        "equator, "
        "so a short walk from almost anywhere crosses the border of the disagreement.",
        "let the models disagree on only 0.1% of the sphere. At which d is a walk of τ = 0.1 enough to meet it from "
        "nearly "
        "everywhere?",
    )
    rows = [
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
    figures.download(rows, "near-disagreement", "sphere_csv")
    certificate()


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
    from rurk_core.theory import cap_angle

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
        f'fill="{"#D55E00" if a <= reach else "#8B95A5"}"/>'
        for a, s, r in zip(angle, side, radius, strict=True)
    )
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 260 260">'
        '<circle cx="130" cy="130" r="84" fill="#8B95A5" fill-opacity=".16"/>'
        f"{wedge(reach, '#E69F00', 0.55)}{wedge(own, '#D55E00', 0.85)}"
        '<circle cx="130" cy="130" r="84" fill="none" stroke="#8B95A5" stroke-width="1.5"/>'
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
                line={"color": "#8B95A5", "width": 1},
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
    figure.add_vline(x=tau, line={"color": "#8B95A5", "width": 1.5, "dash": "dot"})
    figure.update_xaxes(title="distance τ on the unit sphere (radians)", zeroline=False)
    figure.update_yaxes(title="points within τ of a disagreement (%)", range=[-2, 104], zeroline=False)
    return lettered(figures.finished(figure, hovermode="x unified"))


def lettered(figure: Any) -> Any:
    """The figure with letters as large as the page's."""
    return figure.update_layout(font={"size": 20}, height=520, margin={"t": 60}) if large() else figure


# --- λ and τ of RURK ----------------------------------------------------------------------------------------


@st.cache_resource(show_spinner=False)
def grid_of_runs() -> dict[str, Any]:
    return json.loads((SHIPPED / "tradeoff.json").read_text())


def tradeoff() -> None:
    found = grid_of_runs()
    st.subheader("How hard to push, and how far around", anchor=False)
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
    rows = [
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
        for i, r in enumerate(radii)
    ]
    figures.download(rows, "rurk-trade-off", "trade_csv")


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
            line={"color": looks["unlearned"].colour if chosen else "#8B95A5", "width": 2.6 if chosen else 1},
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
    low, high = np.array(found["band"], float).T
    figure = figures.curve(
        found["radii"], lines, (low, high), radius, title="ratio of means over the forget set", one=True
    )
    return lettered(figure)


def main() -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        st.title("Teach", anchor=False, width="stretch")
        big = st.toggle(
            "Large type",
            value=large(),
            key="large_type",
            help="For a projector.",
            on_change=lambda: state.choose("type", "large" if st.session_state["large_type"] else "usual"),
        )
    if big:
        st.html(LARGE)
    panel = state.bound(
        st.segmented_control,
        "Panel",
        "panel",
        state.choice("panel", "moons", state.one_of(list(PANELS)), always=True),
        options=list(PANELS),
        format_func=PANELS.get,
        required=True,
        label_visibility="collapsed",
    )
    {"moons": moons, "iris": iris, "sphere": sphere, "tradeoff": tradeoff}[panel]()


main()
