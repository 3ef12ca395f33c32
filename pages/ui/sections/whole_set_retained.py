"""Retained samples: who of those who stayed has changed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import streamlit as st

from rurk_core.evidence.numbers import signed
from ui import figures
from ui.components.tiles import sample_tiles
from ui.figures.look import Look
from ui.sections.whole_set_figures import GREY, figure_of
from ui.text import escape, plain

LISTED = 12
SHOWN = 60


def show_retained(
    document: dict[str, Any], run: str, result: dict[str, Any], dataset: Any, look: Look, file: str
) -> None:
    from rurk_core.evidence.whole_words import changes, retained_words

    retained = document["retained"]
    if retained is None:
        st.caption(plain(document["missing"]["retained"]))
        return
    changed = set(retained["changed"])
    rows = [row for row in retained["samples"] if row["sample"] in changed]
    words = {row["sample"]: changes(row, retained["rate"]) for row in retained["samples"]}
    st.markdown(plain(retained_words(retained)))
    one, two = st.columns([1, 1.15], gap="large")
    with one:
        show_distance(retained, look, file)
    with two:
        if rows:
            show_changed(rows, words, document, run, result, dataset)
    figures.download(
        [retained_row(row, words[row["sample"]], result) for row in retained["samples"]],
        f"retained-{file}",
        "retained_csv",
    )


def show_distance(retained: dict[str, Any], look: Look, file: str) -> None:
    """Does it happen near the forget set? Log-odds beyond re-training over the distance to it."""
    changed = set(retained["changed"])
    traces = []
    for title, colour, symbol, of in (
        ("within the spread", GREY, "circle-open", lambda row: row["sample"] not in changed),
        ("changed", look.colour, look.symbol, lambda row: row["sample"] in changed),
    ):
        rows = [row for row in retained["samples"] if of(row)]
        traces.append(
            {
                "showlegend": bool(rows),
                "type": "scatter",
                "x": [row["distance"] for row in rows],
                "y": [row["log_odds"] - row["expected"] for row in rows],
                "name": title,
                "mode": "markers",
                "marker": {"color": colour, "symbol": symbol, "size": 9},
                "customdata": [[row["sample"], row["nearest"]] for row in rows],
                "hovertemplate": "sample %{customdata[0]}, near %{customdata[1]}<br>%{y:+.2f} log-odds<extra></extra>",
            }
        )
    figure = figure_of(
        traces,
        "distance to the nearest forgotten sample<br>(1 − cosine of features)",
        "log-odds beyond re-training",
        "closest",
    )
    figure.update_yaxes(zeroline=True, zerolinecolor=GREY, zerolinewidth=1)
    figures.draw(figure, "stayed", f"retained-{file}", "Retained samples: change over distance")
    st.html(
        '<div class="rk-see">See: below the line a sample that was to stay is recognised less than after re-training; '
        "if the coloured marks lie on the left, unlearning harmed the neighbours of what it forgot.</div>"
    )


def show_changed(
    rows: Sequence[dict[str, Any]],
    words: dict[int, list[str]],
    document: dict[str, Any],
    run: str,
    result: dict[str, Any],
    dataset: Any,
) -> None:
    """Pictures that lead to their neighbourhoods, nearest to the forget set first, and a table."""
    classes = result["dataset"]["classes"]
    if dataset is not None:
        ids = [row["sample"] for row in rows[:SHOWN]]
        picked = sample_tiles(
            "changed",
            dataset,
            ids,
            [
                f"sample {row['sample']}, class {classes[row['label']]}\n" + "\n".join(words[row["sample"]])
                for row in rows[:SHOWN]
            ],
            label="Retained samples that changed, nearest to the forget set first",
            side=48,
            mode="one",
        )
        st.caption("Nearest to the forget set first. A click opens the neighbourhood of a sample.")
        if picked is not None:
            query = {"run": run, "sample": str(picked), "method": document["method"], "attack": document["attack"]}
            st.switch_page("neighbourhood.py", query_params=query)
    lines = "".join(
        f"<tr><td class='num'>{row['sample']}</td><td>{escape(classes[row['label']])}</td>"
        f"<td class='num'>{row['nearest']}</td><td class='num'>{signed(row['log_odds'])} "
        f"<span class='quiet'>({signed(row['expected'])})</span></td>"
        f"<td>{escape('; '.join(words[row['sample']]))}</td></tr>"
        for row in rows[:LISTED]
    )
    head = (
        "<tr><th>sample</th><th>class</th><th>near</th><th>log-odds (of a re-training)</th><th>what changed</th></tr>"
    )
    st.html(f"<div class='rk-scroll'><table class='rk-table'>{head}{lines}</table></div>")
    if len(rows) > LISTED:
        st.caption(f"The first {LISTED} of {len(rows)}; the download has all.")


def retained_row(row: dict[str, Any], words: Sequence[str], result: dict[str, Any]) -> dict[str, Any]:
    names = ("distance", "nearest", "log_odds", "expected", "low", "high")
    tests = ("q_residual", "q_forgotten", "shift", "q_shift")
    return {
        "sample": row["sample"],
        "class": result["dataset"]["classes"][row["label"]],
        **{name: row[name] for name in (*names, *tests)},
        "changed": "; ".join(words),
    }
