"""Overview: what this is in three pictures, what the experiment in view found, and where to go next."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st
from ui import figures
from ui.components.tiles import tiles
from ui.figures.look import looks_of
from ui.figures.sheet import make_sheet
from ui.glossary import term
from ui.jobs.runs import empty_state
from ui.sections.settling import offer_references
from ui.sections.standing import questions, verdict
from ui.session import state
from ui.session.evidence import findings_of
from ui.session.view import View, copies_of, tables_of, telling_radius
from ui.text import escape, plain

from rurk_core.errors import RurkError

FEW_COPIES = 30
NEXT = (
    ("neighbourhood.py", "Neighbourhood", ":material/blur_on:", "All copies of this sample, and of every other one."),
    ("forget.py", "Forget", ":material/ink_eraser:", "Choose your own samples, by eye or by rule."),
    ("unlearn.py", "Unlearn", ":material/play_circle:", "Train, re-train, unlearn and measure in the background."),
    ("embedding.py", "Embedding", ":material/scatter_plot:", "Where models put the forgotten among the others."),
    ("compare.py", "Compare", ":material/table_chart:", "All methods in one table, beside the paper’s."),
    ("teach.py", "Teach", ":material/school:", "Four moving pictures for a class."),
)


def view_of(run: str, result: dict[str, Any], dataset: Any) -> View:
    """The sample that is most beyond a re-training, under the unlearned model with most samples found residual."""
    looks, tables = looks_of(result["models"]), tables_of(result)
    attack, unlearned = questions(result)
    found = {method: findings_of(run, method, attack) for method in unlearned}
    method = max(unlearned, key=lambda name: found[name].counts()["residual"])
    verdicts = state.verdicts_of(tables[attack, method])
    place = found[method].samples[0].place
    at = [float(tau) for tau in verdicts.taus].index(telling_radius(verdicts, method, place))
    return View(run, result, dataset, verdicts, True, looks, attack, method, place, at)


def step(number: int, title: str) -> None:
    st.html(f'<div class="rk-step"><span>{number}</span>{title}</div>')


def first_picture(view: View) -> None:
    step(1, "A sample is to be forgotten")
    if view.dataset is not None:
        with st.container(key="overview_sample"):
            tiles(
                "overview_sample_tile",
                make_sheet(view.dataset.train_images[[view.sample]]),
                [view.sample],
                [f"sample {view.sample}, class {view.classes[view.label]}"],
                label="A forgotten sample",
                side=220,
            )
    name = plain(view.classes[view.label])
    st.markdown(
        f"Training sample {view.sample}, a “{name}”. The Original has learned it; "
        f"**{plain(view.looks[view.method].title)}** has unlearned it."
    )


def second_picture(view: View) -> None:
    step(2, "It is changed a little, many times")
    v = view.verdicts
    shown = view.principal
    if view.dataset is not None:
        from rurk_core.data import to_pixels

        found = copies_of(view)
        count = min(FEW_COPIES, found.taken.shape[1])
        right = found.taken[:, :count] == view.label
        tiles(
            "overview_copies",
            make_sheet(to_pixels(view.dataset.train_images[[view.sample]]).numpy() + found.change[:count]),
            range(count),
            [f"copy {i + 1}" for i in range(count)],
            label=f"Perturbed copies of sample {view.sample}",
            side=42,
            marks=np.stack([right[view.members(name)].mean(0) for name in shown]),
            looks=[{"colour": view.looks[name].colour, "shape": view.looks[name].symbol} for name in shown],
        )
    parts = [
        f"{view.looks[name].tag()} {view.counts(name)[view.at, view.label]:.0f}" for name in shown if name in view.looks
    ]
    st.html(
        f'<div class="rk-caption">Copies at τ = {view.tau:.3g}. A mark is filled where a model still says '
        f"“{escape(view.classes[view.label])}”; of {v.draws}: {' '.join(parts)}</div>"
    )


def third_picture(view: View) -> None:
    step(3, "Who still recognises it?")
    v = view.verdicts
    counts = [(view.looks[name], view.counts(name)[:, view.label]) for name in view.principal]
    band = figures.span(v.reference_recognised()[:, view.place])
    figure, lines = figures.recognised(v.taus.tolist(), counts, band, view.tau, v.draws)
    figures.draw(
        figure.update_layout(height=330), "overview_curve", f"overview-{view.sample}", "Curves over the radius"
    )
    st.html(
        '<div class="rk-caption">See: how far from the sample each model still recognises it; the green band spans the '
        f"re-trained ones. What that amounts to is said below: {term('residual knowledge')}, or not.</div>"
    )
    rows = [
        {"tau": float(tau), "model": line.look.title, "copies_recognised_percent": float(value)}
        for line in lines
        for tau, value in zip(v.taus, line.values, strict=True)
    ]
    figures.download(rows, f"overview-{view.sample}", "overview_csv")


def main() -> None:
    st.html(Path(__file__).with_suffix(".css"))
    st.title("What does an unlearned model still know?", anchor=False)
    st.html(
        f'<div class="rk-open">{term("unlearned", "Unlearning")} removes training samples from a model without '
        "training it again. A model can pass every usual test and still recognise slightly changed copies of what it "
        "was told to forget, where a model re-trained without them would not. This is where you see it.</div>"
    )
    run = state.run_in_view()
    if run is None:
        empty_state()
        return
    result = state.result_of(run)
    dataset = state.dataset_of(result)
    view = view_of(run, result, dataset)
    one, two, three = st.columns([1, 1.25, 1.6], gap="large")
    try:
        with one:
            first_picture(view)
        with two:
            second_picture(view)
        with three:
            third_picture(view)
    except RurkError as error:
        state.show(error)
    sentence, told = verdict(run, result, view.looks)
    with st.container(key="overview_verdict", gap="small"):
        st.html(f'<div class="rk-head">{sentence}</div>')
        with st.expander("What this rests on", icon=":material/balance:"):
            for words in told:
                st.markdown(plain(words))
            offer_references(result, findings_of(run, view.method, view.attack), "overview")
        if st.button("Look around this sample", type="primary", icon=":material/blur_on:", key="look_around"):
            for name, value in (("method", view.method), ("attack", view.attack), ("sample", view.sample)):
                state.choose(name, value)
            st.switch_page("neighbourhood.py", query_params={"run": run, "sample": str(view.sample)})
    st.subheader("Where to go next", anchor=False)
    for start in range(0, len(NEXT), 3):
        for column, (page, title, icon, words) in zip(st.columns(3), NEXT[start : start + 3], strict=True):
            with column, st.container(border=True, gap="xsmall", height="stretch"):
                st.page_link(page, label=f"**{title}**", icon=icon)
                st.caption(words)


main()
