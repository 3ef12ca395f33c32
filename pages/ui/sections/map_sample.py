"""The sample in view on a map, and its cloud of copies."""

from __future__ import annotations

from typing import Any

import numpy as np
import streamlit as st

from rurk_core.explore.maps import SPLITS, Map, encode, load_map
from rurk_core.perturb.copies import ATTACKS, copies
from ui.components.tiles import tiles
from ui.figures.look import Look
from ui.figures.sheet import make_sheet
from ui.glossary import help_of
from ui.session import state
from ui.session.evidence import findings_of
from ui.session.forgetting import change, draft
from ui.session.view import models_of, tables_of, tau_slider

DRAWS = 100
"""Copies in a cloud at most."""


@st.cache_resource(max_entries=12, show_spinner=False)
def map_of(url: str, key: str) -> Map:
    return load_map(state.store(), key)


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


def choose_sample(result: dict[str, Any], found: Map, labels: np.ndarray) -> tuple[int, int]:
    """(row, index) of the training sample in view; the same sample as on the other pages where it is forgotten."""
    train = found.splits.numpy() != SPLITS.index("test")
    rows = {int(i): at for at, i in enumerate(found.ids.tolist()) if train[at]}
    forget = result["forget"]["indices"]
    sample = state.choice("sample", first_sample(result), state.whole_of(rows), always=True)
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
    """The forgotten sample that is most beyond a re-training."""
    attack, method = next(iter(tables_of(result)))
    return findings_of(result["key"], method, attack).samples[0].sample


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
    tau_slider(taus, tau)
    return attack, tau, min(like.draws, DRAWS), like.seed


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
