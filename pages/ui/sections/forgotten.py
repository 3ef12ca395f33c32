"""The set to forget in one line with its pictures, above what is done with it."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from rurk_core.data import DATASETS, Dataset, forget_set
from rurk_core.errors import RurkError
from ui.components.tiles import tiles
from ui.figures.sheet import sheet_of
from ui.session import state
from ui.session.forgetting import draft, follow_link, rule_of, shares
from ui.text import plain


def what_to_forget() -> tuple[str, Dataset, str] | None:
    """(data set as named, the data, rule), with a picture of it; None where the data cannot be had."""
    name = state.dataset_choice()
    title = DATASETS[name].title if name in DATASETS else Path(name).name
    try:
        dataset = state.dataset(name)
    except RurkError as error:
        state.show(error)
        st.page_link("forget.py", label="Choose another data set", icon=":material/ink_eraser:")
        return None
    follow_link(dataset)
    current = draft(dataset)
    rule = rule_of(current) if current.indices else "class:0:0.5"
    indices = current.indices or forget_set(dataset, rule).indices
    parts = [f"{n} of {whole} “{plain(of)}”" for of, n, whole in shares(dataset, indices)]
    more = f" and {len(parts) - 3} more classes" if len(parts) > 3 else ""
    default = "" if current.indices else " (the default; choose others on the Forget page)"
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(f"**{plain(title)}** · forget {', '.join(parts[:3])}{more}{default}", width="stretch")
        st.page_link("forget.py", label="Change", icon=":material/edit:")
    shown = indices[:100]
    tiles(
        "what_strip",
        sheet_of(dataset.fingerprint, tuple(shown), dataset),
        shown,
        [f"sample {i}, class {dataset.classes[int(dataset.train_labels[i])]}" for i in shown],
        label="Samples to forget",
        side=32,
        strip=True,
    )
    return name, dataset, rule
