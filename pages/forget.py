"""Forget: which training samples are to be forgotten, picked by eye, by rule or from a file."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlencode

import streamlit as st
from ui.components.tiles import sample_tiles
from ui.glossary import term
from ui.sections.forgotten import undo_and_clear, which
from ui.sections.gallery import gallery
from ui.sections.rules import rules
from ui.session import state
from ui.session.forgetting import change, checked, draft, follow_link
from ui.text import plain

from rurk_core.data import DATASETS, Dataset, ForgetSet, forget_set, from_file
from rurk_core.errors import RurkError, UsageError

STRIP = 150


def choose_dataset() -> Dataset | None:
    """The data set by name or path; a sentence and None where it cannot be had."""
    current = state.dataset_choice()
    options = [*DATASETS, *([current] if current not in DATASETS else [])]
    st.session_state["dataset_box"] = current

    def changed() -> None:
        picked = (st.session_state["dataset_box"] or "").strip()
        st.session_state["typed_dataset"] = None if picked in DATASETS else picked or None
        if picked in DATASETS:
            state.choose("data", picked)
        for name in ("class", "page", "order", "sure", "find", "forget"):
            st.session_state.get("choices", {}).pop(name, None)
            st.query_params.pop(name, None)

    st.selectbox(
        "Data set",
        options,
        key="dataset_box",
        on_change=changed,
        accept_new_options=True,
        format_func=lambda key: DATASETS[key].title if key in DATASETS else Path(key).name or key,
        help="One that is known by name, or type the path of a Parquet file or of a folder with a folder per class.",
    )
    try:
        return state.dataset(current)
    except RurkError as error:
        state.show(error)
        st.caption("The data root is under Settings in the sidebar; choose another data set to go on.")
        return None


def tray(dataset: Dataset) -> None:
    """The set so far, always in sight."""
    current = draft(dataset)
    count = len(current.indices)

    def of(i: int) -> str:
        return dataset.classes[int(dataset.train_labels[i])]

    with st.container(key="tray", gap="xsmall"):
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            if count:
                words = f"**{count} to forget** · {which(dataset, current.indices)}"
                words += f" · below the last {STRIP} by index" if count > STRIP else ""
            else:
                words = "**Nothing chosen yet** · click pictures, or choose by rule"
            st.markdown(words, width="stretch")
            undo_and_clear(dataset)
            if st.button(
                "Unlearn this set", type="primary", disabled=not count, icon=":material/play_arrow:", key="unlearn_this"
            ):
                st.switch_page("unlearn.py")
        if count:
            shown = current.indices[-STRIP:] if count > STRIP else current.indices
            picked = sample_tiles(
                "tray_strip",
                dataset,
                shown,
                [f"sample {i}, class {of(i)} – click to take it out" for i in shown],
                label="Samples to forget",
                side=32,
                mode="one",
                strip=True,
            )
            if picked is not None:
                change(dataset, set(current.indices) - {picked})
                st.rerun()


def files(dataset: Dataset, rule: str) -> None:
    """The set as a link and as a small file, out and in."""
    current = draft(dataset)
    if rule:
        query = urlencode({"data": dataset.name, "forget": rule})
        st.caption("A link to this set")
        st.code(f"{(st.context.url or '').partition('?')[0]}?{query}", language=None)
    elif current.indices:
        st.caption("This set does not fit into a link; share the file.")
    try:
        text = checked(dataset, current).to_json() if current.indices else ""
    except UsageError as error:
        state.show(error)
        text = ""
    st.download_button(
        "Save the set",
        text or "{}",
        file_name=f"forget-{dataset.name}-{len(current.indices)}.json",
        mime="application/json",
        disabled=not text,
        icon=":material/download:",
        on_click="ignore",
        key="save_set",
    )
    upload = st.file_uploader("Load a set", type=["json", "npy", "txt", "csv"], key="load_set", max_upload_size=64)
    if upload is not None and st.session_state.get("loaded_set") != upload.file_id:
        st.session_state["loaded_set"] = upload.file_id
        try:
            found = from_file(upload.name, upload.getvalue(), dataset)
        except UsageError as error:
            state.show(error)
        else:
            change(dataset, found.indices, "" if found.rule.startswith("file:") else _same(dataset, found))
            st.rerun()


def _same(dataset: Dataset, found: ForgetSet) -> str:
    """The file's rule where it chooses exactly the file's samples; "" (by hand) where it does not."""
    try:
        return found.rule if forget_set(dataset, found.rule).indices == found.indices else ""
    except UsageError:
        return ""


def main() -> None:
    st.title("Forget", anchor=False)
    st.html(
        f'<div class="rk-lead">Choose the {term("forget set")}: click pictures<span class="rk-keys"> '
        "(shift-click for a range, arrow keys move)</span>, or let a rule choose.</div>"
    )
    box, about = st.columns([1.2, 3], vertical_alignment="bottom", gap="medium")
    with box:
        dataset = choose_dataset()
    if dataset is None:
        return
    with about:
        shape = "×".join(map(str, dataset.input_shape))
        st.caption(
            f"{len(dataset.train_labels):,} training samples, {len(dataset.classes)} classes, {shape} "
            f"values each · {plain(dataset.licence)} · {plain(dataset.source)}"
        )
    rule = follow_link(dataset)
    tray(dataset)
    one, two = st.columns([2.4, 1], gap="medium")
    with one, st.expander("Choose by rule", icon=":material/rule:", key="rules_box"):
        rules(dataset)
    with two, st.expander("Save, load, share", icon=":material/save:", key="files_box"):
        files(dataset, rule)
    gallery(dataset)


main()
