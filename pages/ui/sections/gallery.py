"""Training samples, page by page, filtered and ordered, to be clicked."""

from __future__ import annotations

import math

import numpy as np
import streamlit as st

from rurk_core.data import Dataset
from rurk_core.data.forget import parse_indices
from rurk_core.errors import UsageError
from ui.components.tiles import sample_tiles
from ui.glossary import help_of
from ui.session import state
from ui.session.forgetting import change, class_names, draft, losses_in_view
from ui.text import plain

PAGE = 200
ORDERS = {"index": "by index", "hardest": "hardest first", "easiest": "easiest first"}


def choose_members(dataset: Dataset) -> np.ndarray:
    """The filters above the gallery → training indices that pass, in the order asked for."""
    labels, names = [str(c) for c in range(len(dataset.classes))], class_names(dataset)
    losses = losses_in_view(dataset)
    one, two, three, four = st.columns([1.2, 1, 1.4, 1.1], vertical_alignment="bottom", gap="medium")
    with one:
        only = state.bound(
            st.selectbox,
            "Class",
            "class",
            state.choice("class", "all", state.one_of(["all", *labels])),
            options=["all", *labels],
            format_func=lambda c: "All classes" if c == "all" else names[int(c)],
        )
    with two:
        find = state.bound(
            st.text_input, "Indices", "find", state.choice("find", "", str), placeholder="3, 5-9, 42", max_chars=400
        )
    members = np.arange(len(dataset.train_labels))
    if find.strip():
        try:
            members = np.unique(parse_indices(find, limit=len(members)))
        except UsageError as error:
            three.caption(plain(str(error)))
    if only != "all":
        members = members[dataset.train_labels.numpy()[members] == int(only)]
    if losses is None:
        four.caption("Confidence and order need an experiment on this data set in view.")
        return members
    with three:
        low, high = state.bound(
            st.slider,
            "The Original’s confidence (%)",
            "sure",
            state.choice("sure", (0, 100), percents),
            min_value=0,
            max_value=100,
            help=help_of("confidence"),
        )
    with four:
        order = state.bound(
            st.selectbox,
            "Order",
            "order",
            state.choice("order", "index", state.one_of(list(ORDERS))),
            options=list(ORDERS),
            format_func=ORDERS.__getitem__,
            help=f"Hardest: the Original’s loss is largest. {help_of('loss')}",
        )
    loss = losses.numpy()[members]
    sure = 100 * np.exp(-loss)
    kept = (sure >= low) & (sure <= high)
    members, loss = members[kept], loss[kept]
    return members if order == "index" else members[np.argsort(-loss if order == "hardest" else loss, kind="stable")]


def percents(text: str) -> tuple[int, int]:
    """For a link: "20-80" → (20, 80), both from 0 to 100 and rising."""
    low, high = map(int, text.split("-"))
    if not 0 <= low <= high <= 100:
        raise ValueError(text)
    return low, high


def gallery(dataset: Dataset) -> None:
    """Training samples, page by page."""
    members = choose_members(dataset)
    pages = max(1, math.ceil(len(members) / PAGE))
    page = min(pages, state.choice("page", 1, state.whole_of(range(1, 10**6))))
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute", key="pager"):
        st.caption(
            f"{len(members):,} {'sample' if len(members) == 1 else 'samples'}"
            + (f", {(page - 1) * PAGE + 1:,}–{min(page * PAGE, len(members)):,} here" if pages > 1 else ""),
            width="content",
        )
        if pages > 1:
            if st.session_state.get("gallery_page", 1) != page:  # from a link, or because the filters changed
                st.session_state["gallery_page"] = page
            st.pagination(
                pages,
                key="gallery_page",
                max_visible_pages=5,
                on_change=lambda: state.choose("page", st.session_state["gallery_page"]),
            )
    shown = members[(page - 1) * PAGE : page * PAGE].tolist()
    if not shown:
        st.info("No sample passes these filters.", icon=":material/filter_alt_off:")
        return
    chosen = set(draft(dataset).indices)

    def picked() -> None:
        """What the visitor clicked: the state of one page of pictures."""
        found = st.session_state["gallery"].get("picks") or {}
        of, on = found.get("of") or [], found.get("on") or []
        if not all(type(i) is int and 0 <= i < len(dataset.train_labels) for i in [*of, *on]):
            return
        st.session_state["gallery_turn"] = found.get("turn", 0)
        change(dataset, (set(draft(dataset).indices) - set(of)) | set(on))

    sample_tiles(
        "gallery",
        dataset,
        shown,
        label="Training samples",
        side=46 if dataset.input_shape[-1] < 30 else 64,
        mode="many",
        selected=[i for i in shown if i in chosen],
        seen=st.session_state.get("gallery_turn", 0),
        on_change=picked,
    )
