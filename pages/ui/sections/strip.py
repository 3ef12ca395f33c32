"""The forget set as a strip to step through."""

from __future__ import annotations

from typing import Any

import numpy as np
import streamlit as st

from rurk_core.measure.residual import Verdicts
from ui.components.tiles import sample_tiles
from ui.session import state
from ui.session.view import step_buttons

STRIP = 120
"""Samples in the strip at a time."""


def step_through(v: Verdicts, residual: np.ndarray, place: int | None, dataset: Any) -> None:
    """The forget set as a strip; arrow keys go through it. A sample that stays (``place`` None) lies before it."""
    order = residual if st.session_state.get("strip_order", "residual") == "residual" else np.argsort(v.samples)
    here = -1 if place is None else int(np.flatnonzero(order == place)[0])
    samples = [int(v.samples[at]) for at in order]

    with st.container(key="strip_bar", horizontal=True, vertical_alignment="center", gap="small"):
        step_buttons(samples, here)
        words = f"Sample **{here + 1}** of {len(samples)} to forget"
        st.markdown(
            words if place is not None else "A sample that **stays**; Next leads to those to forget", width="content"
        )
        st.segmented_control(
            "Order of the strip",
            ["residual", "index"],
            format_func={"residual": "most beyond re-training first", "index": "by index"}.__getitem__,
            default="residual",
            required=True,
            key="strip_order",
            persist_state="session",
            label_visibility="collapsed",
        )
    if dataset is None:
        return
    first = min(max(0, here - STRIP // 2), max(0, len(samples) - STRIP))
    window = samples[first : first + STRIP]
    picked = sample_tiles(
        "strip",
        dataset,
        window,
        label="Samples to forget",
        side=40,
        mode="one",
        strip=True,
        selected=[] if place is None else [samples[here]],
    )
    if picked is not None and (place is None or picked != samples[here]):
        state.choose("sample", picked)
        st.rerun()
