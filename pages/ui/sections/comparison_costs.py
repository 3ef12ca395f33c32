"""What a method pays for forgetting: accuracy, time, memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go
import streamlit as st

from rurk_core.compare.columns import COLUMNS, RETRAIN
from ui import figures
from ui.figures.labels import beside, together
from ui.figures.look import GREEN, LEVEL, faded
from ui.sections.comparison import View, letters, picks
from ui.sections.comparison_curves import nothing
from ui.text import escape

Point = tuple[str, dict[str, Any], dict[str, Any]]
"""(model, cell of its test accuracy, cell of its residual knowledge)."""


def span_of(values: Sequence[float]) -> list[float]:
    """The range of an axis that holds all of them, with some room."""
    low, high = min(values), max(values)
    room = 0.07 * ((high - low) or 1.0)
    return [low - room, high + room]


def point_names(
    view: View, where: dict[str, tuple[float, float]], across: Sequence[float], up: Sequence[float]
) -> dict[str, tuple[str, str]]:
    """Model → (its letter, on which side of its point); of points that lie on each other the first names all."""
    names, (width, height) = list(where), (420, 330)  # pixels, about
    pixels = [
        (width * (x - across[0]) / (across[1] - across[0]), height * (y - up[0]) / (up[1] - up[0]))
        for x, y in where.values()
    ]
    groups = together(pixels, 9)
    texts = [" ".join(view.looks[names[at]].letter for at in group) for group in groups]
    sides = beside(pixels, [group[0] for group in groups], texts, 12)
    named = {names[group[0]]: (text, side) for group, text, side in zip(groups, texts, sides, strict=True)}
    return {name: named.get(name, ("", "top center")) for name in names}


def show_trade_off(view: View) -> None:
    """Accuracy against residual knowledge: what a method pays for forgetting."""
    st.header("Accuracy against residual knowledge", anchor=False)
    points = [
        (row["name"], row["cells"]["test_accuracy"], row["cells"]["residual"])
        for row in view.rows
        if row["cells"]["test_accuracy"] and row["cells"]["residual"]
    ]
    retrained = next((row["cells"]["test_accuracy"] for row in view.rows if row["name"] == RETRAIN), None)
    if not points or not retrained:
        st.caption(f"There is nothing to draw: {nothing(view, 'ratio_of_means')}.")
        return
    figure = trade_off_figure(view, points, retrained)
    figures.draw(figure, "trade_off", "trade-off", "Test accuracy against residual knowledge", on_pick=picks(view))
    letters(view, [name for name, *_ in points])
    st.html(
        '<div class="rk-see">See: the green square is Re-train, the patch around it how far re-trainings differ. '
        "Higher recognises more copies than re-trained models do, lower fewer; further left has lost accuracy."
        + (" Bars: one standard deviation over seeds." if any(a["sd"] for _, a, _ in points) else "")
        + "</div>"
    )
    rows = [
        {"model": view.looks[name].title, "test_accuracy": a["mean"], "test_accuracy_sd": a["sd"]}
        | {"residual_knowledge": r["mean"], "residual_knowledge_sd": r["sd"]}
        for name, a, r in points
    ]
    figures.download(rows, "trade-off", "trade_off_csv")


def trade_off_figure(view: View, points: Sequence[Point], retrained: dict[str, Any]) -> go.Figure:
    """Points with bars of one standard deviation, and the patch that re-trained models span."""
    figure = go.Figure()
    bands = [curve["bands"]["ratio_of_means"] for curve in view.comparison["curves"]]
    edges = [edge for band in bands for edge in (band["low"][-1], band["high"][-1])]
    edges = [edge for edge in edges if edge is not None] or [1.0]
    low, high = (100 * pick_(retrained["values"]) for pick_ in (min, max))
    figure.add_shape(
        type="rect", x0=low, x1=high, y0=min(edges), y1=max(edges), fillcolor=faded(GREEN, 0.2), line={"width": 0}
    )
    across = span_of(
        [100 * (a["mean"] + side * (a["sd"] or 0)) for _, a, _ in points for side in (-1, 1)] + [low, high]
    )
    up = span_of([r["mean"] + side * (r["sd"] or 0) for _, _, r in points for side in (-1, 1)] + [1.0, *edges])
    where = {name: (100 * a["mean"], r["mean"]) for name, a, r in points} | {RETRAIN: (100 * retrained["mean"], 1.0)}
    names = point_names(view, where, across, up)
    text, place = names[RETRAIN]
    figure.add_scatter(
        x=[100 * retrained["mean"]],
        y=[1.0],
        mode="markers+text",
        text=[text],
        textposition=place,
        textfont={"size": 11},
        marker={"symbol": "square", "size": 13, "color": GREEN},
        customdata=[[RETRAIN]],
        hovertemplate="Re-train, the target: %{x:.2f}%<extra></extra>",
    )
    for name, accuracy, residual in points:
        look = view.looks[name]
        text, place = names[name]
        bars = {"color": faded(look.colour, 0.5 * view.strength(name)), "thickness": 1, "width": 3}
        figure.add_scatter(
            x=[100 * accuracy["mean"]],
            y=[residual["mean"]],
            error_x={"array": [100 * (accuracy["sd"] or 0)], **bars},
            error_y={"array": [residual["sd"] or 0], **bars},
            mode="markers+text",
            text=[text],
            textposition=place,
            textfont={"size": 11},
            marker={"symbol": look.symbol, "size": 16 if name == view.chosen else 11, "color": look.colour},
            opacity=view.strength(name),
            customdata=[[name]],
            hovertemplate=f"{escape(look.title)}<br>test accuracy %{{x:.2f}}%<br>r̂ %{{y:.3f}}<extra></extra>",
        )
    figure.add_hline(y=1, line={"color": LEVEL, "width": 1})
    figure.update_xaxes(title="test accuracy (%)", zeroline=False, range=across)
    figure.update_yaxes(title="r̂ at the largest τ (ratio of means)", zeroline=False, range=up)
    figures.finished(figure, hovermode="closest").update_layout(showlegend=False, height=430, margin_t=12)
    return figure


def show_cost(view: View) -> None:
    st.header("What a method costs", anchor=False)
    rows = [row for row in view.rows if row["role"] == "unlearned" and row["cells"]["seconds"]]
    if not rows or "audit" in view.results[0]:
        st.caption("No run time was measured.")
        return
    share = all(row["cells"]["cost_share"] for row in rows)
    key, unit = ("cost_share", "% of one Re-train") if share else ("seconds", "seconds")
    scale = COLUMNS[key].scale
    rows.sort(key=lambda row: row["cells"][key]["mean"])
    said = []
    for row in rows:
        memory = row["cells"]["peak_memory_mb"]
        said.append(
            f"{row['cells']['seconds']['mean']:.3g} s"
            + (f", {memory['mean']:.0f} MB" if memory and memory["mean"] >= 0.5 else "")
        )
    figure = go.Figure()
    figure.add_bar(
        y=[
            f"<b>{escape(view.looks[row['name']].letter)}</b> {escape(view.looks[row['name']].title[:22])}"
            for row in rows
        ],
        x=[scale * row["cells"][key]["mean"] for row in rows],
        orientation="h",
        marker={
            "color": [view.looks[row["name"]].colour for row in rows],
            "opacity": [view.strength(row["name"]) for row in rows],
        },
        customdata=[[row["name"], text] for row, text in zip(rows, said, strict=True)],
        text=said,
        textposition="auto",
        insidetextanchor="start",
        insidetextfont={"color": [view.looks[row["name"]].ink for row in rows]},
        cliponaxis=False,
        hovertemplate="%{y}: %{x:.3g} " + unit + "<br>%{customdata[1]}<extra></extra>",
    )
    if share:
        figure.add_vline(x=100, line={"color": GREEN, "width": 2, "dash": "dash"}, layer="below")
    longest = max(scale * row["cells"][key]["mean"] for row in rows)
    figure.update_xaxes(title=unit, range=[0, 1.22 * max(longest, 100.0 if share else 0.0)], zeroline=False)
    figure.update_yaxes(autorange="reversed", showgrid=False)
    figures.finished(figure, hovermode="closest").update_layout(
        height=120 + 30 * len(rows), bargap=0.35, showlegend=False, margin_t=12
    )
    figures.draw(figure, "cost", "cost", "Run time of every method", on_pick=picks(view))
    st.html(
        '<div class="rk-see">See: run time of the method itself, without what it starts from'
        + ("; the dashed line is one Re-train, on the same machine" if share else "")
        + ". Memory is what the method took on top.</div>"
    )
    figures.download(
        [
            {"model": view.looks[row["name"]].title}
            | {name: (row["cells"][name] or {}).get("mean") for name in ("seconds", "cost_share", "peak_memory_mb")}
            for row in rows
        ],
        "cost",
        "cost_csv",
    )
