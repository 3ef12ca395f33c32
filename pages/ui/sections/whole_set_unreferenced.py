"""The forget set against held-out samples, without re-trained models."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import streamlit as st

from ui import figures
from ui.figures.look import Look
from ui.sections.whole_set_figures import diagonal, figure_of
from ui.text import escape, plain


def show_unreferenced(document: dict[str, Any], look: Look, file: str) -> None:
    from rurk_core.evidence.words import unreferenced_words

    found = document["unreferenced"]
    if found is None:
        st.caption(plain(document["missing"]["unreferenced"]))
        return
    answer, worth = unreferenced_words(found)
    rows = [row for row in found["samples"] if row["expected"] is not None]
    one, two = st.columns([1, 1.15], gap="large")
    with two:
        st.markdown(plain(answer))
        st.markdown(f"**What that is worth.** {plain(worth)}")
    with one:
        if found["agreement"] is not None and rows:
            show_agreement(rows, look, file)
        figures.download(found["samples"], f"held-out-{file}", "weaker_csv")


def show_agreement(rows: Sequence[dict[str, Any]], look: Look, file: str) -> None:
    """The excess over held-out samples against that over re-trained models."""
    x = [row["calibrated"] for row in rows]
    y = [100 * (row["recognised"] - row["expected"]) for row in rows]
    marks = {
        "type": "scatter",
        "x": x,
        "y": y,
        "mode": "markers",
        "name": escape(look.title),
        "marker": {"color": look.colour, "symbol": look.symbol, "size": 8, "opacity": 0.75},
        "customdata": [[row["sample"]] for row in rows],
        "hovertemplate": "sample %{customdata[0]}: %{x:+.1f} and %{y:+.1f} points<extra></extra>",
    }
    figure = figure_of(
        [diagonal(min(*x, *y), max(*x, *y), "the same"), marks],
        "excess over re-trained models (log-odds)",
        "excess over held-out samples (points)",
        "closest",
    )
    figures.draw(figure, "weaker", f"held-out-{file}", "Excess by held-out and by re-trained")
    st.html(
        '<div class="rk-see">See: one mark per sample to forget; the further from the line, the less held-out samples '
        "can stand in for re-trained models.</div>"
    )
