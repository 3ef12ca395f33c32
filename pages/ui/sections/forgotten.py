"""The set to forget in one line with its pictures, above what is done with it."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from rurk_core.data import DATASETS, Dataset, forget_set
from rurk_core.errors import RurkError
from ui.components.tiles import sample_tiles
from ui.session import state
from ui.session.forgetting import change, draft, follow_link, rule_of, shares, undo
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
    default = "" if current.indices else " (the default; choose others on the Forget page)"
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(f"**{plain(title)}** · forget {which(dataset, indices)}{default}", width="stretch")
        st.page_link("forget.py", label="Change", icon=":material/edit:")
    shown = indices[:100]
    sample_tiles("what_strip", dataset, shown, label="Samples to forget", side=32, strip=True)
    return name, dataset, rule


def which(dataset: Dataset, indices: tuple[int, ...]) -> str:
    """A set of samples by class, as Markdown: ``71 of 142 “0”, 3 of 145 “1”``; three classes at most are named."""
    parts = [f"{n} of {whole} “{plain(name)}”" for name, n, whole in shares(dataset, indices)]
    more = len(parts) - 3
    return ", ".join(parts[:3]) + (f" and {more} more {'class' if more == 1 else 'classes'}" if more > 0 else "")


def undo_and_clear(dataset: Dataset, mark: str = "") -> None:
    """Buttons on the set that is being put together; ``mark`` makes their keys."""
    current = draft(dataset)
    st.button(
        "Undo", on_click=undo, args=(dataset,), disabled=not current.past, icon=":material/undo:", key=f"{mark}undo"
    )
    st.button(
        "Clear",
        on_click=change,
        args=(dataset, ()),
        disabled=not current.indices,
        icon=":material/delete_sweep:",
        key=f"{mark}clear",
    )
