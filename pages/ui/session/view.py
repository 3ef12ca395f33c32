"""What the pages on one sample look at: the choices they begin with, and the copies they show; computing is cached."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import streamlit as st

from rurk_core.measure.residual import Verdicts
from rurk_core.perturb.copies import ATTACKS
from ui.figures.look import REFERENCES, Look
from ui.figures.sheet import Sheet, make_sheet
from ui.glossary import help_of
from ui.session import state

SHOWN = 100
"""Copies drawn as thumbnails; counts are always of all of them."""


@dataclass(frozen=True)
class View:
    """What is looked at: a run, one attack, one model in question, one sample, one radius.

    Attributes:
        dataset: None where the data of the run cannot be read.
        measured: whether the run measured this attack for the whole forget set; otherwise ``verdicts`` holds the one
            sample, judged on demand.
        place: the sample's row in ``verdicts``; at: the radius' place in ``verdicts.taus``.
    """

    run: str
    result: dict[str, Any]
    dataset: Any
    verdicts: Verdicts
    measured: bool
    looks: dict[str, Look]
    attack: str
    method: str
    place: int
    at: int

    @property
    def sample(self) -> int:
        return int(self.verdicts.samples[self.place])

    @property
    def forgotten(self) -> bool:
        """Whether the sample was to be forgotten; otherwise it stays, and the re-trained models saw it."""
        return self.sample in self.result["forget"]["indices"]

    @property
    def label(self) -> int:
        return int(self.verdicts.labels[self.place])

    @property
    def classes(self) -> list[str]:
        return self.result["dataset"]["classes"]

    @property
    def tau(self) -> float:
        return float(self.verdicts.taus[self.at])

    @property
    def unlearned(self) -> list[str]:
        """The judging models that are not re-trained, in the order of the run."""
        return [name for name in self.verdicts.models if name not in self.verdicts.references]

    @property
    def principal(self) -> list[str]:
        """The Original, the re-trained models together and the model in question, as far as they judge."""
        v, together = self.verdicts, [REFERENCES] if self.verdicts.references else []
        names = dict.fromkeys(["original", *together, self.method])
        return [name for name in names if name in (*v.models, *together)]

    def members(self, name: str) -> list[int]:
        """Places of a model among the judging ones; of all re-trained models for them together."""
        v = self.verdicts
        return [v.models.index(m) for m in (v.references if name == REFERENCES else (name,))]

    def counts(self, name: str) -> np.ndarray:
        """Copies of the sample by class [T, C]; the mean over the re-trained models for them together."""
        found = self.verdicts.counts[self.members(name), self.place]
        return found.mean(0) if name == REFERENCES else found[0]


@dataclass(frozen=True)
class Copies:
    """The drawn copies of a sample at a radius: ``sheet``, their pictures; ``taken`` int16 [models, copies], what each
    model takes them for."""

    sheet: Sheet
    taken: np.ndarray


# --- the choices both pages begin with ----------------------------------------------------------------------


def choose_method(
    result: dict[str, Any], looks: dict[str, Look], *, always: bool = False, width: int | Literal["stretch"] = "stretch"
) -> str:
    """A select for the unlearned model in question; ``always`` as in :func:`state.choice`."""
    methods = sorted(dict.fromkeys(name for _, name in tables_of(result)), key=lambda name: name == "original")
    method = state.choice("method", methods[0], state.one_of(methods), always=always)
    return state.bound(
        st.selectbox,
        "Unlearned model",
        "method",
        method,
        options=methods,
        format_func=lambda name: looks[name].named,
        help="The model in question: r̂ compares it with the re-trained ones.",
        width=width,
    )


def choose_question(
    result: dict[str, Any], looks: dict[str, Look], columns: Sequence[Any], *, on_demand: bool = False
) -> tuple[str, str]:
    """Selects for the unlearned model in question and for the perturbation, in two columns: (method, attack).

    Args:
        on_demand: offer perturbations too that the run did not measure.
    """
    tables = tables_of(result)
    with columns[0]:
        method = choose_method(result, looks, always=True)
    measured = [attack for attack, name in tables if name == method]
    attacks = [*measured, *(attack for attack in ATTACKS if on_demand and attack not in measured)]
    attack = state.choice("attack", attacks[0], state.one_of(attacks), always=True)
    with columns[1]:
        state.bound(
            st.selectbox,
            "Perturbation",
            "attack",
            attack,
            options=attacks,
            format_func=lambda name: ATTACKS[name].title + ("" if name in measured else " · made now"),
            help=f"How copies are made: {ATTACKS[attack].summary}.",
        )
    return method, attack


def tau_slider(taus: Sequence[float], tau: float) -> None:
    """The radius in view, where there is more than one."""
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


# --- what they show -----------------------------------------------------------------------------------------


def tables_of(result: dict[str, Any]) -> dict[tuple[str, str], str]:
    """(attack, method) → key of the verdicts a run measured."""
    return {(entry["attack"], entry["method"]): entry["verdicts"] for entry in result["residual"]}


def models_of(result: dict[str, Any], names: tuple[str, ...]) -> list[Any]:
    """Models of a run by name, ready for measuring."""
    keys = {row["name"]: row["key"] for row in result["models"]}
    return [state.frozen_model(state.store().url, keys[name]) for name in names]


def copies_of(view: View) -> Copies:
    """The copies at the view's radius, and what every judging model says of them."""
    url = state.store().url
    return _copies(url, view.run, view.attack, view.method, view.sample, view.tau, view.verdicts.draws, view)


@st.cache_resource(max_entries=240, show_spinner=False)
def _copies(url: str, run: str, attack: str, method: str, sample: int, tau: float, draws: int, _view: View) -> Copies:
    from rurk_core.device import logits_of
    from rurk_core.measure.judged import drawn

    v, image = _view.verdicts, _view.dataset.train_images[sample]
    models = dict(zip(v.models, models_of(_view.result, v.models), strict=True))
    moved = drawn(v, image, _view.place, tau, models.get(v.source), len(_view.classes))[:SHOWN]
    taken = np.stack([logits_of(model, moved).argmax(1).numpy() for model in models.values()])
    return Copies(make_sheet(moved), taken.astype(np.int16))
