"""All methods layer by layer."""

from __future__ import annotations

import streamlit as st

from rurk_core.compare.columns import RETRAIN
from rurk_core.compare.table import layer_similarity
from ui import figures
from ui.glossary import term
from ui.sections.comparison import View, letters, lines_of, name_lines, picks
from ui.session import state
from ui.text import escape

LIKE = (
    " A method that forgets like Re-train follows the line of re-trained models among each other; where it leaves it "
    "tells which layers were changed."
)
"""Where there is such a line, of several re-trained models."""


def show_layers(view: View) -> None:
    st.header("Layer by layer", anchor=False)
    names = [row["name"] for row in view.rows if not (row["failed"] and not any(row["cells"].values()))]
    base = RETRAIN if RETRAIN in names else names[0]
    base = state.choice("layers", base, state.one_of(names))
    with st.container(horizontal=True, gap="medium", vertical_alignment="bottom"):
        state.bound(
            st.selectbox,
            "Compare every model with",
            "layers",
            base,
            options=names,
            format_func=lambda name: view.looks[name].named,
            width=280,
        )
        kind = st.segmented_control(
            "On",
            ["forget", "retain"],
            format_func={"forget": "forget samples", "retain": "retain samples"}.__getitem__,
            default="forget",
            required=True,
            key="layers_on",
            persist_state="session",
        )
    lines, samples = [], 0
    for name in names:
        found = layer_similarity(view.results, base, name, str(kind))
        if found and (name != base or base == RETRAIN):
            lines.append((name, found["blocks"], found))
            samples = found["samples"]
    if not lines:
        st.caption("Not measured: the run is older than this view, or the forget set has fewer than four samples.")
        return
    figure = lines_of(view, lines, 1, "")
    name_lines(view, figure, lines, 1)
    figure.update_xaxes(title="block, from input to output", zeroline=False)
    figure.update_yaxes(title=f"linear CKA with {escape(view.looks[base].title)}", zeroline=False)
    figures.draw(figure, "layers", "layers", "Similarity of layers", on_pick=picks(view))
    letters(view, [name for name, *_ in lines])
    st.html(
        f'<div class="rk-see">See: 1 means that two models’ features of {samples} {kind} samples are equal up to a '
        + f"rotation and a scale ({term('layer similarity', 'linear CKA')}, unbiased estimate)."
        + (LIKE if any(name == base for name, *_ in lines) else "")
        + "</div>"
    )
    figures.download(
        [
            {"model": view.looks[name].title, "with": view.looks[base].title, "samples": kind, "block": block}
            | {edge: values[edge][at] for edge in ("mean", "low", "high")}
            for name, blocks, values in lines
            for at, block in enumerate(blocks)
        ],
        "layers",
        "layers_csv",
    )
