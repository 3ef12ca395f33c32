"""Forget: which training samples are to be forgotten, picked by eye, by rule or from a file."""

from __future__ import annotations

import math
from pathlib import Path
from urllib.parse import urlencode

import numpy as np
import streamlit as st
from ui import state
from ui.forgetting import change, checked, draft, follow_link, shares, sheet_of, undo
from ui.glossary import help_of, term
from ui.pictures import tiles
from ui.state import plain

from rurk_core.data import DATASETS, Dataset, ForgetSet, forget_set
from rurk_core.data.forget import parse_indices
from rurk_core.errors import RurkError, UsageError

PAGE = 200
STRIP = 150
RULES = {
    "share": "Share of a class",
    "class": "Whole class",
    "random": "Random",
    "indices": "Indices",
    "hardest": "Hardest",
    "memorised": "Most memorised",
}


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
    with st.container(key="tray", gap="xsmall"):
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            if count:
                parts = [f"{n} of {whole} “{plain(name)}”" for name, n, whole in shares(dataset, current.indices)]
                more = f" and {len(parts) - 3} more classes" if len(parts) > 3 else ""
                words = f"**{count} to forget** · {', '.join(parts[:3])}{more}"
            else:
                words = "**Nothing chosen yet** · click pictures, or choose by rule"
            st.markdown(words, width="stretch")
            st.button(
                "Undo", on_click=undo, args=(dataset,), disabled=not current.past, icon=":material/undo:", key="undo"
            )
            st.button(
                "Clear",
                on_click=change,
                args=(dataset, ()),
                disabled=not count,
                icon=":material/delete_sweep:",
                key="clear",
            )
            if st.button(
                "Unlearn this set", type="primary", disabled=not count, icon=":material/play_arrow:", key="unlearn_this"
            ):
                st.switch_page("unlearn.py")
        if count:
            shown = current.indices[-STRIP:] if count > STRIP else current.indices
            picked = tiles(
                "tray_strip",
                sheet_of(dataset.fingerprint, tuple(shown), dataset),
                shown,
                [f"sample {i}, class {dataset.classes[int(dataset.train_labels[i])]} – click to keep" for i in shown],
                label="Samples to forget",
                side=32,
                mode="one",
                strip=True,
            )
            if count > STRIP:
                st.caption(f"The last {STRIP} of {count} by index.")
            if picked is not None:
                change(dataset, set(current.indices) - {picked})
                st.rerun()


def losses_in_view(dataset: Dataset):
    """The loss of every training sample under the Original of the experiment in view, if it fits; else None."""
    from rurk_core.stages import stored_scores

    result = state.result_in_view()
    if result is None:
        return None
    scores = next((row.get("scores") for row in result["models"] if row["role"] == "original"), None)
    if result["dataset"]["fingerprint"] != dataset.fingerprint or scores is None or not state.store().has(scores):
        return None
    return stored_scores(state.store(), scores)["train_loss"]


def rules(dataset: Dataset) -> None:
    """Choosing by rule: what it would choose replaces the set or is added to it."""
    kind = st.segmented_control(
        "Rule",
        list(RULES),
        format_func=RULES.__getitem__,
        default="share",
        required=True,
        key="rule_kind",
        label_visibility="collapsed",
    )
    n = len(dataset.train_labels)
    one, two, three = st.columns([1, 1, 1], vertical_alignment="bottom")
    classes = list(range(len(dataset.classes)))
    rule, losses = "", None
    if kind in ("share", "class"):
        names = class_names(dataset)
        label = one.selectbox("Class", classes, format_func=lambda c: names[c], key=f"rule_class_{n}")
        rule = f"class:{label}"
        if kind == "share":
            share = two.slider("Share (%)", 1, 100, 50, key="rule_share")
            seed = three.number_input("Seed", 0, 10**6, 0, key="rule_seed", help="Another seed chooses other samples.")
            rule += f":{share / 100:g}" + (f":{seed}" if seed else "")
    elif kind == "random":
        count = one.number_input("How many", 1, n - 1, min(50, n - 1), key=f"rule_random_{n}")
        seed = two.number_input("Seed", 0, 10**6, 0, key="rule_random_seed")
        rule = f"random:{count}" + (f":{seed}" if seed else "")
    elif kind == "indices":
        text = one.text_input("Training indices", placeholder="3, 5-9, 42", key="rule_indices")
        rule = f"indices:{text}" if text.strip() else ""
    else:
        count = one.number_input("How many", 1, n - 1, min(50, n - 1), key=f"rule_{kind}_{n}")
        losses = losses_in_view(dataset)
        if losses is None:
            st.caption(
                "This rule orders samples by the Original's loss: put an experiment on this very data set in view (in "
                "the sidebar) to use it."
            )
        else:
            rule = f"{kind}:{count}"
    found = None
    if rule:
        try:
            found = forget_set(dataset, rule, losses=losses)
        except UsageError as error:
            state.show(error)
    # losses belong to the Original in view, not to the one the next run trains: keep what they chose, not the rule
    kept = "" if losses is not None else rule
    with st.container(horizontal=True, vertical_alignment="center"):
        chosen = found.indices if found else ()
        st.button(
            f"Take these {len(chosen)}" if chosen else "Take these",
            type="primary",
            disabled=not chosen,
            on_click=change,
            args=(dataset, chosen, kept),
            key="rule_replace",
        )
        st.button(
            "Add to the set",
            disabled=not chosen,
            on_click=change,
            args=(dataset, set(draft(dataset).indices) | set(chosen)),
            key="rule_add",
        )


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
    upload = st.file_uploader("Load a set", type="json", key="load_set", max_upload_size=64)
    if upload is not None and st.session_state.get("loaded_set") != upload.file_id:
        st.session_state["loaded_set"] = upload.file_id
        try:
            found = ForgetSet.from_json(upload.getvalue().decode("utf-8", errors="replace"), dataset)
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


ORDERS = {"index": "by index", "hardest": "hardest first", "easiest": "easiest first"}


def class_names(dataset: Dataset) -> list[str]:
    """A name per class to choose by; ImageNet, for one, has two classes called “crane”."""
    return state.distinct(dataset.classes, [f"class {c}" for c in range(len(dataset.classes))])


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
            f"{len(members):,} samples"
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

    tiles(
        "gallery",
        sheet_of(dataset.fingerprint, tuple(shown), dataset),
        shown,
        [f"sample {i}, class {dataset.classes[int(dataset.train_labels[i])]}" for i in shown],
        label="Training samples",
        side=46 if dataset.input_shape[-1] < 30 else 64,
        mode="many",
        selected=[i for i in shown if i in chosen],
        seen=st.session_state.get("gallery_turn", 0),
        on_change=picked,
    )


def main() -> None:
    st.title("Forget", anchor=False)
    st.html(
        f'<div class="rk-lead">Choose the {term("forget set")}: click pictures (shift-click for a range, arrow keys '
        "move), or let a rule choose.</div>"
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
