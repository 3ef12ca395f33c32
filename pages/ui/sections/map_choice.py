"""Which map of the samples is looked at: models, layer, method, how many; and making it."""

from __future__ import annotations

from typing import Any

import streamlit as st

from rurk_core.explore.maps import LAYERS, METHODS, MapSpec, at_once, chosen_samples, make_map, map_key
from rurk_core.progress import Tracker
from rurk_core.run.titles import data_words
from ui.figures.look import Look
from ui.jobs.runs import start, watch
from ui.session import state
from ui.text import plain

AMOUNTS = (1000, 3000, 10_000, 30_000, 100_000)
MANY_MODELS = 6


def choose_map(run: str, result: dict[str, Any], looks: dict[str, Look], dataset: Any) -> MapSpec:
    """The controls, and the map they ask for."""
    names = [row["name"] for row in result["models"] if "failed" not in row]
    unlearned = [entry["method"] for entry in result["residual"] if entry["method"] != "original"]
    method = state.choice("method", (unlearned or ["original"])[0], state.one_of(names))
    first = tuple(dict.fromkeys(name for name in ("original", "reference-1", method) if name in names))

    def models(text: str) -> tuple[str, ...]:
        parts = tuple(dict.fromkeys(text.split("~")))
        if not parts or len(parts) > MANY_MODELS or any(part not in names for part in parts):
            raise ValueError(text)
        return parts

    chosen = state.choice("models", first, models)
    layer = state.choice("layer", "scores" if len(chosen) > 1 else "features", state.one_of(list(LAYERS)))
    made_by = state.choice("map", "pca", state.one_of(list(METHODS)))
    most = len(dataset.train_labels) - len(result["forget"]["indices"])
    amounts = [n for n in AMOUNTS if n < most] + [most]
    amount = state.choice("shown", min(3000, most), state.whole_of(amounts))
    choose_models(names, chosen, looks)
    show_choices(layer, made_by, amount, amounts, most)
    return MapSpec(run, chosen, layer, made_by, amount, max(1000, amount // 3))


def choose_models(names: list[str], chosen: tuple[str, ...], looks: dict[str, Look]) -> None:
    """Which models are on the map; a link holds them with ``~`` between."""
    key = "view_models"
    st.session_state[key] = list(chosen)

    def changed() -> None:
        picked = [name for name in names if name in st.session_state[key]]
        if not picked or len(picked) > MANY_MODELS:
            state.note(f"A map is of one model at least, and of {MANY_MODELS} at most.")
        else:
            state.choose("models", "~".join(picked))

    st.pills(
        "Models, all on one map",
        names,
        selection_mode="multi",
        key=key,
        on_change=changed,
        format_func=lambda name: looks[name].named,
        help="The map is fitted once on all of them together: a point that lies elsewhere in another panel was really "
        "moved.",
    )


def show_choices(layer: str, made_by: str, amount: int, amounts: list[int], most: int) -> None:
    """Controls for what is mapped, how, and of how many samples."""
    one, two, three = st.columns([1.2, 1, 1.2], gap="medium", vertical_alignment="bottom")
    with one:
        state.bound(
            st.segmented_control,
            "What is mapped",
            "layer",
            layer,
            options=list(LAYERS),
            format_func=LAYERS.__getitem__,
            required=True,
            help="Last features: what the last layer works on; their axes belong to each network, so networks trained "
            "apart lie apart. Class scores (logits): one axis a class, the same for all models.",
        )
    with two:
        state.bound(
            st.segmented_control,
            "Map",
            "map",
            made_by,
            options=list(METHODS),
            format_func=METHODS.__getitem__,
            required=True,
            help="PCA: a flat shadow along the two directions of greatest variance, at once. UMAP: keeps neighbours "
            "together and bends the rest, made in the background.",
        )
    if len(amounts) == 1:
        return
    with three:
        state.bound(
            st.select_slider,
            "Samples of the retain set",
            "shown",
            amount,
            options=amounts,
            format_func=lambda n: f"{n:,}" if n < most else f"all {most:,}",
            help="A seeded sample; all of the forget set are always there.",
        )


def ready_map(spec: MapSpec, result: dict[str, Any], dataset: Any) -> str | None:
    """The key of the map; where it takes long to make it is made in the background: UMAP when a button is pressed."""
    store = state.store()
    key, _ = map_key(spec, result)
    if store.trusts(key):
        return key
    if at_once(store, spec, result, dataset):
        bar = st.progress(0.0, "Making the map …")

        def tell(event: dict[str, Any]) -> None:
            bar.progress(event["overall"], f"Making the map: {plain(event['stage'])} …")

        key = make_map(store, spec, result, dataset, Tracker(tell))
        bar.empty()
        return key
    with st.container(border=True, key="make_map"):
        if "map_job" in st.session_state:
            watch("map_job")
            return None
        how = METHODS[spec.method]
        title = {"title": f"{how} of {data_words(result['dataset']['name'])}"}
        shown = len(chosen_samples(result, dataset, spec.retain, spec.test)[0])
        st.markdown(f"This map is not made yet: {how} of {shown:,} samples under {len(spec.models)} models.")
        asked = st.button("Make the map", type="primary", icon=":material/play_arrow:", key="make")
        # a PCA begins by itself, once: what failed is not tried again and again
        if asked or (spec.method == "pca" and st.session_state.get("map_begun") != key):
            st.session_state["map_begun"] = key
            st.session_state["map_job"] = start(spec.to_dict() | title, kind="embedding")
            st.rerun()
        st.caption("It is made once, in the background; the page may be left meanwhile.")
    return None
