"""Neighbourhood: what the models still see around one forgotten sample."""

from __future__ import annotations

import numpy as np
import streamlit as st
from ui import figures
from ui.figures.look import REFERENCES, looks_of
from ui.glossary import term
from ui.jobs.reports import report_buttons
from ui.jobs.runs import empty_state
from ui.sections import closeup
from ui.sections.copies import copies_row, key_of_marks
from ui.sections.counts import say, table
from ui.sections.decision_map import decision_map
from ui.sections.distances import distances_box
from ui.sections.recognition import show_curve
from ui.sections.strip import step_through
from ui.sections.whole_set import stayed
from ui.session import state
from ui.session.evidence import findings_of
from ui.session.view import (
    Copies,
    View,
    choose_question,
    copies_of,
    on_demand,
    tables_of,
    tau_slider,
    telling_copy,
    telling_radius,
)
from ui.text import plain

from rurk_core.errors import RurkError


def choose_view(run: str) -> View:
    """The controls above the picture, and what they say."""
    result = state.result_of(run)
    looks, tables, dataset = looks_of(result["models"]), tables_of(result), state.dataset_of(result)
    one, two, three = st.columns([1.1, 1, 1.5], gap="medium", vertical_alignment="bottom")
    method, attack = choose_question(result, looks, (one, two), on_demand=dataset is not None)
    measured = attack if (attack, method) in tables else next(of for of, name in tables if name == method)
    whole = state.verdicts_of(tables[measured, method])
    order = np.array([one.place for one in findings_of(run, method, measured).samples])
    samples = [int(i) for i in whole.samples]

    def known(text: str) -> int:
        """A sample to forget, or one of those that stay that Review looked at."""
        try:
            return state.whole_of(samples)(text)
        except ValueError:
            return state.whole_of(stayed(run, method, attack) if dataset is not None else [])(text)

    sample = state.choice("sample", samples[order[0]], known, always=True)
    verdicts, place = whole, samples.index(sample) if sample in samples else None
    if place is None or (attack, method) not in tables:
        label = int(dataset.train_labels[sample] if place is None else whole.labels[place])
        verdicts = on_demand(state.store().url, run, attack, method, sample, label, dataset)
    at = 0 if place is None or verdicts is not whole else place
    taus = [float(tau) for tau in whole.taus]
    tau = state.choice("tau", telling_radius(verdicts, method, at), state.nearest(taus), always=True)
    with three:
        tau_slider(taus, tau)
    step_through(whole, order, place, dataset)
    return View(run, result, dataset, verdicts, verdicts is whole, looks, attack, method, at, taus.index(tau))


def choose_models(view: View) -> list[str]:
    """Names of the models to show: Original, the re-trained ones together, and unlearned ones."""
    together = [REFERENCES] if view.verdicts.references else []
    options = list(dict.fromkeys(["original", *together, *view.unlearned]))
    default = [name for name in options if name in ("original", REFERENCES, view.method)]
    chosen = st.pills(
        "Models shown",
        options,
        selection_mode="multi",
        default=default,
        format_func=lambda name: f"{view.looks[name].letter} · {view.looks[name].title}",
        key=f"models-{view.run}-{view.attack}-{view.method}",
        persist_state="session",
    )
    return [name for name in options if name in chosen]


def show_copies(view: View, shown: list[str], found: Copies, chosen: int) -> None:
    """The perturbed copies, each with a mark per model; a click brings one close up."""
    picked = copies_row(view, shown, found, chosen=chosen)
    if picked is not None and picked != chosen:
        state.choose("copy", picked + 1)
        st.rerun()
    count = found.taken.shape[1]
    if count < view.verdicts.draws:
        st.caption(f"The first {count} of {view.verdicts.draws} copies are drawn; counts are of all.")
    if not found.same:
        st.caption(
            f"The experiment ran on {plain(view.result['device'])}, whose random numbers this machine does not have: "
            "these copies are drawn anew, the counts above are of the experiment."
        )


def show_closeup(view: View, shown: list[str], found: Copies, chosen: int) -> None:
    """The chosen copy: what was changed, and how sure every model is of what."""
    from rurk_core.data import to_pixels

    image = to_pixels(view.dataset.train_images[[view.sample]])[0].numpy()
    bars = [
        (view.looks[name], found.probability[view.members(name), chosen].astype(np.float32).mean(0)) for name in shown
    ]
    st.html(
        closeup.pictures(image, found.change[chosen], chosen + 1, view.tau)
        + closeup.probabilities(view.classes, view.label, bars)
        + '<div class="rk-see rk-below">See: bold is what a model says. Click another copy to bring it here.</div>'
    )


def show_taken_for(view: View, shown: list[str]) -> None:
    v = view.verdicts
    st.subheader("What the copies are taken for", anchor=False)
    if not shown:
        return
    bars = [(view.looks[name], view.counts(name)[view.at]) for name in shown]
    st.html(
        closeup.taken_for(view.classes, view.label, bars, v.draws)
        + '<div class="rk-see rk-below">See: coloured is the sample’s own class; the longer the coloured part, the '
        "better the model still knows it. Grey parts carry the name of the class it was mistaken for.</div>"
    )
    rows = [
        {
            "sample": view.sample,
            "tau": view.tau,
            "model": look.title,
            "class": view.classes[c],
            "copies": n,
            "of": v.draws,
        }
        for look, counts in bars
        for c, n in enumerate(counts.tolist())
    ]
    figures.download(rows, f"taken-for-sample-{view.sample}", "taken_for_csv")


def main() -> None:
    st.title("Neighbourhood", anchor=False)
    run = state.run_in_view()
    if run is None:
        empty_state()
        return
    st.html(
        '<div class="rk-lead">One forgotten sample, copied many times with small perturbations. Who still recognises '
        "it? What an unlearned model sees here, and re-trained models do not, is "
        f"{term('residual knowledge')}.</div>"
    )
    with st.container(border=True, key="controls"):
        view = choose_view(run)
    with st.container(key="verdict"):
        st.html(say(view))
        shown = choose_models(view)
        if shown:
            st.html(table(view, shown))
        else:
            st.caption("Choose at least one model to show.")
    if view.dataset is not None:
        try:
            around(view, shown)
        except RurkError as error:
            state.show(error)
    else:
        show_taken_for(view, shown)
    show_curve(view, shown)
    report_buttons(view.run, view.sample if view.forgotten else None)
    for text in view.result.get("notes", []):
        st.caption(plain(text))


def around(view: View, shown: list[str]) -> None:
    """Everything that needs the pictures: one copy close up, all copies, the decision map."""
    found = copies_of(view)
    count = found.taken.shape[1]
    chosen = state.choice("copy", telling_copy(view, found) + 1, state.whole_of(range(1, count + 1))) - 1
    left, right = st.columns([1, 1.75], gap="large")
    with left:
        st.subheader("One copy close up", anchor=False)
        show_closeup(view, shown, found, chosen)
        show_taken_for(view, shown)
    with right:
        st.subheader(f"{count} copies at τ = {view.tau:.4g}", anchor=False)
        st.html(key_of_marks(view, shown))
        show_copies(view, shown, found, chosen)
    box = st.expander("Decision map", icon=":material/map:", key="map_box", on_change="rerun")
    if box.open:
        with box:
            decision_map(view, shown, found)
    distances_box(view, shown, "distance_box")


main()
