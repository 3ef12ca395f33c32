"""Recognition over the radius: curves of the models with the span of the re-trained ones."""

from __future__ import annotations

from typing import Any

import numpy as np
import streamlit as st

from rurk_core.measure.residual import reference_band, residual_knowledge
from rurk_core.report.units import tau_title
from ui import figures
from ui.figures.look import REFERENCES, Look
from ui.session.view import View
from ui.text import number


def show_curve(view: View, shown: list[str]) -> None:
    """Copies recognised, or r̂, of the sample or of the whole set."""
    v = view.verdicts
    st.subheader("Over all radii", anchor=False)
    whole, ratio = _choose(view)
    places = list(range(len(v.samples))) if whole else [view.place]
    each, trials = v.reference_recognised()[:, places].sum(1), v.draws * len(places)
    if ratio and not len(each):
        st.caption("r̂ compares with re-trained models, and there is none.")
        return
    counts = {
        name: each.mean(0) if name == REFERENCES else v.recognised(name)[places].sum(0)
        for name in shown
        if not (ratio and name == REFERENCES)
    }
    if not counts:
        st.caption("Choose a model above to see its curve.")
        return
    across = tau_title(v.attack)
    if ratio:
        band = reference_band(v.reference_recognised()[:, places]) if len(each) > 1 else None
        lines = [_ratio_line(view.looks[name], u, each.mean(0)) for name, u in counts.items()]
        title = "r̂ = model / mean of re-trained"
        figure = figures.curve(v.taus.tolist(), lines, band, view.tau, title=title, across=across, one=True)
    else:
        of_each = [(view.looks[name], u) for name, u in counts.items()]
        figure, _ = figures.recognised(v.taus.tolist(), of_each, figures.span(each), view.tau, trials, across=across)
    name = f"curve-{'all' if whole else view.sample}"
    figures.draw(figure, "curve", name, "Curves over the radius")
    st.html(f'<div class="rk-see">{_see(ratio, whole, each)}</div>')
    figures.download(_rows(view, counts, each, trials), name, "curve_csv")


def _choose(view: View) -> tuple[bool, bool]:
    """(whether of the whole set, whether as ratios)."""
    scope = "sample"
    options: dict[str, Any] = {"required": True, "persist_state": "session", "label_visibility": "collapsed"}
    with st.container(horizontal=True, gap="small"):
        if view.measured:
            scope = st.segmented_control(
                "Of",
                ["sample", "set"],
                format_func={"sample": "this sample", "set": f"all {len(view.verdicts.samples)} samples"}.__getitem__,
                default="sample",
                key="curve_scope",
                **options,
            )
        what = st.segmented_control(
            "Show",
            ["copies", "ratio"],
            format_func={"copies": "copies recognised", "ratio": "r̂"}.__getitem__,
            default="copies",
            key="curve_what",
            **options,
        )
    return scope == "set", what == "ratio"


def _ratio_line(look: Look, counts: np.ndarray, below: np.ndarray) -> figures.Line:
    ratio = residual_knowledge(counts, below)
    hover = [
        f"{look.letter}: {number(a)} / " + (f"{number(b)} = {r:.2f}" if b > 0 else "0: undefined")
        for a, b, r in zip(counts, below, ratio, strict=True)
    ]
    return figures.Line(look, ratio, hover)


def _see(ratio: bool, whole: bool, each: np.ndarray) -> str:
    if not ratio:
        band = "The green band spans the re-trained models that there are; whether" if len(each) > 1 else "Whether"
        return (
            f"See: how far from the sample each model still recognises it. {band} a model is beyond re-training is "
            "what the finding says."
        )
    see = (
        "See: above 1 the model recognises more copies than the re-trained ones on average, below 1 fewer. The band is "
        "how far the re-trained models differ from each other; the finding says what that amounts to."
    )
    if whole:
        see += " The ratio is of sums over the set (ratio of means)."
    if undefined := int((each.sum(0) == 0).sum()):
        see += (
            f" At {undefined} of {each.shape[1]} radii no re-trained model recognises any copy: r̂ is undefined there."
        )
    return see


def _rows(view: View, counts: dict[str, np.ndarray], each: np.ndarray, trials: int) -> list[dict[str, Any]]:
    """The numbers behind the curves; what needs re-trained models is empty where there are none."""
    rows = []
    for name, own in counts.items():
        for at, (tau, u) in enumerate(zip(view.verdicts.taus, own, strict=True)):
            row = {"tau": float(tau), "model": view.looks[name].title, "recognised": float(u), "of": trials}
            row |= dict.fromkeys(("retrained_mean", "retrained_lowest", "retrained_highest", "ratio"), "")
            if len(each):
                mean = float(each[:, at].mean())
                row |= {"retrained_mean": mean, "retrained_lowest": int(each[:, at].min())}
                row |= {"retrained_highest": int(each[:, at].max()), "ratio": float(u) / mean if mean else ""}
            rows.append(row)
    return rows
