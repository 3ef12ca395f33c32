"""Embedding: how models arrange the samples, where the forgotten ones lie among them, and the copies around one."""

from __future__ import annotations

from typing import Any

import numpy as np
import streamlit as st
from ui import figures
from ui.components.scatter import Points, make_points, scatter
from ui.figures.look import Look, looks_of
from ui.jobs.runs import empty_state
from ui.sections.forgotten import undo_and_clear
from ui.sections.map_choice import choose_map, ready_map
from ui.sections.map_sample import about_sample, choose_cloud, choose_sample, cloud_of, map_of
from ui.session import state
from ui.session.forgetting import change, draft
from ui.session.served import images_at

from rurk_core.errors import RurkError
from rurk_core.explore.maps import LAYERS, METHODS, SPLITS, Map, MapSpec


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


def to_forget(dataset: Any) -> None:
    """What was drawn around becomes part of the set to forget; it can be undone."""
    current = draft(dataset)
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="map_tray"):
        if current.indices:
            st.markdown(f"**{len(current.indices)} to forget** next", width="content")
        else:
            st.markdown("**Nothing chosen yet** · draw around points with Lasso or Box", width="content")
        undo_and_clear(dataset, "map_")
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
        {"title": look.named, "colour": look.colour, "symbol": look.symbol}
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
        "copies go when they are perturbed?</div>"
    )
    result = state.result_of(run)
    dataset = state.dataset_of(result)
    if dataset is None:
        return
    looks = looks_of(result["models"])
    with st.container(border=True, key="map_controls"):
        spec = choose_map(run, result, looks, dataset)
    try:
        key = ready_map(spec, result, dataset)
        if key is not None:
            show_map(run, result, looks, dataset, spec, key)
    except RurkError as error:
        state.show(error)


main()
