"""What the panels of Teach share."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import streamlit as st

from ui.figures.look import REFERENCES, Look, looks_of
from ui.session import state

SHIPPED = Path(__file__).parents[3] / "assets" / "teaching"
LARGE = Path(__file__).with_name("large.css")
"""Large type for a projector, for ``st.html``."""


def said(see: str, ask: str) -> None:
    """What to see in a panel, and a question to try."""
    st.html(f'<div class="rk-see rk-below"><b>See:</b> {see}</div><div class="rk-see rk-below"><b>Try:</b> {ask}</div>')


def large() -> bool:
    return state.choice("type", "usual", state.one_of(("usual", "large"))) == "large"


def plane_looks(method: str) -> dict[str, Look]:
    """Looks as everywhere; the lesson's re-trained models are drawn together."""
    rows = [{"name": "original", "role": "original"}, {"name": method, "role": "unlearned", "method": method}]
    looks = looks_of([*rows, *({"name": f"reference-{k}", "role": "reference"} for k in (1, 2, 3))])
    together = replace(looks[REFERENCES], title="Re-trained, 3 times")
    return {"original": looks["original"], "references": together, "unlearned": looks[method]}


def lettered(figure: Any) -> Any:
    """The figure with letters as large as the page's."""
    return figure.update_layout(font={"size": 20}, height=520, margin={"t": 60}) if large() else figure
