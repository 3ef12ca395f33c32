"""Re-recognition radii of a forget set, and membership signals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import streamlit as st

from rurk_core.measure.radius import NORMS
from rurk_core.perturb.copies import ATTACKS
from rurk_core.report.units import PIXELS
from ui import figures
from ui.figures.look import REFERENCES, Look
from ui.sections.whole_set_figures import GREY, KINDS, diagonal, figure_of
from ui.session import state
from ui.text import escape, plain

SIGNALS = {"SVC": "dot", "confidence": "solid", "LiRA": "dash", "RMIA": "dashdot"}
"""Signals that do not look at radii, with the dash of their line; all are grey, as they belong to no model: light on
the samples themselves, dark on their perturbed copies."""
DARK = "#3B4553"


def choose_radius(document: dict[str, Any]) -> tuple[str, str]:
    """How a change is measured, and how it was found."""
    first = "linf" if ATTACKS[document["attack"]].ball == "linf" else "l2"
    norm = state.choice("change", first, state.one_of(list(NORMS)))
    kind = state.choice("found", "strong", state.one_of(list(KINDS)))
    with st.container(horizontal=True, gap="medium"):
        for label, name, value, options in (
            ("Change measured as", "change", norm, NORMS),
            ("Found", "found", kind, KINDS),
        ):
            state.bound(
                st.segmented_control,
                label,
                name,
                value,
                options=list(options),
                format_func=options.__getitem__,
                required=True,
            )
    return norm, kind


def show_radii(document: dict[str, Any], norm: str, kind: str, looks: dict[str, Look], file: str) -> None:
    """Shares of the forget set that a model says the label of, over the size of a change, against the references."""
    from rurk_core.evidence.whole_words import beyond_words

    st.markdown("**Re-recognition radius**")
    found = document["radii"][norm]
    share = found["share"][kind]
    grid, values = share["grid"], {model: 100 * np.array(of) for model, of in share["models"].items()}
    references = [model for model in values if model.startswith("reference-") and model != document["method"]]
    if references:
        values[REFERENCES] = np.mean([values[model] for model in references], axis=0)
    lines = [
        figures.Line(looks[model], values[model], [f"{looks[model].letter}: {value:.1f}%" for value in values[model]])
        for model in dict.fromkeys(["original", REFERENCES, document["method"]])
        if model in values
    ]
    band = figures.span(np.array([values[model] for model in references]))
    figure = figures.curve(
        grid,
        lines,
        band,
        0.0,
        title="samples whose label is said (%)",
        across=f"{NORMS[norm]} ({PIXELS})<br>← brings the label back · takes it away →",
        top=100.0,
    )
    figures.draw(figure, "radii", f"radii-{file}-{norm}", "Samples whose label is said, over the size of a change")
    st.html(
        '<div class="rk-see">See: at 0 the samples themselves; left of it those that come back within such a change '
        "(the re-recognition radius), right of it those that no change found of that size takes away. Above the green "
        "band a model holds samples more firmly than re-trained ones do. Radii are upper bounds: a smaller change may "
        f"exist. {escape(beyond_words(found, len(document['samples'])))}</div>"
    )
    rows = [
        {"model": looks[model].title, "norm": norm, "found": KINDS[kind], "change": change, "samples": value / 100}
        for model in share["models"]
        for change, value in zip(grid, values[model].tolist(), strict=True)
    ]
    figures.download(rows, f"radii-{file}-{norm}", "radii_csv")


def show_signals(document: dict[str, Any], norm: str, look: Look, file: str) -> None:
    """ROC curves of membership signals, and a table of them."""
    st.markdown("**Membership signals**")
    signals = document["membership"]
    if signals is None:
        st.caption(plain(document["missing"]["membership"]))
        return
    shown = [signal for signal in signals if not signal["name"].startswith("radius") or signal["name"].endswith(norm)]
    traces = [diagonal(0, 100)]
    for signal in shown:
        own = signal["name"].startswith("radius")
        name, _, copies = signal["name"].partition(", ")
        dash = SIGNALS.get(name, "dash" if "per sample" in name else "solid")
        colour = look.colour if own else DARK if copies else GREY
        x, y = (100 * np.array(axis) for axis in signal["curve"])
        traces.append(
            {
                "type": "scatter",
                "x": x,
                "y": y,
                "name": signal_title(signal["name"]),
                "mode": "lines",
                "line": {"color": colour, "dash": dash, "width": 3 if own else 2, "shape": "hv"},
                "hovertemplate": "%{y:.1f}%",
            }
        )
    figure = figure_of(
        traces,
        "re-trained models’ samples accused (%)",
        "this model’s samples accused (%)",
        "x unified",
        range=[-1, 101],
    )
    figures.draw(figure, "signals", f"signals-{file}-{norm}", "ROC curves of membership signals")
    st.html(
        '<div class="rk-see">See: on the diagonal a signal cannot tell the model from re-trained ones (AUC 0.5); above '
        "it the model is more familiar with the samples than they are, below it less: over-forgetting gives samples "
        "away too. The radius alone is in the model’s colour; light lines are of the samples, dark ones of their "
        "perturbed copies.</div>"
    )
    st.html(signal_table(shown))
    if "membership" in document["missing"]:
        st.caption(plain(document["missing"]["membership"]))
    rows = [
        {"signal": signal["name"], "false_positive_rate": x, "true_positive_rate": y}
        for signal in signals
        for x, y in zip(*signal["curve"], strict=True)
    ]
    figures.download(rows, f"signals-{file}", "signals_csv")


def signal_title(name: str) -> str:
    """ "radius per sample, linf" → "Radius per sample", "RMIA, copies" as it is."""
    words = name if name.endswith(", copies") else name.partition(",")[0]
    return words[0].upper() + words[1:]


def signal_table(signals: Sequence[dict[str, Any]]) -> str:
    """AUC with interval, re-trained models' own, what low rates leave, and the models behind each rule, as HTML."""
    rows = []
    for signal in signals:
        point = signal["tpr"][-1]
        rate = f"{100 * point['tpr']:.1f}%" + ("" if point["resolved"] else f" at 0 of {signal['negatives']:,}")
        behind = f"{signal['inside']} in, {signal['outside']} out" if signal["outside"] else "–"
        interval = "" if signal["low"] is None else f"{signal['low']:.2f} – {signal['high']:.2f}"
        each = signal["references"]
        between = f"{min(each):.2f} – {max(each):.2f}" if each else "–"
        rows.append(
            f"<tr><td>{escape(signal_title(signal['name']))}</td><td class='num'><b>{signal['auc']:.2f}</b> "
            f"<span class='quiet'>{interval}</span></td><td class='num rk-wide'>{between}</td>"
            f"<td class='num'>{rate}</td>"
            f"<td class='num rk-wide'>{behind}</td></tr>"
        )
    head = (
        "<tr><th>signal</th><th>AUC, 95% interval</th><th class='rk-wide'>re-trained</th><th>accused at 1%</th>"
        "<th class='rk-wide'>models behind the rule</th></tr>"
    )
    return (
        f"<div class='rk-scroll'><table class='rk-table'>{head}{''.join(rows)}</table></div>"
        "<div class='rk-see rk-below'>The interval knows that models differ as a whole: an honest re-training’s holds "
        "0.5 in 95%. Re-trained: the AUC of each against the others, lowest and highest. Models behind the rule: “in” "
        "saw the samples and unlearned them by this method "
        "(other seeds in the store), “out” never saw them. With fewer than two in, only the other side is known.</div>"
    )
