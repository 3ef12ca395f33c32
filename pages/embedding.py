"""Embedding: how models arrange the samples, where the forgotten ones lie among them, and the copies around one."""

from __future__ import annotations

from typing import Any

import numpy as np
import streamlit as st
from ui import figures, state
from ui.forgetting import change, draft, undo
from ui.glossary import help_of
from ui.look import Look, looks_of
from ui.pictures import make_sheet, tiles
from ui.runs import dataset_of, empty_state, start, watch
from ui.scatter import Points, make_points, scatter
from ui.served import images_at
from ui.view import models_of, residual_order, tables_of

from rurk_core.embedding import LAYERS, METHODS, SPLITS, Map, MapSpec, at_once, encode, load_map, make_map, map_key
from rurk_core.errors import RurkError
from rurk_core.perturbations import ATTACKS, copies

AMOUNTS = (1000, 3000, 10_000, 30_000, 100_000)
MANY_MODELS = 6
DRAWS = 100
"""Copies in a cloud at most."""


# --- computing, cached --------------------------------------------------------------------------------------


@st.cache_resource(max_entries=12, show_spinner=False)
def map_of(url: str, key: str) -> Map:
    return load_map(state.store(), key)


@st.cache_resource(max_entries=12, show_spinner=False)
def points_of(url: str, key: str, _dataset: Any) -> tuple[Points, np.ndarray]:
    """The points of a map for the browser, and their labels."""
    found = map_of(url, key)
    ids, splits = found.ids.numpy(), found.splits.numpy()
    test = splits == SPLITS.index("test")
    labels = np.empty(len(ids), np.int64)
    labels[test] = _dataset.test_labels.numpy()[ids[test]]
    labels[~test] = _dataset.train_labels.numpy()[ids[~test]]
    return make_points(key, found.coordinates.numpy(), ids, splits, labels, len(_dataset.classes)), labels


@st.cache_resource(max_entries=200, show_spinner=False)
def cloud_of(
    url: str, key: str, run: str, sample: int, attack: str, tau: float, draws: int, seed: int, _dataset: Any
) -> tuple[np.ndarray, np.ndarray]:
    """Copies of a sample on a map: coordinates [M, D, 2], and whether each model still says its class, [M, D]."""
    import torch

    from rurk_core.data import to_pixels

    found, label = map_of(url, key), _dataset.train_labels[[sample]]
    with torch.no_grad():
        moved = copies(
            attack,
            to_pixels(_dataset.train_images[[sample]]),
            label,
            ids=[sample],
            tau=tau,
            draws=draws,
            seed=seed,
            classes=len(_dataset.classes),
        )[0]
        places, right = [], []
        for name, model in zip(found.models, models_of(state.result_of(run), found.models), strict=True):
            places.append(found.place(encode(model, moved, found.layer), name).numpy())
            right.append((model(moved).argmax(1) == label).numpy())
    return np.stack(places), np.stack(right)


# --- choosing -----------------------------------------------------------------------------------------------


def choose_map(run: str, result: dict[str, Any], looks: dict[str, Look], dataset: Any) -> MapSpec | None:
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
    most = len(dataset.train_labels)
    amounts = [n for n in AMOUNTS if n < most] + [most]
    amount = state.choice("shown", min(3000, most), state.whole_of(amounts))
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
        format_func=lambda name: f"{looks[name].letter} · {looks[name].title}",
        help="The map is fitted once on all of them together: a point that lies elsewhere in another panel was really "
        "moved.",
    )
    one, two, three = st.columns([1.2, 1, 1.2], gap="medium", vertical_alignment="bottom")
    with one:
        state.bound(
            st.segmented_control,
            "What is mapped",
            "layer",
            layer,
            options=list(LAYERS),
            format_func=LAYERS.get,
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
            format_func=METHODS.get,
            required=True,
            help="PCA: a flat shadow along the two directions of greatest variance, at once. UMAP: keeps neighbours "
            "together and bends the rest, made in the background.",
        )
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
    return MapSpec(run, chosen, layer, made_by, amount, max(1000, amount // 3))


def ready_map(spec: MapSpec, result: dict[str, Any], dataset: Any) -> str | None:
    """The key of the map; where it takes long to make, a button that does it in the background, and its progress."""
    store = state.store()
    key, _ = map_key(spec, result)
    if store.has(key):
        return key
    if at_once(store, spec, result, dataset):
        with st.spinner("Making the map …"):
            return make_map(store, spec, result, dataset)
    running = "map_job" in st.session_state
    with st.container(border=True, key="make_map"):
        if running:
            watch("map_job")
            return None
        how = METHODS[spec.method]
        st.markdown(
            f"This map is not made yet. {how} of {len(spec.models)} × {spec.retain + spec.test:,} samples, at most."
        )
        if st.button("Make the map", type="primary", icon=":material/play_arrow:", key="make"):
            title = {"title": f"{how} of {result['dataset']['name']}"}
            st.session_state["map_job"] = start(spec.to_dict() | title, kind="embedding")
            st.rerun()
        st.caption("It is made once, in the background; the page may be left meanwhile.")
    return None


def choose_sample(result: dict[str, Any], found: Map, labels: np.ndarray) -> tuple[int, int]:
    """(row, index) of the training sample in view; the same sample as on the other pages where it is forgotten."""
    train = found.splits.numpy() != SPLITS.index("test")
    rows = {int(i): at for at, i in enumerate(found.ids.tolist()) if train[at]}
    forget = result["forget"]["indices"]
    sample = state.choice("sample", first_sample(result), state.whole_of(list(rows)), always=True)
    options = sorted({*forget, sample})
    state.bound(
        st.selectbox,
        "Sample in view",
        "sample",
        sample,
        options=options,
        format_func=lambda i: f"sample {i}, class {result['dataset']['classes'][int(labels[rows[i]])]}",
        help="Click a point, or choose one of the forget set here.",
    )
    return rows[sample], sample


def first_sample(result: dict[str, Any]) -> int:
    """The forgotten sample with the most residual knowledge."""
    (_, method), key = next(iter(tables_of(result).items()))
    verdicts = state.verdicts_of(key)
    return int(verdicts.samples[residual_order(verdicts, method)[0]])


def choose_cloud(result: dict[str, Any]) -> tuple[str, float, int, int]:
    """(attack, τ, draws, seed) of the copies; draws of chance only, which are the same for every model."""
    attacks = [key for key, kind in ATTACKS.items() if not kind.uses_model]
    like = state.verdicts_of(next(iter(tables_of(result).values())))
    taus = [float(tau) for tau in like.taus]
    attack = state.choice("noise", "gaussian", state.one_of(attacks))
    tau = state.choice("tau", taus[len(taus) // 2], state.nearest(taus))
    state.bound(
        st.selectbox,
        "Copies",
        "noise",
        attack,
        options=attacks,
        format_func=lambda key: ATTACKS[key].title,
        help=help_of("copy"),
    )
    if len(taus) > 1:
        state.bound(
            st.select_slider,
            "Radius τ",
            "tau",
            tau,
            options=taus,
            format_func=lambda value: f"{value:.4g}",
            help=help_of("radius"),
        )
    return attack, tau, min(like.draws, DRAWS), like.seed


# --- showing ------------------------------------------------------------------------------------------------


def to_forget(dataset: Any) -> None:
    """What was drawn around becomes part of the set to forget; it can be undone."""
    current = draft(dataset)
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="map_tray"):
        if current.indices:
            st.markdown(f"**{len(current.indices)} to forget** next, with a ring on the map", width="content")
        else:
            st.markdown("**Nothing chosen yet** · draw around points with Lasso or Box", width="content")
        st.button(
            "Undo", on_click=undo, args=(dataset,), disabled=not current.past, icon=":material/undo:", key="map_undo"
        )
        st.button(
            "Clear",
            on_click=change,
            args=(dataset, ()),
            disabled=not current.indices,
            icon=":material/delete_sweep:",
            key="map_clear",
        )
        if current.indices:
            st.page_link("forget.py", label="See the set", icon=":material/ink_eraser:")


def show_map(run: str, result: dict[str, Any], looks: dict[str, Look], dataset: Any, spec: MapSpec, key: str) -> None:
    url = state.store().url
    found = map_of(url, key)
    points, labels = points_of(url, key, dataset)
    left, right = st.columns([3.6, 1], gap="large")
    with right:
        row, sample = choose_sample(result, found, labels)
        attack, tau, draws, seed = choose_cloud(result)
        places, still = cloud_of(url, key, run, sample, attack, tau, draws, seed, dataset)
        about_sample(result, looks, dataset, found, sample, still)
    cloud = [
        {"xy": points.scaled(panel).round(4).tolist(), "right": right.astype(int).tolist()}
        for panel, right in zip(places, still, strict=True)
    ]
    panels = [
        {"title": look.title, "letter": look.letter, "colour": look.colour, "symbol": look.symbol}
        for look in (looks[name] for name in found.models)
    ]
    with left:
        clicked, taken = scatter(
            "map",
            points,
            panels,
            axes=found.axes(),
            classes=result["dataset"]["classes"],
            label=f"{METHODS[found.method]} of {len(labels):,} samples by {LAYERS[found.layer]}, a panel per model",
            file=f"map-{result['dataset']['name']}-{found.method}",
            images=images_at(dataset),
            selected=row,
            chosen=draft(dataset).indices,
            cloud=cloud,
        )
        to_forget(dataset)
        st.html(f'<div class="rk-see rk-below">{see(found)}</div>')
        figures.download(
            lambda: rows_of(found, labels, result, looks), f"map-{result['dataset']['name']}-{found.method}", "map_csv"
        )
    if clicked is not None:
        if found.splits[clicked] == SPLITS.index("test"):
            st.toast("This is a test sample: it cannot be forgotten, so it has no neighbourhood here.")
        elif int(found.ids[clicked]) != sample:
            state.choose("sample", int(found.ids[clicked]))
            st.rerun()
    if taken is not None:
        inside = [i for i in taken if i < len(dataset.train_labels)]
        if not inside:
            st.toast("No sample of the forget or retain set lies in there.")
        else:
            change(dataset, set(draft(dataset).indices) | set(inside))
            st.rerun()


def about_sample(
    result: dict[str, Any], looks: dict[str, Look], dataset: Any, found: Map, sample: int, still: np.ndarray
) -> None:
    """The sample in view: its picture, who recognises its copies, and the way to its neighbourhood."""
    name = dataset.classes[int(dataset.train_labels[sample])]
    with st.container(key="sample_picture"):
        tiles(
            "map_sample",
            make_sheet(dataset.train_images[[sample]]),
            [sample],
            [f"sample {sample}, class {name}"],
            label="The sample in view",
            side=120,
        )
    lines = "".join(
        f"<tr><td>{looks[model].tag()}</td><td class='num'><b>{int(right.sum())}</b> of {len(right)} copies</td></tr>"
        for model, right in zip(found.models, still, strict=True)
    )
    st.html(f"<table class='rk-table'>{lines}</table>")
    if sample in result["forget"]["indices"]:
        if st.button("Open in Neighbourhood", type="primary", icon=":material/blur_on:", key="open_sample"):
            st.switch_page("neighbourhood.py", query_params={"sample": str(sample)})
    else:
        st.caption("Of the retain set: its neighbourhood was not measured.")
        st.button(
            "Forget this sample next",
            icon=":material/ink_eraser:",
            key="forget_sample",
            disabled=sample in draft(dataset).indices,
            on_click=lambda: change(dataset, {*draft(dataset).indices, sample}),
        )


def see(found: Map) -> str:
    where = (
        "See: filled copies are still recognised. Where a model keeps the cloud among the samples of its class, it "
        "still knows the sample; "
    )
    if len(found.models) == 1:
        return where + "add a re-trained model above to see how far that goes without the forget set."
    if found.layer == "features":
        return where + (
            "panels share one map, but features of networks trained apart have axes of their own: compare clouds with "
            "their surroundings, not places between such panels."
        )
    return where + "all panels share one map and its axes, so a sample that lies elsewhere in another was really moved."


def rows_of(found: Map, labels: np.ndarray, result: dict[str, Any], looks: dict[str, Look]) -> list[dict[str, Any]]:
    classes = result["dataset"]["classes"]
    return [
        {"model": looks[name].title, "set": SPLITS[split], "sample": i, "class": classes[label], "x": x, "y": y}
        for name, panel in zip(found.models, found.coordinates.tolist(), strict=True)
        for i, split, label, (x, y) in zip(
            found.ids.tolist(), found.splits.tolist(), labels.tolist(), panel, strict=True
        )
    ]


def main() -> None:
    st.title("Embedding", anchor=False)
    run = state.run_in_view()
    if run is None:
        empty_state()
        return
    st.html(
        '<div class="rk-lead">How models arrange the samples. Where do the forgotten ones lie, and where do their '
        "copies "
        "go when they are perturbed?</div>"
    )
    result = state.result_of(run)
    dataset = dataset_of(result)
    if dataset is None:
        return
    looks = looks_of(result["models"])
    with st.container(border=True, key="map_controls"):
        spec = choose_map(run, result, looks, dataset)
    if spec is None:
        return
    try:
        key = ready_map(spec, result, dataset)
        if key is not None:
            show_map(run, result, looks, dataset, spec, key)
    except RurkError as error:
        state.show(error)


main()
