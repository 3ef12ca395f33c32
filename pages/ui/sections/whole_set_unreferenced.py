"""The forget set against held-out samples, without re-trained models."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import streamlit as st

from ui import figures
from ui.figures.look import Look
from ui.sections.whole_set_figures import GREY, figure_of
from ui.text import escape, plain


def show_unreferenced(document: dict[str, Any], look: Look, file: str) -> None:
    from rurk_core.evidence.whole_words import unreferenced_words

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
    """The excess over held-out samples against that over re-trained models, each in its own unit."""
    marks = {
        "type": "scatter",
        "x": [row["calibrated"] for row in rows],
        "y": [100 * (row["recognised"] - row["expected"]) for row in rows],
        "mode": "markers",
        "name": escape(look.title),
        "marker": {"color": look.colour, "symbol": look.symbol, "size": 8, "opacity": 0.75},
        "customdata": [[row["sample"]] for row in rows],
        "hovertemplate": "sample %{customdata[0]}: log-odds %{x:+.1f} beyond re-trained models, %{y:+.1f} % of the "
        "copies beyond held-out samples<extra></extra>",
    }
    figure = figure_of(
        [marks],
        "beyond re-trained models (log-odds of the label)",
        "beyond held-out samples (% of the copies)",
        "closest",
        zeroline=True,
        zerolinecolor=GREY,
    )
    figures.draw(figure, "weaker", f"held-out-{file}", "Excess by held-out and by re-trained")
    st.html(
        '<div class="rk-see">See: one mark per sample to forget. At the upper right and lower left of the two lines '
        "through 0 both say the same, recognised more or recognised less than without having seen it; in the two other "
        "corners they contradict each other. The units differ, so the sizes cannot be compared.</div>"
    )
