"""The smallest perturbation at which each model recognises the sample again, or loses it."""

from __future__ import annotations

from typing import Any

import numpy as np
import streamlit as st

from rurk_core.measure.radius import NORMS
from rurk_core.perturb.copies import ATTACKS
from ui import figures
from ui.figures.look import REFERENCES
from ui.glossary import help_of, term
from ui.session import state
from ui.session.view import View, models_of
from ui.text import escape


@st.cache_resource(max_entries=2000, show_spinner="Searching the smallest perturbations …")
def searched(
    url: str, run: str, name: str, sample: int, label: int, norm: str, seed: int, _result: Any, _dataset: Any
) -> tuple[bool, float, float]:
    """(whether the model says the label to the sample itself, smallest change found by search, and by random draws)."""
    import torch

    from rurk_core.data import to_pixels
    from rurk_core.measure.radius import smallest_radii

    (model,) = models_of(_result, (name,))
    pixels = to_pixels(_dataset.train_images[[sample]])
    found = smallest_radii(model, pixels, torch.tensor([label]), [sample], norm=norm, seed=seed)
    return bool(found.said[0]), float(found.strong[0]), float(found.random[0])


def distances(view: View, shown: list[str]) -> None:
    """The section of the page: a norm, and a row per model."""
    if not shown:
        st.caption("Choose at least one model above.")
        return
    first = "linf" if ATTACKS[view.attack].ball == "linf" else "l2"
    norm = state.bound(
        st.segmented_control,
        "Measured as",
        "norm",
        state.choice("norm", first, state.one_of(list(NORMS))),
        options=list(NORMS),
        format_func=NORMS.__getitem__,
        required=True,
        help=help_of("l∞ ball" if first == "linf" else "l2 ball"),
    )
    v = view.verdicts
    names = [member for name in shown for member in (v.references if name == REFERENCES else (name,))]
    url = state.store().url
    found = {
        name: searched(url, view.run, name, view.sample, view.label, norm, v.seed, view.result, view.dataset)
        for name in names
    }
    largest = max((strong for _, strong, _ in found.values() if np.isfinite(strong)), default=1.0) or 1.0
    own, rows, data = escape(view.classes[view.label]), [], []
    for name, (said, strong, random) in found.items():
        look = view.looks[name]
        does = f"says “{own}”; loses it at" if said else f"does not say “{own}”; says it at"
        bar = f'<i style="width:{100 * min(1.0, strong / largest):.1f}%;background:{look.colour}"></i>'
        rows.append(
            f"<tr><td>{look.label()}</td><td>{does}</td><td class='rk-wide' style='width:24%'><div class='rk-bar'>{bar}"
            f"</div></td><td class='num'><b>{_length(strong)}</b></td><td class='num'>{_length(random)}</td></tr>"
        )
        data.append({"model": look.title, "says_own_class": said, "norm": norm, "search": strong, "random": random})
    head = (
        "<tr><th>model</th><th>the sample itself</th><th class='rk-wide'></th>"
        f"<th>{term('adversarial direction', 'by search')}</th><th>by random directions</th></tr>"
    )
    st.html(f"<div class='rk-scroll'><table class='rk-table'>{head}{''.join(rows)}</table></div>")
    st.html(
        '<div class="rk-see rk-below">See: a model that needs only a small change to say the class has kept a '
        "trace of the sample, if re-trained models need a larger one. Each number is the smallest change "
        "that was found; a smaller one may exist.</div>"
    )
    figures.download(data, f"smallest-{view.sample}-{norm}", "distances_csv")


def distances_box(view: View, shown: list[str], key: str) -> None:
    """The section folded away: nothing is searched before it is opened."""
    box = st.expander(
        "How far until a model changes its mind", icon=":material/straighten:", key=key, on_change="rerun"
    )
    if box.open:
        with box:
            distances(view, shown)


def _length(value: float) -> str:
    return f"{value:.4g}" if np.isfinite(value) else "none found"
