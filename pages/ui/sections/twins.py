"""The nearest retained neighbours of a forgotten sample, under the Original and the unlearned model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st

from ui.components.tiles import sample_tiles
from ui.session import state
from ui.session.view import View, models_of

if TYPE_CHECKING:
    from rurk_core.evidence.twins import Twins

HEAVY = 3e9
"""Parameters times samples above which neighbours are only looked for when asked for."""


def show_twins(view: View) -> None:
    """Rows of pictures, nearest first, and what the nearest one means."""
    if view.dataset is None:
        st.caption("The data of the run cannot be read, so its neighbours cannot be looked for.")
        return
    from rurk_core.evidence.twins import candidates

    import torch  # isort: skip

    forget = torch.tensor(view.result["forget"]["indices"])
    indices = candidates(view.dataset.train_labels, forget, view.label)
    models = dict(zip(names := _names(view), models_of(view.result, tuple(names)), strict=True))
    work = sum(p.numel() for model in models.values() for p in model.parameters()) * len(indices)
    if work > HEAVY and not st.toggle(
        "Look for near neighbours", key="look_for_twins", help="It takes this network a while.", persist_state="session"
    ):
        return
    stayed = len(view.dataset.train_labels) - len(forget)
    for name in names:
        look = view.looks[name]
        found = _twins(state.store().url, view.run, name, view.sample, view.label, models[name], view.dataset, indices)
        st.html(f'<div class="rk-key">{look.label()}</div>')
        if not len(found.samples):
            st.caption("Nothing was retained.")
            continue
        chosen = [int(i) for i in found.samples]
        classes = [view.classes[int(view.dataset.train_labels[i])] for i in chosen]
        sample_tiles(
            f"twins-{name}",
            view.dataset,
            chosen,
            [
                f"sample {i}, class {of}\ndistance {d:.3f}"
                for i, of, d in zip(chosen, classes, found.distances, strict=True)
            ],
            label=f"Nearest retained samples under {look.title}",
            side=56,
        )
        st.caption(nearest_words(found, classes[0] == view.classes[view.label]))
    among = f"{len(indices):,} of {stayed:,} retained" if len(indices) < stayed else f"the {stayed:,} retained"
    st.html(
        f'<div class="rk-see">See: the nearest of {among} samples, by the angle between the features the last layer '
        "takes (0 same direction, 1 at right angles).</div>"
    )


def nearest_words(found: Twins, same: bool) -> str:
    """What the nearest retained sample means; ``same``: whether it is of the sample's own class."""
    words = f"Nearest at {found.distances[0]:.3f}"
    if np.isnan(found.usual):
        return f"{words}. Too few samples of its class stayed to say how near they usually lie."
    words += f"; retained samples of this class usually have one at {found.usual:.3f}. "
    if not found.close:
        return f"{words}No close twin stayed."
    if not same:
        return f"{words}It is as near, but of another class: no twin that would have the sample recognised as its own."
    return f"{words}**A twin stayed**: if the sample is recognised, it may be for that alone."


def _names(view: View) -> list[str]:
    return list(dict.fromkeys(["original", view.method]))


@st.cache_resource(max_entries=400, show_spinner=False)
def _twins(url: str, run: str, name: str, sample: int, label: int, _model: Any, _dataset: Any, _indices: Any) -> Any:
    from rurk_core.evidence.twins import nearest, unit_features

    others = _features(url, run, name, label, _model, _dataset, _indices)
    own = unit_features(_model, _dataset.train_images[[sample]])[0]
    return nearest(own, others, _indices, _dataset.train_labels[_indices], label)


@st.cache_resource(max_entries=12, show_spinner="Looking at the retained samples …")
def _features(url: str, run: str, name: str, label: int, _model: Any, _dataset: Any, _indices: Any) -> Any:
    from rurk_core.evidence.twins import unit_features

    return unit_features(_model, _dataset.train_images[_indices])
